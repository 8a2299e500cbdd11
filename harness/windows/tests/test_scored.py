"""From a model file and a windows file to what is scored, and to what a stored run needs for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import CautionKind, ScoreKind, Scoring
from tinyrig.tests import head_models as heads
from tinyrig.windows.labels import Answers
from tinyrig.windows.scored import labels_for, output_caution, scoring_for, targets_for, window_errors

K = ScoreKind
TWO, THREE = Answers((0, 1, 1)), Answers((0, 1, 2))


@pytest.mark.parametrize(
    ("model", "answers", "kind"),
    [
        (heads.classes, THREE, K.CLASSES),
        (heads.one_score, TWO, K.BINARY),
        (lambda: heads.one_score("TANH"), TWO, K.BINARY),
        (lambda: heads.one_score(""), TWO, K.RANKING),
        (lambda: heads.one_score(""), THREE, K.REGRESSION),
        (heads.class_id, Answers((0, 4, 2)), K.CLASS_ID),
        (heads.grid, THREE, K.NONE),
        (heads.grid, Answers(targets=np.ones((3, 2, 2), np.int64)), K.CELLS),
        (heads.values, Answers(targets=np.ones((3, 2), np.float32)), K.REGRESSION),
        (heads.same_again, TWO, K.RECONSTRUCTION),
        (heads.same_again, Answers(), K.RECONSTRUCTION),
        (heads.image_int8, THREE, K.CLASSES),
    ],
    ids=range(12),
)
def test_the_models_own_last_operator_tells_what_its_output_means(
    model: Callable[[], bytes], answers: Answers, kind: ScoreKind
) -> None:
    data = model()
    compiled = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    found = scoring_for(data, compiled.inputs, compiled.outputs, answers)
    assert found.kind == kind
    assert scoring_for(data, compiled.inputs, compiled.outputs, Answers(), random=True).kind == K.NONE


def test_the_output_that_is_taken_is_said_unless_it_was_named() -> None:
    data = heads.two_heads()
    compiled = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    found = scoring_for(data, compiled.inputs, compiled.outputs, THREE)
    (caution,) = output_caution(found, compiled.outputs)
    assert caution.kind == CautionKind.OUTPUT and "output 1 'cls'" in caution.text
    for wanted in ("cls", "1", "StatefulPartitionedCall:0"):
        named = scoring_for(data, compiled.inputs, compiled.outputs, THREE, wanted)
        assert (named.output, output_caution(named, compiled.outputs)) == (1, ())


def test_labels_that_are_targets_are_kept_as_such() -> None:
    real, cells = Scoring(K.REGRESSION), Scoring(K.CELLS)
    assert (targets_for(real, Answers((3, -1))), labels_for(real, Answers((3, -1)))) == (((3,), (-1,)), None)
    assert targets_for(cells, Answers(targets=np.array([[[1, 0], [0, 1]]]))) == ((1, 0, 0, 1),)
    assert (targets_for(Scoring(K.CLASSES), THREE), labels_for(Scoring(K.CLASSES), THREE)) == (None, (0, 1, 2))


def test_a_reconstructions_error_is_in_real_units_whatever_the_quantisation() -> None:
    given, back = TensorSpec("in", (1, 2), "int8", 0.5, 0), TensorSpec("out", (1, 2), "int8", 0.25, 4)
    inputs = [given.quantize(np.array([[1.0, 2.0]])), given.quantize(np.array([[0.0, 0.0]]))]
    outputs = [back.quantize(np.array([[1.0, 2.0]])), back.quantize(np.array([[1.0, 2.0]]))]
    assert window_errors(Scoring(K.RECONSTRUCTION), given, inputs, back, outputs) == (0.0, 2.5)
    assert window_errors(Scoring(K.CLASSES), given, inputs, back, outputs) is None


def test_a_reconstruction_that_is_not_finite_has_no_errors() -> None:
    """NaN can't be stored."""
    spec = TensorSpec("v", (1, 2), "float32")
    bad = [np.array([[np.nan, 0]], np.float32)]
    assert window_errors(Scoring(K.RECONSTRUCTION), spec, [np.zeros((1, 2), np.float32)], spec, bad) is None
