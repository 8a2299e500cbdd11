"""How far the streaming is, and how many windows are right so far."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.core.records import Sample, TensorSpec
from tinyrig.core.scoring import ScoreKind, Scoring
from tinyrig.host.progress import Streamed
from tinyrig.measure import sampling
from tinyrig.measure.parity import rightness
from tinyrig.measure.sampling import Followed

HEADS = (TensorSpec("pose", (1, 2), "int8", 0.1, 0), TensorSpec("cls", (1, 3), "int8", 0.1, 0))
SECOND = Scoring(ScoreKind.CLASSES, 1, "cls")


def window(index: int, *values: int) -> Sample:
    return Sample("window", index, np.asarray(values, np.int8).tobytes(), 1)


def test_right_answers_are_counted_as_they_come(monkeypatch) -> None:
    seen: list[Streamed] = []
    kept: list[Sample] = []
    monkeypatch.setattr(sampling, "streamed", seen.append)
    follow = Followed(kept.append, 3, rightness(SECOND, HEADS, (2, 0, 1)), [window(0, 9, 9, -5, 0, 7)])
    follow(window(1, 9, 9, -5, 0, 7))
    follow(window(2, 9, 9, -5, 9, 7))
    follow(Sample("repeat", 0, b"", 1))
    assert seen == [Streamed(1, 3, 1, 1), Streamed(2, 3, 1, 2), Streamed(3, 3, 2, 3)] and len(kept) == 3


@pytest.mark.parametrize(
    ("scoring", "labels"), [(SECOND, None), (Scoring(ScoreKind.NONE), (0, 1)), (Scoring(ScoreKind.RECONSTRUCTION), (0, 1))]
)
def test_where_nothing_is_scored_nothing_is_judged(scoring, labels) -> None:
    assert rightness(scoring, HEADS, labels)(window(0, 1, 2, 3, 4, 5)) is None


def test_one_value_is_judged_by_its_threshold() -> None:
    output = (TensorSpec("y", (1, 1), "int8", 1 / 256, -128),)
    right = rightness(Scoring(ScoreKind.BINARY, 0, "y", threshold=0.5), output, (1, 1))
    assert right(window(0, 100)) is True and right(window(1, -100)) is False
