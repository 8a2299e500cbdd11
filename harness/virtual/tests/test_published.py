"""The points of bench/published.py, in `make test` too: cycles that others published of real Cortex-M4 cores."""

from __future__ import annotations

import published


def test_published_points_are_met() -> None:
    found = published.estimates()
    beyond = {e.point.name: e.error for e in found if e.point.tolerance is not None and abs(e.error) > e.point.tolerance}
    assert len(found) > 20 and beyond == {}
