"""The bands of stored estimates, for series of them. Older rows, and what was measured, have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tinyrig.analysis.metric_table import BANDED, END_METRICS, Ends, ends
from tinyrig.core.records import StoredVerdict
from tinyrig.store.history import Place, Series, all_series
from tinyrig.store.runs import Store

_MEDIAN = "latency_us_median"
_Key = tuple[str, str, Place]
"""Variant, board's id, place: two engines in one run are two places."""


@dataclass(frozen=True)
class Bands:
    """`known`: the median and both ends, us."""

    known: Mapping[_Key, Mapping[str, float | None]] = field(default_factory=dict)

    def of(self, series: Series, place: Place, value: float) -> Ends | None:
        """The value's band."""
        known = self.known.get((series.variant, series.board_id, place))
        return None if known is None else ends(series.metric, {**known, series.metric: value})

    def of_verdict(self, verdict: StoredVerdict) -> Ends | None:
        """That of its new value, where the run has one place alone."""
        places = [known for key, known in self._by_run.get(verdict.run_id, []) if key[:2] == (verdict.variant, verdict.board_id)]
        if len(places) != 1 or not isinstance(verdict.new, int | float):
            return None
        return ends(verdict.metric, {**places[0], verdict.metric: float(verdict.new)})

    @cached_property
    def _by_run(self) -> dict[str, list[tuple[_Key, Mapping[str, float | None]]]]:
        found: dict[str, list[tuple[_Key, Mapping[str, float | None]]]] = {}
        for key, values in self.known.items():
            found.setdefault(key[2].run_id, []).append((key, values))
        return found


def bands(
    store: Store, metrics: Sequence[str], variant: str | None = None, board: str | None = None, since: str | None = None
) -> Bands:
    """Of the same series as history.all_series finds. Nothing is read where none of `metrics` can have a band."""
    if not set(metrics) & set(BANDED):
        return Bands()
    found: dict[_Key, dict[str, float | None]] = {}
    for series in all_series(store, (_MEDIAN, *END_METRICS), variant, board, since):
        for place, value in zip(series.places, series.values, strict=True):
            found.setdefault((series.variant, series.board_id, place), {})[series.metric] = value
    return Bands({key: values for key, values in found.items() if len(values) == 1 + len(END_METRICS)})
