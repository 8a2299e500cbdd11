"""A wrong clock is said above all results, and every report says what its numbers belong to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyrig.analysis.tests.test_provenance import GOOD, NANO, SETTINGS, WRONG
from tinyrig.core.records import Run
from tinyrig.reports import markdown
from tinyrig.reports.__main__ import _print_summary
from tinyrig.reports.nights import summary
from tinyrig.reports.nights.page import nights_page
from tinyrig.reports.run.report import build, report_of
from tinyrig.reports.run_page.page import run_page
from tinyrig.store import decisions
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run


def run_with(clock, build_id: str = "feedc0de" * 4) -> Run:
    run = replace(make_variant_run("pqt"), board=NANO, clock=clock, settings=SETTINGS)
    return Run("r1", "2026-01-01T00:00:00+00:00", (replace(run, image=replace(run.image, build_id=build_id)),))


def both(run: Run, tmp_path) -> tuple[str, str]:
    report = report_of([run])
    return markdown.render(build(report, None), tmp_path), run_page(report)


def test_a_report_says_where_its_numbers_come_from(tmp_path):
    for text in both(run_with(GOOD), tmp_path):
        for fact in (
            "nano33ble",
            NANO.id,
            "64 MHz",
            "one step is 15.6 ns",
            "11 cycles of overhead",
            "arm-none-eabi-gcc 12.2.1",
            "-mcpu=cortex-m4",
            "feedc0defeedc0de",
            "-12 ppm, give or take 240 ppm",
            "Timing: measured",
        ):
            assert fact in text.replace("\\", ""), fact
        assert "Warning" not in text


def test_a_clock_that_is_off_is_said_before_any_number(tmp_path, capsys):
    for text in both(run_with(WRONG), tmp_path):
        assert "-1.96 %" in text and 0 < text.index("Warning") < text.index("Board")
    _print_summary(report_of([run_with(WRONG)]))
    assert "Warning: pqt: the board's counter is -1.96 % off" in capsys.readouterr().out


def test_a_coarse_timer_gets_a_part_of_its_own(tmp_path):
    coarse = run_with(GOOD)
    coarse = replace(coarse, runs=tuple(replace(r, board=replace(NANO, timer_hz=1000)) for r in coarse.runs))
    text = markdown.render(build(report_of([run_with(GOOD), coarse]), None), tmp_path).replace("\\", "")
    assert "2 parts: timer_hz differ" in text and "one step is 1 ms" in text


@pytest.mark.parametrize("clock", [GOOD, WRONG], ids=["good", "off"])
def test_the_pages_of_nights_say_it_too(tmp_path, clock):
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        store.save(run_with(clock))
        decisions.begin_night(store, "night", "2026-01-01", ["nano33ble"])
        decisions.add_to_night(store, "night", "r1")
        page = nights_page(store)
        text = markdown.render(summary.build(summary.load(store, "")), tmp_path).replace("\\", "")
    for said in (page, text):
        assert "Where these numbers come from" in said and "pqt feedc0de" in said and "one step is 15.6 ns" in said
        assert ("Warning" in said) == (clock is WRONG)
