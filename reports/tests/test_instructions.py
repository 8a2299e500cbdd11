"""Instructions of an emulator are neither cycles nor time, and nothing says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.analysis.evaluation import metric_values
from tinyrig.analysis.metrics import latency
from tinyrig.analysis.run_json import run_to_json
from tinyrig.analysis.verdicts import EXACT, NOISY, gate
from tinyrig.core.boards import BOARDS, QEMU_ID_PREFIX, VIRTUAL_ID_PREFIX, recognise_id
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MEASURED, BoardInfo, Run
from tinyrig.reports import markdown
from tinyrig.reports.nights.words import difference, label, quantity
from tinyrig.reports.run.report import build, report_of
from tinyrig.tests.fake_runs import make_variant_run

QEMU = BoardInfo("qemu", QEMU_ID_PREFIX + "00000000", 7_812_500, INSTRUCTIONS)


@pytest.fixture(scope="module")
def run():
    return replace(make_variant_run("pqt"), board=QEMU)


def test_no_microsecond_follows_from_an_instruction(run):
    here, there = latency(run), latency(make_variant_run("pqt"))
    assert here["cycles_median"] == there["cycles_median"] and here["samples"] == there["samples"]
    assert here.keys() == there.keys() and all(v is None for k, v in here.items() if k.startswith("us_"))
    values = metric_values(run)
    assert values["latency_us_median"] is None and values["latency_cycles_median"] and values["cycles_per_mac"]


def test_json_keeps_its_keys_and_says_why(run):
    entry = run_to_json(Run("r", "2026", (run,)))
    assert entry["board"]["timing"] == INSTRUCTIONS and "neither cycles nor time" in entry["timing_note"]
    assert entry["runs"][0]["latency"]["us_p95"] is None and "no time" in entry["runs"][0]["latency_us_reason"]
    assert run_to_json(Run("r", "2026", (make_variant_run("pqt"),)))["runs"][0]["latency_us_reason"] is None


def test_the_report_speaks_of_instructions_only(run):
    text = markdown.render(build(report_of([Run("r", "2026", (run,))]), None), Path())
    head = text.split("## ")[0]
    assert "qemu" in head and "instructions" in head and "MHz" not in head
    assert "Instructions of one inference" in text and "instructions/MAC" in text
    for wrong in ("ms, instructions", "instructions cycles", "estimated cycles", "cycles/MAC |", "| us,"):
        assert wrong not in text, wrong


@pytest.mark.parametrize(
    ("metric", "timing", "kind"),
    [
        ("latency_cycles_median", INSTRUCTIONS, EXACT),
        ("cycles_per_mac", INSTRUCTIONS, EXACT),
        ("latency_us_median", INSTRUCTIONS, None),
        ("latency_cycles_median", ESTIMATED, EXACT),
        ("latency_us_median", MEASURED, NOISY),
        ("flash_total", INSTRUCTIONS, EXACT),
    ],
)
def test_a_night_judges_them_exactly(metric, timing, kind):
    assert gate(metric, timing) == kind


def test_a_label_names_them():
    assert label("latency_cycles_median", INSTRUCTIONS) == "instructions (median)"
    assert quantity("latency_cycles_median", 60449, INSTRUCTIONS) == "60,449 instructions"
    assert difference("cycles_per_mac", 0.5, timing=INSTRUCTIONS) == "+0.50 instructions/MAC"
    assert quantity("latency_cycles_median", 7, MEASURED) == "7 cycles"
    assert label("latency_cycles_median", ESTIMATED) == "cycles (median), estimated"


def test_an_emulator_behind_another_boards_name_is_seen_by_its_id():
    nano = BOARDS["nano33ble-uart"]
    assert recognise_id(QEMU.id, nano) is BOARDS["qemu"] and recognise_id(VIRTUAL_ID_PREFIX + "00", nano) is BOARDS["virtual"]
    assert recognise_id(VIRTUAL_ID_PREFIX + "00", BOARDS["qemu"]) is BOARDS["virtual"]
    own = replace(BOARDS["virtual"], name="left")
    assert recognise_id(VIRTUAL_ID_PREFIX + "00", own) is own  # it claims nothing of it is measured
