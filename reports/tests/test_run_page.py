"""A run's page says what was measured, whether it was verified, and how each number came about."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tinyrig.core.records import Claim, ClaimStatus, Measurement, NotMeasured, Run
from tinyrig.core.scoring import ScoreKind, Scoring
from tinyrig.reports.charts import svg
from tinyrig.reports.run.report import report_of
from tinyrig.reports.run.sections import sections
from tinyrig.reports.run_page import panels
from tinyrig.reports.run_page.confusion import confusion
from tinyrig.reports.run_page.page import banner, run_page
from tinyrig.reports.run_page.tiles import BAD, GOOD, RIG, cards
from tinyrig.reports.tests.night_stories import HOSTILE
from tinyrig.reports.tests.pages import ParsedPage
from tinyrig.reports.tests.run_stories import hostile_run, many_variants, two_engines, with_steps
from tinyrig.tests.fake_runs import make_run, make_variant_run


def page_of(*runs: Run) -> str:
    return run_page(report_of(runs))


def tiles_of(run: Run) -> list[dict[str, tuple[str, str, str]]]:
    (section,) = sections([run])
    return [{tile.title: (tile.value, tile.note, tile.tone) for tile in card.tiles} for card in cards(section)]


@pytest.mark.parametrize("make", [make_run, many_variants, two_engines, hostile_run])
def test_a_page_is_one_small_balanced_file_that_fetches_nothing(make):
    source = page_of(make())
    page = ParsedPage(source)
    assert page.faults == [] and page.values("src") == [] and all(link.startswith("#") for link in page.values("href"))
    assert len(source) < 500_000 and "default-src 'none'" in source
    assert len(page.values("id")) == len(set(page.values("id"))) and set(page.values("href")) <= {
        f"#{i}" for i in page.values("id")
    }
    drawings = [label for tag, name, label in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(drawings) == source.count("<svg") and all(len(label) > 20 for label in drawings)


def test_tiles_have_the_numbers_their_intervals_and_their_labels():
    simple, *_, pqt = tiles_of(make_run())
    assert simple["outputs against the oracle"] == ("verified", "all 240 windows agree with tflm", GOOD)
    assert simple["top-1 accuracy"][:2] == ("98.33 %", "95 %: 95.79-99.35 %, 240 windows")
    assert pqt["latency, estimated"][0] == "1.180 ms" and "estimated; median of 270" in pqt["latency, estimated"][1]
    assert pqt["RAM of the model"][:2] == ("2,472 B", "arena 2,140 + static 88 + stack 244")
    assert pqt["flash of the model"][:2] == ("4,980 B", "weights 1,180 + engine 3,800")


def test_what_is_not_verified_has_no_time_anywhere_on_the_page():
    wrong = make_variant_run("pqt")
    wrong = replace(wrong, parity=replace(wrong.parity, mismatched_windows=3, first_mismatch=5))
    run = replace(make_run(), runs=(wrong,))
    (tiles,) = tiles_of(run)
    assert tiles["outputs against the oracle"][0] == "not verified" and tiles["latency, estimated"][0] == "none"
    assert banner(report_of([run])).tone == BAD
    text = ParsedPage(page_of(run)).text
    assert "1.180 ms" not in text and "75,486" not in text and "75,483" not in text


def test_claims_are_counted_and_the_failed_are_named():
    claims = (Claim("parity", ClaimStatus.PASSED), Claim("max-ram", ClaimStatus.FAILED, "2,472 B, 424 B over 2 KiB"))
    run = Run("r", "2026", (make_variant_run("pqt", claims=claims),))
    (tiles,) = tiles_of(run)
    assert tiles["claims and budgets"] == ("1 failed", "max-ram: 2,472 B, 424 B over 2 KiB", BAD)
    found = banner(report_of([run]))
    assert (found.tone, found.title) == (BAD, "1 claim failed") and "424 B over" in found.lines[0]
    source = page_of(run)
    assert "Limits and budgets" not in source  # no number was compared
    numbers = (
        replace(claims[1], limit=2048.0, value=2472.0, unit="bytes"),
        Claim("max_latency", ClaimStatus.PASSED, "", 5000.0, 1179.5, "us"),
    )
    source = page_of(Run("r", "2026", (make_variant_run("pqt", claims=numbers),)))
    assert (
        "2,472 bytes of 2,048 bytes, 121 %" in source and "1,179.5 us of 5,000.0 us, 24 %" in source and 'class="over"' in source
    )
    assert "Claims and budgets in numbers" in source
    open_ = (Claim("parity", ClaimStatus.PASSED), Claim("accuracy", ClaimStatus.NOT_MEASURED, "no labels"))
    (tiles,) = tiles_of(Run("r", "2026", (make_variant_run("pqt", claims=open_),)))
    assert tiles["claims and budgets"] == ("1 passed", "parity; not measured: accuracy", GOOD)


def test_a_fault_of_the_rig_is_no_verdict_on_a_model():
    lost = NotMeasured("simple", "the board is gone\n  remedy: look for it", "link")
    for names in (("pqt",), ()):
        run = replace(make_run(names=names), not_measured=(lost,))
        assert banner(report_of([run])).tone == RIG
        assert "says nothing about a model" in page_of(run) and "the board is gone" in page_of(run)
    unverified = Run("r", "2026", (make_variant_run("pqt", parity=None),))
    assert banner(report_of([unverified])).tone == RIG and banner(report_of([make_run()])).tone == GOOD


def test_every_latency_and_cycle_says_estimated_or_measured():
    for timing in ("estimated", "measured"):
        run = make_variant_run("pqt")
        text = ParsedPage(page_of(Run("r", "2026", (replace(run, board=replace(run.board, timing=timing)),)))).text
        for chapter in ("latency, {}", "How the latency is distributed ({})", "Cost of each step ({} cycles)", "Timing: {}"):
            assert chapter.format(timing) in text
        assert ("measured cycles" if timing == "estimated" else "estimated") not in text


def test_runs_that_differ_are_parts_with_scales_of_their_own():
    silicon = make_run("b", names=("pqt",))
    silicon = replace(silicon, runs=tuple(replace(r, board=replace(r.board, timing="measured")) for r in silicon.runs))
    source = page_of(make_run("a", names=("pqt",)), silicon)
    assert "Part 1: virtual, estimated cycles, glove" in source and "Part 2: virtual, measured cycles, glove" in source


def test_confusion_counts_precision_and_recall():
    found = confusion(make_variant_run("simple", 240))  # the last 4 windows, of classes 4 to 7, answered the next class
    assert np.asarray(found.counts).sum() == 240 and [found.counts[i][(i + 1) % 8] for i in range(8)] == [0] * 4 + [1] * 4
    assert (
        found.recall[7] == pytest.approx(29 / 30) and found.precision[4] == 1.0 and found.precision[0] == pytest.approx(30 / 31)
    )
    assert found.pairs[0] == ("object 4", "object 5", 1) and found.as_matrix
    assert confusion(make_variant_run("simple", labels=None)) is None
    few = replace(make_variant_run("simple", 5), class_names=None)
    assert few.labels == (0, 1, 2, 3, 4) and confusion(few).recall[4] == 1.0 and confusion(few).names[-1].startswith("class ")


def test_many_classes_are_a_list_of_what_is_confused_most():
    run = make_variant_run("simple", 240)
    wide = replace(run, class_names=tuple(f"word {i}" for i in range(35)))
    assert not confusion(wide).as_matrix
    text = ParsedPage(page_of(Run("r", "2026", (wide,)))).text
    assert "Taken for another most often" in text and "All 8 classes" in text and "word 34" not in text


def test_the_scatter_puts_points_where_the_values_are():
    (section,) = sections([make_run()])
    chapter = next(c for c in panels.chapters(section) if c.key == "tradeoff")
    centres = [float(x) for x in re.findall(r'cx="([0-9.]+)"', str(chapter.panels[0].drawn))]
    values = [row.values["latency_us_median"] for row in section.rows]
    slopes = {round((c - 44) / v, 4) for c, v in zip(centres, values, strict=True)}
    assert len(centres) == 4 and max(slopes) - min(slopes) <= 0.0002


def test_steps_of_all_variants_share_one_scale():
    (section,) = sections([make_run()])
    chapter = next(c for c in panels.chapters(section) if c.key == "steps")
    longest = [max(map(float, re.findall(r'width="([0-9.]+)"[^>]*class="c0"', str(p.drawn)))) for p in chapter.panels]
    cycles = [max(op["cycles"] for op in row.ops) for row in section.rows]
    assert longest == pytest.approx([360 * c / max(cycles) for c in cycles], abs=0.1)


def test_a_deep_network_shows_its_costly_steps_and_sums_the_rest():
    run = with_steps(make_variant_run("pqt"), 60)
    chapter = next(c for c in panels.chapters(sections([Run("r", "2026", (run,))])[0]) if c.key == "steps")
    drawn = str(chapter.panels[0].drawn)
    assert "45 others" in drawn and drawn.count('class="ground"') == 16


def test_the_arena_is_drawn_to_scale_and_left_out_where_it_is_unknown():
    run = make_variant_run("pqt")
    chapter = next(c for c in panels.chapters(sections([Run("r", "2026", (run,))])[0]) if c.key == "arena")
    assert str(chapter.panels[0].drawn).count("<rect") == len(run.image.arena)
    assert "scratch of CONV_2D: 267 bytes at 0, step 2" in str(chapter.panels[0].drawn)
    old = replace(run, image=replace(run.image, arena=()))
    assert "arena" not in [c.key for c in panels.chapters(sections([Run("r", "2026", (old,))])[0])]


def test_engines_stand_side_by_side_where_they_ran_the_same_file():
    source = page_of(two_engines())
    assert "Engines side by side (estimated cycles)" in source and "2.60x" in source
    assert "Engines side by side" not in page_of(make_run())


def test_hostile_names_stay_text():
    source = page_of(hostile_run())
    assert "<script" not in source and "\u202e" not in source and HOSTILE not in source
    assert "onload=&#39;" in source and "onload='" not in source


def test_ticks_are_round_and_all_different():
    for low, high in ((4254.2, 4254.8), (0, 1), (0.0, 4.51), (0, 123456), (93.2, 99.9), (5, 5)):
        found = svg.ticks(low, high)
        assert 1 <= len(found) <= 6 and len({words for _, words in found}) == len(found)
        assert all(low <= value <= high for value, _ in found) or low == high
        assert [float(words.replace(",", "")) for _, words in found] == pytest.approx([value for value, _ in found])


def scored(kind: ScoreKind, **settings) -> Measurement:
    """Outputs of eight values, scored otherwise than by the largest of them."""
    run = make_variant_run("simple", 16)
    how = Scoring(kind, 0, "softmax", reason="not a list of classes")
    return replace(run, settings=replace(run.settings, scoring=how, **settings))


def test_what_is_no_list_of_classes_has_the_score_of_its_kind_and_no_confusion():
    targets = tuple((0.5,) * 8 for _ in range(16))
    run = scored(ScoreKind.REGRESSION, targets=targets)
    (tiles,) = tiles_of(Run("r", "2026", (run,)))
    assert "16 windows, RMSE " in tiles["mean absolute error"][1] and confusion(run) is None
    (tiles,) = tiles_of(Run("r", "2026", (scored(ScoreKind.NONE),)))
    assert tiles["accuracy"][:2] == ("none", "not a list of classes")
    page = page_of(Run("r", "2026", (run,)))
    assert "What is taken for what" not in page and "Accuracy against latency" not in page


def test_one_value_has_a_confusion_of_two_classes():
    run = make_variant_run("simple", 16)
    output = replace(run.image.outputs[0], shape=(1, 1))
    samples = tuple(replace(s, outputs=np.float32(s.index % 3).tobytes()) for s in run.samples)
    labels = tuple(i % 2 for i in range(16))
    how = Scoring(ScoreKind.BINARY, 0, "y", threshold=0.5)
    settings = replace(run.settings, scoring=how)
    run = replace(
        run, image=replace(run.image, outputs=(output,)), samples=samples, labels=labels, settings=settings, class_names=None
    )
    found = confusion(run)
    assert found.names == ("class 0", "class 1") and sum(map(sum, found.counts)) == 16
    (tiles,) = tiles_of(Run("r", "2026", (run,)))
    assert "AUC" in tiles["accuracy"][1] and "F1" in tiles["accuracy"][1]


def test_an_estimates_band_stands_beside_its_median_and_in_the_charts():
    band = {"low": 64_000.0, "high": 128_000.0}  # 1 and 2 ms at 64 MHz
    runs = tuple(replace(run, settings=replace(run.settings, band=band)) for run in two_engines().runs[:2])
    run = replace(make_run(), runs=(*runs, make_variant_run("simple", 64)))
    tiles = tiles_of(run)
    assert "estimated, from 1.000 to 2.000 ms; median" in tiles[0]["latency, estimated"][1]
    assert ", from " not in tiles[2]["latency, estimated"][1]
    source = page_of(run)
    assert "level ones the bands of the estimates" in source and source.count('class="whisker"') == 2 * 3
    assert "level ones" not in page_of(make_run())
