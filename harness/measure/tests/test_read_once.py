"""One row holds one model and one set of windows: hash, sizes, outputs and labels come from the bytes that were read first."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler import compile as compiler
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.records import Measurement, Variant
from tinyrig.measure import variant as measuring_one
from tinyrig.measure.run import measuring
from tinyrig.measure.variants import model_variants
from tinyrig.tests.user_home import furnish, url


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return furnish(tmp_path)


def swap(home: Path) -> None:
    """Both models become the float one, and the windows others with other labels."""
    for name in ("dense", "other"):
        shutil.copy(home / "float.tflite", home / f"{name}.tflite")
    with np.load(home / "windows.npz") as kept:
        np.savez(home / "windows.npz", x=-kept["x"][:5], y=3 - kept["y"][:5], class_names=kept["class_names"])


def measured(home: Path, variants: list[Variant], between: bool = False) -> list[Measurement]:
    config = dataclasses.replace(Config(), results=url(home), repeats=3)
    with measuring(parse_board("virtual"), config) as open_run:
        for i, variant in enumerate(variants):
            if between and i == 1:
                swap(home)
            open_run.run(variant)
        return list(open_run.result().runs)


def same(run: Measurement, other: Measurement) -> bool:
    """In all that does not tell one attempt from another; the ends of the band by a thousandth, because what is counted while the
    board waits for the line differs."""
    strip = lambda m: dataclasses.replace(m, settings=dataclasses.replace(m.settings, link=None, band=None), clock=None)  # noqa: E731
    return strip(run) == strip(other) and run.settings.band == pytest.approx(other.settings.band, rel=1e-3)


@pytest.mark.parametrize("when", ["between variants", "between reading and compiling"])
def test_files_that_are_replaced_meanwhile_change_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    variants = model_variants([home / "dense.tflite", home / "other.tflite"], home / "windows.npz")
    sums = [hashlib.sha256((home / f"{name}.tflite").read_bytes()).hexdigest() for name in ("dense", "other")]
    undisturbed = measured(home, variants)
    if when == "between variants":
        found = measured(home, variants, between=True)
    else:
        compile_model = compiler.compile_model
        monkeypatch.setattr(measuring_one, "compile_model", lambda *a, **k: (swap(home), compile_model(*a, **k))[1])
        found = measured(home, variants)
    assert all(map(same, found, undisturbed))
    assert [m.variant.sha256 for m in found] == [m.image.model_sha256 for m in found] == sums
    assert [m.variant.tflite_bytes for m in found] == [len(v.model) for v in variants]
