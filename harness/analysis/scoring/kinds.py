"""An output and what is known of the windows' right answers -> the kind of score, and why there is no accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import ScoreKind

Kind = tuple[ScoreKind, str, float | None]
"""(kind, why there is no accuracy, threshold in real units)."""
THRESHOLDS = {"LOGISTIC": 0.5, "TANH": 0.0}
"""What makes a single score -> beyond what it means class 1."""
_SIGMOID = (1 / 256, -128)
"""Scale and zero point that every converter gives an int8 sigmoid."""


@dataclass(frozen=True)
class Candidate:
    """An output of the model: all that it may be called, and the operator that gives it its meaning (empty: not known)."""

    spec: TensorSpec
    names: tuple[str, ...] = ()
    maker: str = ""

    @property
    def name(self) -> str:
        return self.names[0] if self.names else self.spec.name

    @property
    def dims(self) -> tuple[int, ...]:
        """Of the shape, those above 1: batches and added ones say nothing."""
        return tuple(d for d in self.spec.shape if d != 1)

    @property
    def is_integer(self) -> bool:
        """Whether its values are numbers or truths as such, not quantised ones."""
        return not self.spec.scale and np.dtype(self.spec.dtype).kind in "iub"

    @property
    def is_class_id(self) -> bool:
        return self.is_integer and self.spec.size == 1

    @property
    def is_scores(self) -> bool:
        """Whether it can be one score for each class."""
        return len(self.dims) == 1 and self.maker not in ("ARG_MAX", "ARG_MIN") and self.spec.dtype != "bool"


@dataclass(frozen=True)
class Truth:
    """What the windows' file says is right. `labels` N classes; `one_hot`: how many columns they came in. `targets` [N, ...]
    instead of them: float32 for real values, int64 for a class in each cell."""

    labels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    targets: np.ndarray | None = None
    one_hot: int | None = None

    def __bool__(self) -> bool:
        return self.labels is not None or self.targets is not None

    def __str__(self) -> str:
        if self.targets is not None:
            return f"targets of shape {self.targets.shape[1:]}"
        named = f", {len(self.class_names)} class names" if self.class_names else ""
        return f"labels from {min(self.labels)} to {max(self.labels)}{named}" if self.labels else "no labels"

    @property
    def class_count(self) -> int | None:
        """How many classes there are, where somebody says so."""
        return len(self.class_names) if self.class_names is not None else self.one_hot


def of_labels(output: Candidate, labels: Sequence[int]) -> Kind:
    """Of one class a window. Raises UserError where the output can't mean such classes."""
    if output.is_class_id:
        return ScoreKind.CLASS_ID, "", None
    if output.spec.size == 1:
        return _of_one_value(output, labels)
    if output.is_scores:
        return ScoreKind.CLASSES, "", None
    what = f"a grid of shape {output.dims}" if len(output.dims) > 1 else f"{output.spec.size} whole numbers"
    return ScoreKind.NONE, f"the output {output.name!r} is {what}, and y has one label a window", None


def _of_one_value(output: Candidate, labels: Sequence[int]) -> Kind:
    threshold = THRESHOLDS.get(output.maker)
    if threshold is None and output.spec.dtype == "int8" and (output.spec.scale, output.spec.zero_point) == _SIGMOID:
        threshold = 0.5
    if output.maker == "SOFTMAX":
        return ScoreKind.NONE, "the output is a softmax over one value, which is always 1", None
    two = set(labels) <= {0, 1}
    if threshold is not None and not two:
        raise UserError(
            f"y does not fit the model's output {output.name!r}",
            expected="labels 0 and 1: the output is one score",
            received=f"labels from {min(labels)} to {max(labels)}",
            remedy="give labels 0 and 1, or a model with a score for each class",
        )
    if threshold is not None:
        return ScoreKind.BINARY, "", threshold
    if two:
        reason = "the output is one score whose threshold is not known (neither sigmoid nor tanh): only its AUC is given"
        return ScoreKind.RANKING, reason, None
    return ScoreKind.REGRESSION, "the output is one real value: y are taken as its targets", None


def of_targets(output: Candidate, targets: np.ndarray) -> Kind:
    """Of several values a window, or real ones. Raises UserError where their number is not the output's."""
    if targets.dtype.kind in "iu" and is_grid(output, targets):
        return ScoreKind.CELLS, "the output has a class in each cell: their accuracy is given instead", None
    if math.prod(targets.shape[1:]) != output.spec.size:
        raise UserError(
            f"y does not fit the model's output {output.name!r}",
            expected=f"labels, or targets of shape {output.spec.shape} for each window",
            received=f"{targets.dtype} of shape {targets.shape}",
            remedy="see docs/inputs.md for what y may be, and --output for another output",
        )
    if output.is_integer:
        return ScoreKind.NONE, f"the output {output.name!r} is whole numbers, and y has {targets.dtype} targets", None
    if output.maker == "LOGISTIC" and output.spec.size > 1 and np.isin(targets, (0, 1)).all():
        return ScoreKind.NONE, "y has several labels a window (multi-label)", None
    return ScoreKind.REGRESSION, "y are real values: errors are given instead", None


def fits_targets(output: Candidate, targets: np.ndarray) -> bool:
    real = targets.dtype.kind == "f" or not output.is_integer
    return is_grid(output, targets) or (real and math.prod(targets.shape[1:]) == output.spec.size)


def is_grid(output: Candidate, targets: np.ndarray) -> bool:
    """Whether whole targets name a class in each cell of the output."""
    cells = output.dims if output.is_integer else output.dims[:-1]
    named = tuple(d for d in targets.shape[1:] if d != 1)
    return targets.dtype.kind in "iu" and bool(cells) and (named == cells or named == (math.prod(cells),))


def of_same_shape(output: Candidate, inputs: Sequence[TensorSpec], truth: Truth) -> Kind | None:
    """Of an output that may be the input again, as an autoencoder's: without labels, and where they are 0 and 1 (an anomaly).
    None where it is something else. Other labels may be classes or kinds of recordings: class names decide, nothing else."""
    same = len(inputs) == 1 and tuple(d for d in inputs[0].shape if d != 1) == output.dims
    if not same or output.spec.size <= 2 or output.is_integer or output.maker == "SOFTMAX" or truth.targets is not None:
        return None
    if truth.class_count == output.spec.size:
        return None
    if (truth.labels is None or set(truth.labels) <= {0, 1}) and truth.class_count in (None, 2):
        return ScoreKind.RECONSTRUCTION, "the output has the input's shape: its reconstruction error is given instead", None
    if truth.labels is not None and len(output.dims) == 1 and max(truth.labels) + 1 < output.spec.size:
        reason = "the output has the input's shape and may be a reconstruction or a score for each class: class_names would tell"
        return ScoreKind.NONE, reason, None
    return None
