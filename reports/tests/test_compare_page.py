"""Two runs as a page: what changed has both values, its size and its direction; what may not be compared is not subtracted."""

from __future__ import annotations

from dataclasses import replace

from tinyrig.core.records import Measurement, OpInfo, Run
from tinyrig.reports.compare.page import compare_page, headline
from tinyrig.reports.tests import night_stories as stories
from tinyrig.reports.tests.browser import needs_chromium, seen
from tinyrig.reports.tests.pages import ParsedPage
from tinyrig.reports.tests.run_stories import named, with_steps
from tinyrig.store.history import op_cycles
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run


def compared(first: tuple[Measurement, ...], second: tuple[Measurement, ...]) -> str:
    with Store("sqlite://") as store:
        store.save(Run("run-a", "2026-01-01", first))
        store.save(Run("run-b", "2026-01-02", second))
        return compare_page(store, "run-a", "run-b")


def test_changes_have_both_values_a_size_and_a_direction():
    run = make_variant_run("pqt", 64)
    text = ParsedPage(compared((run,), (stories.bigger(stories.slower(run, 1.05), 128),))).text
    assert "B against A: " in text and "worse" in text
    for words in ("flash of the model", "4,980 bytes", "5,108 bytes", "+128 bytes", "+2.57 %", "latency (median), estimated"):
        assert words in text, words
    assert "Steps that differ most: 1 CONV_2D model/conv_2d +3,774 cycles (+5.4 %)" in text and "(estimated cycles)" in text


def test_the_same_twice():
    run = make_variant_run("pqt", 64)
    text = ParsedPage(compared((run,), (run,))).text
    assert "B is as A in every metric" in text and "metrics are the same" in text and "No step differs" in text


def test_what_may_not_be_compared_is_not_subtracted():
    run = make_variant_run("pqt", 64)
    other = replace(run, image=replace(run.image, engine="portable"))
    page = compared((run, named(run, "only")), (other,))
    text = ParsedPage(page).text
    assert "Nothing of these runs can be compared" in text and "engine: tinyrig in A, portable in B" in text
    assert "only in A" in text and "<svg" not in page


def test_a_physical_boards_latency_is_no_verdict():
    run = replace(make_variant_run("pqt", 64), board=stories.SILICON)
    text = ParsedPage(compared((run,), (stories.slower(run, 1.05),))).text
    assert "moved, perhaps by chance" in text and "worse" not in text.split("?")[0]


def test_other_steps_stand_one_after_the_other():
    run = make_variant_run("pqt", 64)
    fused = replace(run, image=replace(run.image, ops=(OpInfo(0, "CONV_2D+MEAN", "x"), *run.image.ops[1:])))
    page = compared((run,), (fused,))
    assert "other steps" in page and page.count('class="ground"') == 10


def test_wrong_outputs_have_no_cost_of_steps():
    """Nor on the page of nights, which asks for the same cycles."""
    run = make_variant_run("pqt", 64)
    wrong = replace(run, parity=replace(run.parity, mismatched_windows=3, first_mismatch=5))
    with Store("sqlite://") as store:
        store.save(Run("run-a", "2026-01-01", (wrong,)))
        assert op_cycles(store, "run-a", "pqt") == []
    page = compared((run,), (wrong,))
    assert "<svg" not in page and "metrics not measured in one of them" in page and "1 worse, " in page  # its mismatches
    assert "✗ not measured" in page and "≠ same" not in page
    assert '<div class="banner rig"' in compared((run,), (replace(run, parity=None),))  # says nothing of the model


@needs_chromium
def test_the_page_fits_and_hostile_names_stay_text(tmp_path):
    run = named(with_steps(make_variant_run("pqt", 64), 60, stories.HOSTILE + "/{}{}"), stories.HOSTILE)
    page = compared((run,), (stories.slower(run, 1.1),))
    assert "<script" not in page and ParsedPage(page).faults == [] and len(page) < 500_000
    for width in (1280, 390):
        seen(page, tmp_path, width).check(width)


def test_headlines():
    assert headline([]) == ("rig", "Nothing of these runs can be compared")


def test_estimates_show_their_band_and_the_ratio_at_both_ends():
    run = make_variant_run("pqt", 64)
    first = replace(run, settings=replace(run.settings, band={"low": 64_000.0, "high": 128_000.0}))  # 1 and 2 ms at 64 MHz
    second = replace(first, settings=replace(run.settings, band={"low": 64_000.0, "high": 160_000.0}))
    text = ParsedPage(compared((first,), (second,))).text
    assert "(1,000.0-2,000.0) us" in text and "B / A: 1.000 (1.000-1.250)" in text and "low and the high end" in text
    without = ParsedPage(compared((run,), (run,))).text
    assert "B / A" not in without and "low and the high end" not in without
