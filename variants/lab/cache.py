"""Built variants by the content that they were made of: what was trained once is not trained again, whoever asks.

One .npz a variant, plain arrays only. A file that can't be read counts as missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.places.project import cache_folder
from tinyrig.variants.files import write_npz
from tinyrig.variants.networks.task import Built, Net

MOST_FILES = 2000
"""Beyond them the ones unused for longest go: some 20 to 100 KB each."""


def folder() -> Path:
    """TINYRIG_NETS, or `nets` in the user's cache."""
    return Path(os.environ.get("TINYRIG_NETS") or cache_folder() / "nets")


def load(key: str, name: str) -> Built | None:
    """The variant of this key, called `name`."""
    path = folder() / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes())
            layers = {layer: [file[f"{i}/{k}"] for k in range(count)] for i, (layer, count) in enumerate(head["layers"])}
            tflite = file["tflite"].tobytes()
        os.utime(path)
        return Built(name, tflite, Net(head["architecture"], layers), head["training"], head["facts"])
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def save(key: str, built: Built) -> None:
    """Keeps a variant; a folder that can't be written costs the next build its time and nothing else."""
    arrays: dict[str, Any] = {
        f"{i}/{k}": weight for i, weights in enumerate(built.net.layers.values()) for k, weight in enumerate(weights)
    }
    head = {
        "architecture": built.net.architecture,
        "training": built.training,
        "facts": built.facts,
        "layers": [[name, len(weights)] for name, weights in built.net.layers.items()],
    }
    arrays |= {"head": np.frombuffer(json.dumps(head).encode(), np.uint8), "tflite": np.frombuffer(built.tflite, np.uint8)}
    with contextlib.suppress(OSError):
        write_npz(folder() / f"{key}.npz", arrays)
        _remove_longest_unused()


def _remove_longest_unused() -> None:
    files = sorted(folder().glob("*.npz"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST_FILES]:
        path.unlink(missing_ok=True)
