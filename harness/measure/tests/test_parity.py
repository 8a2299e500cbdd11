"""The comparison covers all outputs; a changed class counts only where an output names one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyrig.analysis.evaluation import evaluate
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Parity, Sample, TensorSpec
from tinyrig.core.scoring import ScoreKind, Scoring
from tinyrig.measure.parity import compare
from tinyrig.tests.fake_runs import make_variant_run
from tinyrig.workload.windows import Windows

K = ScoreKind
POSE, CLS = TensorSpec("pose", (1, 2), "float32"), TensorSpec("cls", (1, 3), "float32")
ONE = (np.zeros(1, np.float32),)


class Answers:
    """An oracle that always gives these outputs."""

    name = "tflm"

    def __init__(self, *outputs: list[float]) -> None:
        self._outputs = [np.array([values], np.float32) for values in outputs]

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._outputs


def compared(scoring: Scoring, pose: list[float], cls: list[float], tolerance: float = 1e-2) -> Parity:
    """The board's outputs against an oracle that says [1, 1.001] and class 2."""
    sample = Sample("window", 0, np.array([*pose, *cls], np.float32).tobytes(), 9)
    oracle = Answers([1.0, 1.001], [0.0, 0.1, 0.9])
    return compare(oracle, Windows((ONE,), (2,)), [sample], (POSE, CLS), tolerance, scoring)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scoring", "pose", "cls", "changed", "right"),
    [
        (Scoring(K.CLASSES, 1), [1.0, 1.001], [0.0, 0.1, 0.9], 0, 1),
        (Scoring(K.CLASSES, 1), [1.001, 1.0], [0.0, 0.1, 0.9], 0, 1),  # the order of another output's values says nothing
        (Scoring(K.CLASSES, 0), [1.001, 1.0], [0.0, 0.1, 0.9], 1, 0),
        (Scoring(K.REGRESSION, 0), [1.001, 1.0], [0.0, 0.1, 0.9], 0, None),
    ],
    ids=range(4),
)
def test_only_the_scored_output_names_a_class(scoring, pose, cls, changed, right) -> None:
    found = compared(scoring, pose, cls)
    assert (found.mismatched_windows, found.top1_changed, found.oracle_correct) == (0, changed, right)


@pytest.mark.parametrize(("pose", "cls"), [([1.0, 9.0], [0.0, 0.1, 0.9]), ([1.0, 1.001], [0.5, 0.1, 0.9])])
def test_a_difference_in_any_output_is_found(pose: list[float], cls: list[float]) -> None:
    assert compared(Scoring(K.CLASSES, 1), pose, cls).mismatched_windows == 1


def test_a_large_second_output_may_differ_by_its_own_magnitude() -> None:
    run = make_variant_run("simple", windows=8)
    big = TensorSpec("big", (1, 1), "float32")
    samples = tuple(replace(s, outputs=s.outputs + np.array([1e4], np.float32).tobytes()) for s in run.samples)
    run = replace(run, samples=samples, image=replace(run.image, outputs=(*run.image.outputs, big)))
    run = replace(run, settings=MeasurementSettings(), parity=Parity("tflm", 8, 0, 0.05, 0, None))
    assert evaluate(run).withheld is None
    assert evaluate(replace(run, parity=Parity("tflm", 8, 0, 0.5, 0, None))).withheld
