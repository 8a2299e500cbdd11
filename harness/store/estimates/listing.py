"""A metric's series as lines for other programs, each value with the ends of its band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinyrig.store.estimates.bands import Bands
from tinyrig.store.history import Series

_HEAD = ("metric", "variant", "board", "board_id", "timing")
_PLACE = ("run_id", "started", "night", "rerun", "comparable", "accepted")
COLUMNS = (*_HEAD, *_PLACE, "value", "low", "high")
"""As those of the export; `value` in the metric's unit, `low` and `high` empty where it has no band."""


def lines(found: Sequence[Series], known: Bands) -> Iterator[dict[str, Any]]:
    """Series by series, oldest first. `night` and `rerun` are None where the run belongs to no night."""
    for series in found:
        head = {name: getattr(series, name) for name in _HEAD}
        for place, value in zip(series.places, series.values, strict=True):
            low, high = known.of(series, place, value) or (None, None)
            night = {"night": place.night or None, "rerun": place.rerun if place.night else None}
            why = {"accepted": place.accepted or None}
            yield {**head, **place._asdict(), **night, **why, "value": value, "low": low, "high": high}
