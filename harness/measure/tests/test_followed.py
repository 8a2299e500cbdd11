"""How far the streaming is, and how many windows are right so far."""

from __future__ import annotations

import numpy as np

from tinyrig.core.records import Sample, TensorSpec
from tinyrig.host.progress import Streamed
from tinyrig.measure import sampling
from tinyrig.measure.sampling import Followed
from tinyrig.workload.windows import Windows

SPEC = TensorSpec("y", (1, 3), "int8", 0.1, 0)


def window(index: int, *scores: int) -> Sample:
    return Sample("window", index, np.asarray(scores, np.int8).tobytes(), 1)


def windows(labels: tuple[int, ...] | None) -> Windows:
    return Windows(tuple((np.zeros(1, np.int8),) for _ in range(3)), labels)


def test_right_answers_are_counted_as_they_come(monkeypatch) -> None:
    seen: list[Streamed] = []
    kept: list[Sample] = []
    monkeypatch.setattr(sampling, "streamed", seen.append)
    follow = Followed(kept.append, windows((2, 0, 1)), SPEC, [window(0, -5, 0, 7)])
    follow(window(1, -5, 0, 7))
    follow(window(2, -5, 9, 7))
    follow(Sample("repeat", 0, b"", 1))
    assert seen == [Streamed(1, 3, 1, 1), Streamed(2, 3, 1, 2), Streamed(3, 3, 2, 3)] and len(kept) == 3


def test_without_labels_or_classes_nothing_is_judged(monkeypatch) -> None:
    seen: list[Streamed] = []
    monkeypatch.setattr(sampling, "streamed", seen.append)
    Followed(lambda _: None, windows(None), SPEC)(window(0, 1, 2, 3))
    Followed(lambda _: None, windows((0, 1, 0)), TensorSpec("y", (1, 1), "int8"))(window(0, 1))
    assert [now.judged for now in seen] == [0] * 4
