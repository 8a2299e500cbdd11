"""Which output the labels belong to, and how it is scored. What sizes and names don't decide is refused, never guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyrig.analysis.scoring import kinds
from tinyrig.analysis.scoring.kinds import Candidate, Truth
from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import ScoreKind, Scoring

_REMEDY = "choose one: --output NAME or --output N; see docs/inputs.md"


@dataclass(frozen=True)
class Question:
    """`wanted`: the user's --output, a name or an index, None where nothing was said. `random`: the windows are random ones."""

    outputs: tuple[Candidate, ...]
    inputs: tuple[TensorSpec, ...]
    truth: Truth
    wanted: str | None = None
    random: bool = False


def choose(asked: Question) -> Scoring:
    """Raises UserError where several outputs could be meant, and where labels or class names don't fit the one that is."""
    index, how = _output(asked)
    chosen = asked.outputs[index]
    kind, reason, threshold = _how(asked, chosen)
    _check(kind, chosen, asked.truth)
    return Scoring(kind, index, chosen.name, how, reason, threshold, asked.wanted is not None)


def _how(asked: Question, chosen: Candidate) -> tuple[ScoreKind, str, float | None]:
    """(kind, why there is no accuracy, threshold)."""
    if asked.random:
        return ScoreKind.NONE, "random windows have no labels", None
    if found := kinds.of_same_shape(chosen, asked.inputs, asked.truth):
        return found
    if asked.truth.targets is not None:
        return kinds.of_targets(chosen, asked.truth.targets)
    if asked.truth.labels is not None:
        return kinds.of_labels(chosen, asked.truth.labels)
    return ScoreKind.NONE, "the windows carry no labels", None


# ---- the output ----


def _output(asked: Question) -> tuple[int, str]:
    """(index, why it was taken; empty where there is only one)."""
    outputs, truth = asked.outputs, asked.truth
    if asked.wanted is not None:
        return _named(outputs, asked.wanted), "asked for with --output"
    if len(outputs) == 1:
        return 0, ""
    if asked.random or not truth:
        return 0, ""
    for found, how in _evidence(outputs, truth):
        if len(found) == 1:
            return found[0], f"of {len(outputs)} outputs the only one {how}"
        if found:
            break
    raise UserError(
        "which of the model's outputs the labels belong to can't be told",
        expected="one output that fits",
        received=listed(outputs) + f"; {truth}",
        remedy=_REMEDY,
    )


def _named(outputs: Sequence[Candidate], wanted: str) -> int:
    by_name = [i for i, c in enumerate(outputs) if wanted in c.names]
    if len(by_name) == 1:
        return by_name[0]
    if not by_name and wanted.isdecimal() and int(wanted) < len(outputs):
        return int(wanted)
    raise UserError(
        f"--output {wanted!r} names no output of the model" if not by_name else f"--output {wanted!r} names several outputs",
        expected=f"one of {listed(outputs)}",
        received=wanted,
        remedy="give a name or the number before it",
    )


def listed(outputs: Sequence[Candidate]) -> str:
    """`0 'pose' (1, 4) float32, 1 'cls' (1, 3) float32`."""
    return ", ".join(f"{i} {c.name!r} {c.spec.shape} {c.spec.dtype}" for i, c in enumerate(outputs))


def _evidence(outputs: Sequence[Candidate], truth: Truth) -> list[tuple[list[int], str]]:
    """The outputs that each kind of evidence leaves, the strongest first; the first that leaves any decides."""
    if truth.targets is not None:
        shape = truth.targets.shape[1:]
        fitting = [i for i, c in enumerate(outputs) if kinds.fits_targets(c, truth.targets)]
        return [(fitting, f"that fits targets of shape {shape}")]
    labels, scores = truth.labels or (0,), [(i, c.spec.size) for i, c in enumerate(outputs) if c.is_scores]
    ids = [i for i, c in enumerate(outputs) if c.is_class_id]
    two = set(labels) <= {0, 1}
    single = [i for i, c in enumerate(outputs) if two and kinds.of_labels(c, labels)[0] == ScoreKind.BINARY]
    if (count := truth.class_count) is not None:
        exact = [i for i, size in scores if size == count] + (single if count == 2 else [])
        return [(exact, f"for {count} classes, as y or class_names tell"), (ids, "that names a class")]
    most = max(labels)
    sizes = (most + 1, most) if min(labels) == 1 else (most + 1,)  # labels may begin at 1, and then mean the smaller one
    exact = [i for i, size in scores if size in sizes] + single
    fitting = [i for i, size in scores if size > most] + single + ids
    return [(exact, f"for {most + 1} classes, and the labels run to {most}"), (fitting, "that can name every label")]


# ---- whether it fits ----


def _check(kind: ScoreKind, chosen: Candidate, truth: Truth) -> None:
    """Raises UserError for class names or labels that the output has no value for: such a window would count as wrong."""
    count = {ScoreKind.CLASSES: chosen.spec.size, ScoreKind.BINARY: 2}.get(kind)
    if kind == ScoreKind.CELLS and not chosen.is_integer:
        count = chosen.dims[-1]
    if kind == ScoreKind.NONE and chosen.is_scores and not truth.labels and truth.targets is None:
        count = chosen.spec.size
    if count is None:
        return
    if truth.class_names is not None and len(truth.class_names) != count:
        raise UserError(
            f"class_names do not match the model's output {chosen.name!r}",
            expected=f"{count} names",
            received=f"{len(truth.class_names)}: {', '.join(truth.class_names)}"[:200],
            remedy="give a name for each value of the output, or choose another one: --output NAME|N",
        )
    _check_labels(chosen, truth, count)


def _check_labels(chosen: Candidate, truth: Truth, count: int) -> None:
    if truth.one_hot is not None and truth.one_hot != count:
        raise UserError(
            f"y does not match the model's output {chosen.name!r}",
            expected=f"labels from 0 to {count - 1}, or {count} columns of one-hot labels",
            received=f"{truth.one_hot} columns",
            remedy="give a column for each value of the output, or choose another one: --output NAME|N",
        )
    values = np.asarray(truth.targets if truth.targets is not None else truth.labels or (0,))
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < count:
        return
    row = int(np.argmax(((values < 0) | (values >= count)).reshape(len(values), -1).any(axis=1)))
    from_one = low == 1 and high == count
    raise UserError(
        "y has a label out of range" + (": the labels begin at 1, the model's classes at 0" if from_one else ""),
        expected=f"labels from 0 to {count - 1}, indices into the model's output {chosen.name!r}",
        received=f"{low} to {high}" if from_one else f"{high if high >= count else low}, the first in row {row}",
        remedy="store y - 1" if from_one else "give the labels that the model was trained with; see docs/inputs.md",
    )


def cells_of(chosen: Candidate) -> int:
    """How many cells a grid has."""
    return math.prod(chosen.dims if chosen.is_integer else chosen.dims[:-1])
