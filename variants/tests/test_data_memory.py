"""Datasets that are far larger in memory than on disk: read under 1 GB, or refused with the size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyrig.tests.limited import limited
from tinyrig.variants.data import user_data

MB = 1 << 20


def one_trial(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text("file,label\na.csv,x\n")
    (folder / "a.csv").write_text(text)
    return folder


def wide(folder: Path) -> Path:
    names = ",".join(f"c{i}" for i in range(1_000_000))
    return one_trial(folder, f"{names}\n" + ",".join(["1"] * 1_000_000) + "\n")


def wide_rows(folder: Path) -> Path:
    return one_trial(folder, "a,b\n" + "1," * (30 * MB) + "1\n")


def quoted(folder: Path) -> Path:
    return one_trial(folder, "a,b\n" + '"\n",' * (12 * MB) + "1\n")


def one_long_name(folder: Path) -> Path:
    return one_trial(folder, "a" * (60 * MB) + "\n1\n")


def many_labels(folder: Path) -> Path:
    one_trial(folder, "a\n1\n")
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{i:x},x\n" for i in range(1_000_000)))
    return folder


def many_trials(folder: Path) -> Path:
    one_trial(folder, "a\n" + "1\n" * (MB // 2))
    for n in range(599):
        (folder / f"{n}.csv").hardlink_to(folder / "a.csv")
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{n}.csv,x\n" for n in ["a", *map(str, range(599))]))
    return folder


def too_many_windows(folder: Path) -> Path:
    np.savez_compressed(folder / "d.npz", x=np.zeros((40 * MB, 1, 1), np.int8), y=np.zeros(3, np.int64))
    return folder / "d.npz"


def too_many_labels(folder: Path) -> Path:
    np.savez_compressed(folder / "d.npz", x=np.zeros((3, 1, 1)), y=np.zeros(40 * MB, "U1"))
    return folder / "d.npz"


def too_large_windows(folder: Path) -> Path:
    np.savez_compressed(folder / "d.npz", x=np.zeros((400, MB, 1), np.int8), y=np.zeros(400, np.int64))
    return folder / "d.npz"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (wide, "characters"),
        (wide_rows, "characters"),
        (quoted, "characters"),
        (one_long_name, "characters"),
        (many_labels, "too many trials"),
        (many_trials, "holds too much"),
        (too_many_windows, "too large"),
        (too_many_labels, "too long"),
        (too_large_windows, "memory"),
    ],
)
def test_what_needs_too_much_memory_is_refused_with_the_size(tmp_path: Path, make: Callable[[Path], Path], told: str) -> None:
    path = make(tmp_path)
    good, said = limited(lambda: user_data.load(path))
    assert not good and told in said and "expected: " in said and len(said) < 2000


@pytest.mark.slow
def test_a_long_trial_is_read(tmp_path: Path) -> None:
    """8 million rows: as lists of cells they would take some 1 GB."""
    path = one_trial(tmp_path, "a\n" + "1\n" * (8 * MB))
    assert limited(lambda: user_data.load(path).x.shape) == (True, str((1, 8 * MB, 1)))


def test_a_wide_trial_is_refused_by_its_columns(tmp_path: Path) -> None:
    good, said = limited(lambda: user_data.load(one_trial(tmp_path, ",".join(f"c{i}" for i in range(5000)) + "\n")))
    assert not good and "5000 columns, of at most 4096" in said
