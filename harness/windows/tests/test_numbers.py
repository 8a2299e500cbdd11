"""Values that can't be meant are said; those that can are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import CautionKind
from tinyrig.workload.windows import Windows, load_windows, random_windows

RNG = np.random.default_rng(3)
INT8 = TensorSpec("in", (1, 40), "int8", 8 / 255, 0)
"""About -4 to 4."""
FLOAT = TensorSpec("in", (1, 40), "float32")
NORMAL = RNG.normal(0, 1, (50, 40))


def said(folder: Path, x: np.ndarray, spec: TensorSpec = INT8, **more: np.ndarray) -> list[CautionKind]:
    np.savez(folder / "w.npz", x=x, **more)
    return [caution.kind for caution in load_windows(folder / "w.npz", (spec,)).cautions]


@pytest.mark.parametrize(
    ("x", "kinds"),
    [
        (NORMAL, []),
        (NORMAL * 1.4, []),  # a few outliers are clipped
        (NORMAL * 2.5, [CautionKind.SATURATED]),
        (NORMAL / 50, [CautionKind.TINY_RANGE]),
        (np.zeros((50, 40)), [CautionKind.CONSTANT, CautionKind.DUPLICATES]),
        (np.repeat(NORMAL[:30], 2, axis=0), [CautionKind.DUPLICATES]),
        (RNG.integers(0, 2, (50, 40)).astype(float), []),  # yes or no, as real values
        (np.where(RNG.uniform(size=(50, 40)) < 0.9, 0, NORMAL), []),  # mostly empty
    ],
    ids=range(8),
)
def test_of_a_quantised_input(tmp_path: Path, x: np.ndarray, kinds: list[CautionKind]) -> None:
    assert said(tmp_path, x) == kinds


def test_a_range_that_ends_a_step_short_of_1_holds_1(tmp_path: Path) -> None:
    spec = TensorSpec("in", (1, 40), "int8", 1 / 256, -128)
    assert said(tmp_path, RNG.integers(0, 2, (50, 40)).astype(float), spec) == []


def test_zeros_hide_no_saturation(tmp_path: Path) -> None:
    """As of pictures that are mostly background."""
    x = np.where(RNG.uniform(size=(50, 40)) < 0.97, 0, 30.0 + NORMAL)
    with pytest.raises(Exception, match="saturates"):
        said(tmp_path, x)


@pytest.mark.parametrize(
    ("x", "kinds"),
    [
        (NORMAL * 1000, []),  # a float input says nothing about units
        (RNG.integers(0, 256, (50, 40)), [CautionKind.WHOLE_NUMBERS]),
        (RNG.integers(0, 256, (50, 40)).astype(np.float32), [CautionKind.WHOLE_NUMBERS]),
        (RNG.integers(0, 20, (50, 40)), []),  # counts
        (RNG.integers(-128, 128, (50, 40)), []),
    ],
    ids=range(5),
)
def test_of_a_float_input(tmp_path: Path, x: np.ndarray, kinds: list[CautionKind]) -> None:
    assert said(tmp_path, x, FLOAT) == kinds


def test_quantised_windows_are_looked_at_for_constants_and_copies_only(tmp_path: Path) -> None:
    assert said(tmp_path, RNG.choice([-128, 127], (50, 40)).astype(np.int8)) == []
    assert CautionKind.CONSTANT in said(tmp_path, np.full((50, 40), 5, np.int8))


@pytest.mark.parametrize("spec", [INT8, FLOAT, TensorSpec("b", (1,), "bool"), TensorSpec("u", (1, 2), "uint8", 0.5, 9)])
def test_random_windows_say_nothing_given_or_from_a_file(tmp_path: Path, spec: TensorSpec) -> None:
    windows: Windows = random_windows((spec,), 200, 1)
    assert windows.cautions == ()
    assert said(tmp_path, np.stack([w[0] for w in windows.inputs]), spec) == []
