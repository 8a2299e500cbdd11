"""Two stored runs side by side: what differs is subtracted only where it may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.records import BoardInfo, Run
from tinyrig.store.comparison import compare, run_values
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run


def compared(*runs):
    with Store("sqlite://") as store:
        for i, variant_runs in enumerate(runs):
            store.save(Run(f"r{i}", "2026", tuple(variant_runs)))
        return compare(*(run_values(store, f"r{i}") for i in (0, 1)))


def test_the_same_twice_has_no_change():
    (pair,) = compared([make_variant_run()], [make_variant_run()])
    assert not pair.differences and not pair.notes and pair.rows
    assert all(row.change == 0 and row.better is None for row in pair.rows)


def test_changes_have_a_size_and_a_direction():
    base = make_variant_run("pqt", 240)
    right = 230
    worse = make_variant_run("pqt", 240)
    turned = {i: replace(s, outputs=s.outputs[1:] + s.outputs[:1]) for i, s in enumerate(worse.samples[:7])}
    broken = tuple(turned.get(i, s) for i, s in enumerate(worse.samples))
    footprint = replace(base.image.footprint, flash_engine=base.image.footprint.flash_engine - 100)
    worse = replace(worse, samples=broken, image=replace(base.image, footprint=footprint))
    (pair,) = compared([base], [worse])
    rows = {row.metric: row for row in pair.rows}
    flash, accuracy = rows["flash_model_total"], rows["accuracy"]
    assert (flash.change, flash.better) == (-100, True)
    assert flash.percent == pytest.approx(-100 * 100 / metric_values(base)["flash_model_total"])
    assert accuracy.first == right / 240 and accuracy.change == pytest.approx(-7 / 240) and accuracy.better is False
    assert pair.notes == ("the outputs differ", "7 windows lost, 0 won")


def test_another_board_is_named_and_nothing_is_subtracted():
    here = make_variant_run()
    there = replace(here, board=BoardInfo("nano33ble", "00", 64_000_000, "measured"))
    (pair,) = compared([here], [there])
    assert pair.differences == ("board: virtual in A, nano33ble in B", "timing: estimated in A, measured in B") and not pair.rows


def test_another_one_of_a_kind_is_noted_and_its_latency_is_noisy():
    first, second = (replace(make_variant_run(), board=BoardInfo("nano33ble", i, 64_000_000, "measured")) for i in ("00", "01"))
    (pair,) = compared([first], [second])
    assert pair.notes == ("another board of this kind: 00 in A, 01 in B",)
    noisy = {row.metric for row in pair.rows if row.noisy}
    assert "latency_cycles_median" in noisy and "flash_total" not in noisy


def test_other_windows_or_labels_are_not_compared():
    assert compared([make_variant_run(windows=9)], [make_variant_run(windows=8)])[0].differences[-1] == "windows: 9 in A, 8 in B"
    (pair,) = compared([make_variant_run(windows=9)], [replace(make_variant_run(windows=9), labels=None)])
    assert pair.differences[0].startswith("labels:")


def test_windows_of_other_values_are_named_where_both_runs_kept_them():
    first, second, old = (
        replace(run := make_variant_run(), settings=replace(run.settings, test_set=name)) for name in ("aaaa", "bbbb", None)
    )
    (pair,) = compared([first], [second])
    assert pair.differences == ("test windows changed (hash of their values): aaaa in A, bbbb in B",) and not pair.rows
    assert compared([old], [second])[0].rows and compared([first], [first])[0].rows


def test_variants_of_one_run_only_are_told():
    pqt, simple, pruned = (make_variant_run(name) for name in ("pqt", "simple", "pruned"))
    pairs = compared([pqt, simple], [simple, pruned])
    assert [(p.variant, p.differences) for p in pairs] == [("pqt", ("only in A",)), ("simple", ()), ("pruned", ("only in B",))]


def test_what_was_not_measured_has_no_change():
    (pair,) = compared([make_variant_run()], [replace(make_variant_run(), parity=None)])
    row = next(row for row in pair.rows if row.metric == "latency_cycles_median")
    assert row.first and row.second is None and row.change is None


def banded(run, low, high, layouts=None):
    return replace(run, settings=replace(run.settings, band={"low": low, "high": high, **(layouts or {})}))


def test_estimates_are_compared_at_both_ends_of_their_bands():
    run = make_variant_run("pqt", 24)
    median = metric_values(run)["latency_cycles_median"]
    (pair,) = compared([banded(run, median / 2, 2 * median)], [banded(run, median, 4 * median)])
    rows = {row.metric: row for row in pair.rows}
    row = rows["latency_cycles_median"]
    assert row.first_ends == pytest.approx((median / 2, 2 * median)) and row.second_ends == pytest.approx((median, 4 * median))
    assert row.change == 0 and row.moved, "only the ends differ"
    default, ends = rows["latency_us_median"].ratio
    assert default == 1 and ends == pytest.approx((2, 2))
    assert rows["cycles_per_mac"].ratio and rows["flash_total"].ratio is None
    assert not {"latency_us_low", "latency_us_high"} & rows.keys(), "the ends stand beside their median"
    assert len(pair.estimates) == 1 and "estimated" in pair.estimates[0]


@pytest.mark.parametrize("board", [BoardInfo("nano33ble", "00", 64_000_000, "measured"), None])
def test_without_a_band_nothing_is_said_of_ends(board):
    run = make_variant_run("pqt", 24)
    run = run if board is None else replace(run, board=board)
    (pair,) = compared([run], [run])
    assert all(row.first_ends is row.second_ends is row.ratio is None for row in pair.rows) and pair.estimates == ()
