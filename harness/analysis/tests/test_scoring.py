"""Which output is scored, how, and what that comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tinyrig.analysis.evaluation import evaluate
from tinyrig.analysis.run_json import variant_to_json
from tinyrig.analysis.scoring.choose import Question, choose
from tinyrig.analysis.scoring.kinds import Candidate, Truth
from tinyrig.core.errors import UserError
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Measurement, TensorSpec
from tinyrig.core.scoring import Caution, CautionKind, ScoreKind, Scoring
from tinyrig.tests.fake_runs import make_variant_run

K = ScoreKind
IN = (TensorSpec("x", (1, 16), "float32"),)


def out(*shape: int, dtype: str = "float32", maker: str = "FULLY_CONNECTED", name: str = "out", scale: float = 0.0) -> Candidate:
    return Candidate(TensorSpec(name, shape, dtype, scale, -128 if scale else 0), (name,), maker)


def labels(*values: int, names: str = "", one_hot: int | None = None) -> Truth:
    return Truth(values, tuple(names) or None, one_hot=one_hot)


def chosen(outputs: tuple[Candidate, ...], truth: Truth, wanted: str | None = None) -> Scoring:
    return choose(Question(outputs, IN, truth, wanted))


@pytest.mark.parametrize(
    ("output", "truth", "kind", "threshold"),
    [
        (out(1, 3), labels(0, 1, 2), K.CLASSES, None),
        (out(1, 1, 1, 3), labels(0, 1, 2), K.CLASSES, None),
        (out(1, 1, maker="LOGISTIC"), labels(0, 1), K.BINARY, 0.5),
        (out(1, 1, dtype="int8", scale=1 / 256, maker="CUSTOM"), labels(0, 1), K.BINARY, 0.5),
        (out(1, 1, maker="TANH"), labels(0, 1), K.BINARY, 0.0),
        (out(1, 1), labels(0, 1), K.RANKING, None),
        (out(1, 1), labels(-3, 7), K.REGRESSION, None),
        (out(1, 1, maker="SOFTMAX"), labels(0, 1), K.NONE, None),
        (out(1, dtype="int32", maker="ARG_MAX"), labels(0, 7), K.CLASS_ID, None),
        (out(1, 1, dtype="bool", maker="GREATER"), labels(0, 1), K.CLASS_ID, None),
        (out(1, 4, 4, 3), labels(0, 2), K.NONE, None),
        (out(1, 4, dtype="int32", maker="ARG_MAX"), labels(0, 2), K.NONE, None),
        (out(1, 16), labels(0, 1, 1), K.RECONSTRUCTION, None),
        (out(1, 16, maker="SOFTMAX"), labels(0, 1, 1), K.CLASSES, None),
        (out(1, 16), labels(0, 5), K.NONE, None),
        (out(1, 16), labels(0, 15), K.CLASSES, None),
        (out(1, 16), labels(0, 5, names="abcdefghijklmnop"), K.CLASSES, None),
        (out(1, 16), labels(0, 1, names="no"), K.RECONSTRUCTION, None),
        (out(1, 16), Truth(), K.RECONSTRUCTION, None),
        (out(1, 3), Truth(), K.NONE, None),
        (out(1, 2), Truth(targets=np.ones((5, 2), np.float32)), K.REGRESSION, None),
        (out(1, 4, 4, 3), Truth(targets=np.ones((5, 4, 4), np.int64)), K.CELLS, None),
        (out(1, 4, 4, 3), Truth(targets=np.ones((5, 16), np.int64)), K.CELLS, None),
        (out(1, 4, 4, dtype="int32", maker="ARG_MAX"), Truth(targets=np.ones((5, 4, 4), np.int64)), K.CELLS, None),
        (out(1, 4, 4, 3), Truth(targets=np.ones((5, 4, 4, 3), np.float32)), K.REGRESSION, None),
        (out(1, 3, maker="LOGISTIC"), Truth(targets=np.ones((5, 3), np.int64)), K.NONE, None),
    ],
    ids=range(26),
)
def test_the_kind_follows_from_the_output_and_the_labels(
    output: Candidate, truth: Truth, kind: ScoreKind, threshold: float | None
) -> None:
    found = chosen((output,), truth)
    assert (found.kind, found.threshold) == (kind, threshold)
    assert bool(found.reason) == (kind not in (K.CLASSES, K.CLASS_ID, K.BINARY))


POSE, CLS, BIT = out(1, 4, name="pose"), out(1, 3, name="cls", maker="SOFTMAX"), out(1, 1, name="bit", maker="LOGISTIC")


@pytest.mark.parametrize(
    ("outputs", "truth", "index"),
    [
        ((POSE, CLS), labels(0, 1, 2), 1),
        ((POSE, CLS), labels(0, 1, 3), 0),
        ((POSE, CLS), labels(0, 1, names="abcd"), 0),
        ((POSE, CLS), labels(0, 1, one_hot=3), 1),
        ((POSE, BIT), labels(0, 1), 1),
        ((out(1, 2, name="two"), BIT), labels(0, 1), None),
        ((POSE, CLS), labels(0, 1), None),
        ((POSE, CLS), labels(1, 2, 3), None),  # from 1, for cls, or from 0, for pose
        ((CLS, out(1, 3)), labels(0, 1, 2), None),
        ((CLS, out(1, dtype="int32", maker="ARG_MAX")), labels(0, 1, 2), 0),
        ((POSE, CLS), Truth(targets=np.ones((5, 4), np.float32)), 0),
        ((POSE, out(1, 2, 2)), Truth(targets=np.ones((5, 4), np.float32)), None),
        ((POSE, CLS), Truth(), 0),
    ],
    ids=range(13),
)
def test_the_output_is_found_by_what_fits_or_refused(outputs: tuple[Candidate, ...], truth: Truth, index: int | None) -> None:
    if index is None:
        with pytest.raises(UserError, match="can't be told"):
            chosen(outputs, truth)
        return
    found = chosen(outputs, truth)
    assert (found.output, found.named) == (index, False) and bool(found.how) == bool(truth)


@pytest.mark.parametrize("wanted", ["cls", "1"])
def test_a_named_output_is_taken(wanted: str) -> None:
    found = chosen((POSE, CLS), labels(0, 1), wanted)
    assert (found.output, found.name, found.named) == (1, "cls", True)


def measured(spec: TensorSpec, values: np.ndarray, scoring: Scoring, right: tuple[int, ...] | None, **more) -> Measurement:
    """A run whose windows answered `values`, real units [N, size]."""
    run = make_variant_run(windows=len(values))
    rows = [spec.quantize(v.reshape(spec.shape)).tobytes() for v in values]
    samples = tuple(replace(s, outputs=rows[s.index] if s.kind == "window" else rows[0]) for s in run.samples)
    settings = MeasurementSettings(scoring=scoring, **more)
    return replace(
        run, image=replace(run.image, outputs=(spec,)), samples=samples, labels=right, class_names=None, settings=settings
    )


SCORE = TensorSpec("s", (1, 1), "float32")


def test_a_sigmoid_is_scored_at_its_threshold() -> None:
    values = np.array([[0.9], [0.6], [0.5], [0.2], [0.7]])
    run = measured(SCORE, values, Scoring(K.BINARY, threshold=0.5), (1, 1, 1, 0, 0))
    found = evaluate(run).values
    assert found["accuracy"] == 0.6 and found["f1"] == pytest.approx(2 * 2 / 6) and found["auc"] == pytest.approx(4 / 6)
    document = variant_to_json(run)
    assert document["output"]["scored_as"] == "binary" and document["f1"] == found["f1"] and document["accuracy_reason"] is None


def test_an_argmax_inside_the_graph_is_the_class() -> None:
    spec = TensorSpec("class", (1,), "int32")
    run = measured(spec, np.array([[4], [2], [0]]), Scoring(K.CLASS_ID), (4, 2, 1))
    assert evaluate(run).values["accuracy"] == pytest.approx(2 / 3)


def test_the_second_output_is_scored_where_it_is_chosen() -> None:
    run = make_variant_run(windows=8)
    first = TensorSpec("pose", (1, 4), "float32")
    samples = tuple(replace(s, outputs=bytes(16) + s.outputs) for s in run.samples)
    run = replace(run, samples=samples, image=replace(run.image, outputs=(first, run.image.outputs[0])))
    settings = MeasurementSettings(scoring=Scoring(K.CLASSES, 1, "cls", named=True))
    assert evaluate(replace(run, settings=settings)).values["accuracy"] == 1.0


def test_cells_are_scored_one_by_one_and_give_no_accuracy() -> None:
    spec = TensorSpec("cells", (1, 2, 2, 2), "float32")
    values = np.zeros((3, 8), np.float32)
    values[:, 1::2] = 1  # class 1 everywhere
    run = measured(spec, values, Scoring(K.CELLS, reason="cells"), None, targets=((1, 1, 1, 1), (1, 1, 0, 0), (0, 0, 0, 0)))
    found = evaluate(run)
    assert (found.values["cell_accuracy"], found.values["accuracy"], found.hits) == (0.5, None, None)
    assert found.accuracy_reason == "cells"


def test_real_values_have_errors() -> None:
    spec = TensorSpec("v", (1, 2), "float32")
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    run = measured(spec, values, Scoring(K.REGRESSION, reason="real"), None, targets=((1.0, 2.0), (3.0, 6.0)))
    found = evaluate(run).values
    assert (found["mae"], found["rmse"]) == (0.5, 1.0)
    assert found["r2"] == pytest.approx(1 - 4 / (2 + 8))


def test_a_reconstruction_tells_anomalies_by_its_error() -> None:
    errors = (0.1, 0.2, 0.9, 0.3)
    run = measured(
        TensorSpec("v", (1, 3), "float32"), np.zeros((4, 3)), Scoring(K.RECONSTRUCTION), (0, 0, 1, 1), window_errors=errors
    )
    found = evaluate(run).values
    assert found["reconstruction_error"] == pytest.approx(0.375) and found["auc"] == 1.0 and found["accuracy"] is None


def doubts(run: Measurement) -> list[CautionKind]:
    return [caution.kind for caution in evaluate(run).cautions]


def of_classes(predicted: np.ndarray, right: np.ndarray | None, **more) -> Measurement:
    values = np.eye(3, dtype=np.float32)[predicted]
    scoring = Scoring(K.CLASSES if right is not None else K.NONE)
    return measured(TensorSpec("p", (1, 3), "float32"), values, scoring, None if right is None else tuple(right.tolist()), **more)


Y = np.arange(60) % 3


@pytest.mark.parametrize(
    ("run", "kinds"),
    [
        (lambda: of_classes(Y, Y), []),
        (lambda: of_classes(np.zeros(60, int), Y), [CautionKind.ONE_CLASS, CautionKind.CHANCE]),
        (lambda: of_classes((Y + 1) % 3, Y), [CautionKind.CHANCE]),
        (lambda: of_classes(np.zeros(60, int), np.zeros(60, int)), []),
        (lambda: of_classes(np.zeros(60, int), None), [CautionKind.ONE_CLASS]),
        (lambda: of_classes(np.zeros(60, int), None, random_windows=True), []),
        (lambda: of_classes(np.zeros(5, int), None), []),
    ],
    ids=range(7),
)
def test_answers_that_can_hardly_be_meant(run: Callable[[], Measurement], kinds: list[CautionKind]) -> None:
    assert doubts(run()) == kinds


@pytest.mark.parametrize(("errors", "kinds"), [([0.1] * 10 + [0.9] * 10, []), ([0.5, 0.4] * 10, [CautionKind.CHANCE])])
def test_an_auc_at_chance_is_said(errors: list[float], kinds: list[CautionKind]) -> None:
    spec, right = TensorSpec("v", (1, 3), "float32"), (0,) * 10 + (1,) * 10
    assert doubts(measured(spec, np.zeros((20, 3)), Scoring(K.RECONSTRUCTION), right, window_errors=tuple(errors))) == kinds


@pytest.mark.parametrize(("factor", "kinds"), [(1.0, []), (1000.0, [CautionKind.CHANCE])])
def test_targets_in_other_units_are_said(factor: float, kinds: list[CautionKind]) -> None:
    values = np.linspace(1, 2, 20)[:, None]
    targets = tuple((float(v) * factor,) for v in values[:, 0])
    assert doubts(measured(SCORE, values, Scoring(K.REGRESSION), None, targets=targets)) == kinds


def test_chance_of_an_argmax_counts_the_labels() -> None:
    """Of 5 classes, 40 % right is more than chance."""
    right = tuple(range(5)) * 20
    answered = np.array([v if i % 5 < 2 else (v + 1) % 5 for i, v in enumerate(right)])
    run = measured(TensorSpec("class", (1,), "int32"), answered[:, None], Scoring(K.CLASS_ID), right)
    assert doubts(run) == []


def test_warnings_are_kept_with_the_run_and_in_the_document() -> None:
    kept = (Caution(CautionKind.OUTPUT, "the second"),)
    run = of_classes(Y, Y, cautions=kept)
    stored = MeasurementSettings.from_json(run.settings.to_json())
    assert stored == run.settings
    assert variant_to_json(replace(run, settings=stored))["warnings"] == [{"kind": "output", "text": "the second"}]


def test_settings_of_another_version_are_kept_as_they_are() -> None:
    odd = {"scoring": {"kind": "of later"}, "cautions": [{"kind": "of later", "text": "x"}], "targets": [1, 2]}
    found = MeasurementSettings.from_json(odd)
    assert (found.scoring, found.cautions, found.targets) == (None, None, None)
    assert found.to_json() == odd
