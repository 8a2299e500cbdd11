"""The bands of a series: of each estimate that was stored with one, never of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyrig.core.records import BoardInfo, Run
from tinyrig.store.estimates.bands import bands
from tinyrig.store.history import series
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run

SILICON = BoardInfo("nano33ble", "00", 64_000_000, "measured")


def found(metric):
    """(run, value's band over the value) of every stored value."""
    old = make_variant_run("pqt", 24)
    cycles = float(old.samples[0].cycles)
    new = replace(old, settings=replace(old.settings, band={"low": cycles / 2, "high": 3 * cycles}))
    with Store("sqlite://") as store:
        for i, run in enumerate((old, new, replace(new, board=SILICON))):
            store.save(Run(f"r{i}", f"2026-01-0{i + 1}", (run,)))
        known = bands(store, [metric])
        every = (
            (one, place, value) for one in series(store, metric) for place, value in zip(one.places, one.values, strict=True)
        )
        return {place.run_id: (value, known.of(one, place, value)) for one, place, value in every}


@pytest.mark.parametrize("metric", ["latency_us_median", "latency_cycles_median", "cycles_per_mac"])
def test_only_an_estimate_that_was_stored_with_a_band_has_one(metric):
    known = found(metric)
    assert [known[run][1] for run in ("r0", "r2")] == [None, None], "an older row, and a measured one"
    value, (low, high) = known["r1"]
    assert low < value < high and high / low == pytest.approx(6)


def test_other_metrics_have_none():
    assert [band for _, band in found("flash_total").values()] == [None, None, None]
