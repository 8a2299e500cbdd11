"""What about the user's own data can hardly be meant, said before anything is trained on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

_CLOCKS = frozenset(
    {
        "clock",
        "date",
        "datetime",
        "elapsed",
        "frame",
        "idx",
        "index",
        "micros",
        "millis",
        "ms",
        "ns",
        "row",
        "sample",
        "samples",
        "t",
        "time",
        "timestamp",
        "timestamps",
        "ts",
        "us",
    }
)
_BESIDE = frozenset(
    {"boot", "epoch", "id", "in", "ms", "no", "nr", "ns", "number", "s", "sec", "seconds", "since", "start", "unix", "us", "utc"}
)
"""Words that may stand beside one of those: time_ms, "Time (s)"."""
_WHOLE = 2**24
"""Whole numbers beyond it are no longer apart by 1 as float32: a clock in ms since 1970 stands still within a trial."""
MOST_NAMED = 5


def clocks(x: np.ndarray, channel_names: Sequence[str]) -> list[str]:
    """One line for each channel of x float32 [N,T,C] that is a clock or an index by its name or its values."""
    found = []
    for i, name in enumerate(channel_names):
        why = "is named like a clock or an index" if _is_clock(name) else ""
        why = "rises in every row of every trial, as a clock or an index does" if _rises(x[:, :, i]) else why
        if why:
            found.append(
                f"channel {name!r} {why}: from it a network learns when a trial was recorded, not what happened in it, and "
                "accuracy on trials of the same recording means nothing; remove it unless it is meant"
            )
    return found


def _is_clock(name: str) -> bool:
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    return bool(words) and any(w in _CLOCKS for w in words) and all(w in _CLOCKS or w in _BESIDE for w in words)


def _rises(values: np.ndarray) -> bool:
    """values [N,T]."""
    steps = np.diff(values, axis=1)
    if (steps < 0).any() or values.shape[1] < 2:
        return False
    return bool((steps > 0).all() or (np.abs(values).max() >= _WHOLE and values.min() != values.max()))


def alike(labels: Iterable[str]) -> list[str]:
    """One line for each group of labels, one a trial, that differ only by upper and lower case or white space."""
    counts = Counter(labels)
    groups: dict[str, list[str]] = {}
    for label in counts:
        groups.setdefault("".join(label.split()).casefold(), []).append(label)
    return [
        f"labels {_listed(f'{label!r} ({counts[label]})' for label in sorted(same))} differ only by case or white space, and are "
        "different classes"
        for same in groups.values()
        if len(same) > 1
    ]


def left_out(folder: Path, named: Iterable[str], labels: str) -> list[str]:
    """A line about files that look like trials and are in no row of `labels`."""
    known = set(named)
    endings = {Path(name).suffix.lower() for name in known} | {".csv"}
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.name not in known and path.is_file()
    )
    others = [name for name in others if name != labels]
    if not others:
        return []
    count = f"{len(others)} files are" if len(others) > 1 else "1 file is"
    return [f"{folder}: {count} named in no row of {labels} and left out: {_listed(map(repr, others))}"]


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more
