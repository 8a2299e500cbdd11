"""What `python -m tinyrig.variants` left behind: manifest.json -> Variants. Reads files only; never imports variants."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.core.files.content import Content, read_content
from tinyrig.core.files.npz import EXPECTED
from tinyrig.core.records import Variant
from tinyrig.workload.model_file import read_file

_KEPT = (
    "training",
    "weights",
    "sparsity",
    "host_correct",
    "host_windows",
    "host_interpreter",
    "parent",
    "notes",
    "compressed_bytes",
    "weight_bytes",
)


_AGAIN = "build the variants again: tinyrig variants --force"


def read_built(folder: Path) -> list[Variant]:
    """The finished variants of a folder, in building order; [] where nothing finished lies.

    Raises UserError when a file is not what the manifest says.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return []
    try:
        manifest = json.loads(path.read_text("utf-8"))
        if manifest["schema"] != 1:
            raise ValueError(f"schema {manifest['schema']!r:.80}")
        _check_names([entry["name"] for entry in manifest["variants"]])
        test_set = read_content(folder / _file_name(manifest["windows"]["file"]), EXPECTED, _AGAIN)
        _check(test_set.path, manifest["windows"]["sha256"], test_set.sha256)
        return [_variant(folder, manifest, entry, test_set) for entry in manifest["variants"]]
    except (ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise UserError(
            f"{path} can't be used",
            expected="a manifest of schema 1",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy=_AGAIN,
        ) from error


def _variant(folder: Path, manifest: dict[str, Any], entry: dict[str, Any], test_set: Content) -> Variant:
    tflite = folder / _file_name(entry["file"])
    _check_numbers(entry)
    model = read_file(tflite)
    _check(tflite, entry["sha256"], hashlib.sha256(model).hexdigest())
    dataset = manifest["dataset"]
    details = {key: entry[key] for key in _KEPT if key in entry}
    details |= {
        "packages": manifest["packages"],
        "seed": manifest["seed"],
        "dataset": {k: v for k, v in dataset.items() if k != "channel_names"},
    }
    return Variant(
        name=entry["name"],
        tflite=tflite,
        sha256=entry["sha256"],
        tflite_bytes=len(model),
        zip_bytes=entry["zip_bytes"],
        windows=test_set.path,
        dataset=dataset["name"],
        synthetic=dataset["synthetic"],
        host_accuracy=entry["host_accuracy"],
        flops=entry["flops"],
        macs=entry["macs"],
        details=details,
        model=model,
        test_set=test_set,
    )


def _file_name(name: str) -> str:
    """Raises ValueError for what would lead out of the folder."""
    if name != Path(name).name or not name.isprintable():
        raise ValueError(f"not a plain file name: {name!r:.80}")
    return name


_COUNTS = ("tflite_bytes", "zip_bytes", "flops", "macs")
_MOST = 2**53
"""Beyond it neither JSON nor a double holds every whole number."""


def _check_names(names: list[str]) -> None:
    """Raises ValueError: what is measured of one would be stored for the other."""
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"two variants are called {twice[0]!r:.80}")


def _check_numbers(entry: dict[str, Any]) -> None:
    """Raises ValueError: these go into tables and calculations unseen."""
    _file_name(entry["name"])
    for key in _COUNTS:
        value = entry[key]
        if value is not None and (type(value) is not int or not 0 <= value <= _MOST):
            raise ValueError(f"{key} is no whole number from 0 to 2^53: {value!r:.80}")
    accuracy = entry["host_accuracy"]
    if accuracy is not None and (type(accuracy) not in (int, float) or not 0 <= accuracy <= 1):
        raise ValueError(f"host_accuracy is no number from 0 to 1: {accuracy!r:.80}")


def _check(file: Path, sha256: str, found: str) -> None:
    if found != sha256:
        raise UserError(f"{file} is not what the manifest says", expected=f"SHA-256 {sha256}", received=found, remedy=_AGAIN)
