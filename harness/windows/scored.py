"""A model's outputs and what the windows' file says is right -> what is scored, with what a later report needs for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyrig.analysis.scoring.choose import Question, choose
from tinyrig.analysis.scoring.kinds import Candidate, Truth
from tinyrig.analysis.scoring.measures import squared_errors
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import Caution, CautionKind, ScoreKind, Scoring
from tinyrig.windows.ends import ends
from tinyrig.windows.labels import Answers


def scoring_for(
    data: bytes,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    answers: Answers,
    wanted: str | None = None,
    random: bool = False,
) -> Scoring:
    """`data`: the .tflite; `inputs`, `outputs` as compiled; `wanted`: the user's --output. Raises UserError where labels don't
    fit or could belong to several outputs."""
    called = ends(data)[1]
    candidates = tuple(Candidate(spec, end.names, end.maker) for spec, end in zip(outputs, called, strict=True))
    truth = Truth(answers.labels, answers.class_names, answers.targets, answers.one_hot)
    return choose(Question(candidates, tuple(inputs), truth, wanted, random))


def targets_for(scoring: Scoring, answers: Answers) -> tuple[tuple[float, ...], ...] | None:
    """The right answers of each window, where they are no labels."""
    if scoring.kind not in (ScoreKind.REGRESSION, ScoreKind.CELLS):
        return None
    rows = np.asarray(answers.labels) if answers.targets is None else answers.targets
    return tuple(tuple(row.tolist()) for row in rows.reshape(len(rows), -1))


def labels_for(scoring: Scoring, answers: Answers) -> tuple[int, ...] | None:
    """Labels that are classes; None where they are targets."""
    return None if scoring.kind == ScoreKind.REGRESSION else answers.labels


def window_errors(
    scoring: Scoring, spec: TensorSpec, inputs: Sequence[np.ndarray], outputs: TensorSpec, answered: Sequence[np.ndarray]
) -> tuple[float, ...] | None:
    """Mean squared difference between each window and the output that should be the same, in real units; None where the output
    is no reconstruction, or not finite. `spec` and `outputs` describe the tensors, one array each a window."""
    if scoring.kind != ScoreKind.RECONSTRUCTION:
        return None
    given, back = (np.stack([t.dequantize(a).reshape(-1) for a in arrays]) for t, arrays in ((spec, inputs), (outputs, answered)))
    with np.errstate(over="ignore", invalid="ignore"):
        found = squared_errors(back, given)
    return tuple(float(v) for v in found) if np.isfinite(found).all() else None


def output_caution(scoring: Scoring, outputs: Sequence[TensorSpec]) -> tuple[Caution, ...]:
    """Where nobody named the output and several could have been meant, which one was taken is said."""
    if len(outputs) == 1 or scoring.kind == ScoreKind.NONE or scoring.named:
        return ()
    text = (
        f"the labels are compared with output {scoring.output} {scoring.name!r}: {scoring.how}; --output NAME|N chooses another"
    )
    return (Caution(CautionKind.OUTPUT, text),)
