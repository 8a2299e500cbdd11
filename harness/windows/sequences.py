"""Windows that belong to one recording: a model that keeps state sees them one after another, from its beginning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.windows.layout import SEE

NAMES = ("sequence", "sequences", "sequence_id")
"""Of the array, or of a CSV's column; upper and lower case are one."""


def places(ids: Sequence[object]) -> tuple[int, ...]:
    """For each window how many of its own sequence come before it: 0 where one begins."""
    found: list[int] = []
    for at, one in enumerate(ids):
        found.append(found[-1] + 1 if at and ids[at - 1] == one else 0)
    return tuple(found)


def check_sequences(values: np.ndarray, count: int, where: str) -> tuple[int, ...]:
    """[N] whole numbers or texts, equal ones side by side -> places(). Raises UserError."""
    if values.shape != (count,) or values.dtype.kind not in "iuUb":
        raise UserError(
            f"{where} does not say which windows belong together",
            expected=f"{count} whole numbers or texts, one for each window",
            received=f"{values.dtype} of shape {values.shape}",
            remedy=SEE,
        )
    ids = values.tolist()
    seen: set[object] = set()
    for at, one in enumerate(ids):
        if at and one == ids[at - 1]:
            continue
        if one in seen:
            raise UserError(
                f"{where}: the windows of sequence {one!r:.80} are not side by side",
                expected="all windows of one sequence in a row, in the order of time",
                received=f"another of them as window {at}, behind those of {ids[at - 1]!r:.80}",
                remedy="sort the windows by sequence, or number two recordings differently",
            )
        seen.add(one)
    return places(ids)
