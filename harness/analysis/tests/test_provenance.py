"""What a number belongs to: kept, compared, exported and shown with the number everywhere."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tinyrig.analysis.provenance import (
    clock_off,
    clock_text,
    clock_warning,
    comparable_metadata,
    line_warning,
    metadata_hash,
    timer_text,
)
from tinyrig.analysis.run_json import run_to_json
from tinyrig.analysis.stats import FINE
from tinyrig.analysis.verdicts import Baseline, judge, timer_of
from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import ESTIMATED, MEASURED, BoardInfo, ClockCheck, Run, VerdictStatus
from tinyrig.link.clock_check import LEAST_S, clock_watch
from tinyrig.link.session import Session
from tinyrig.measure.sampling import take_samples
from tinyrig.nightly.judging import Reruns, _tonight
from tinyrig.store.export import export
from tinyrig.store.origins import origins
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tests import old_database
from tinyrig.tests.fake_runs import make_run, make_variant_run
from tinyrig.tests.host_board import HostBoard
from tinyrig.tests.sealing import reseal
from tinyrig.tests.user_home import MODEL, furnish, url
from tinyrig.workload.windows import Windows, random_windows

NANO = BoardInfo("nano33ble", "0123456789abcdef", 64_000_000, MEASURED, 64_000_000)
GOOD, WRONG = ClockCheck(-12.4, 240.0, 5.21), ClockCheck(-19_608.0, 310.0, 5.2)
SETTINGS = MeasurementSettings(timer_overhead_cycles=11, float_tolerance=1e-5)


def measured(clock: ClockCheck | None = GOOD, board: BoardInfo = NANO, name: str = "pqt"):
    return replace(make_variant_run(name, 8), board=board, clock=clock, settings=SETTINGS)


def run_of(*runs, run_id: str = "r") -> Run:
    return Run(run_id, "2026-01-01T00:00:00+00:00", runs)


# ---- words ----


@pytest.mark.parametrize(
    ("clock", "off", "text"),
    [
        (GOOD, False, "-12 ppm, give or take 240 ppm, over 5.2 s"),
        (WRONG, True, "-1.96 %, give or take 310 ppm, over 5.2 s"),
        (ClockCheck(-10_300.0, 299.0, 2.0), True, "-1.03 %, give or take 299 ppm, over 2.0 s"),
        (
            ClockCheck(9_900.0, 300.0, 2.0),
            None,
            "+9900 ppm, give or take 300 ppm, over 2.0 s; too short or the line too slow to tell whether it is off by 1 %",
        ),
        (ClockCheck(None, None, 0.0, "estimated: nothing to check"), None, "estimated: nothing to check"),
        (None, None, "not checked"),
    ],
)
def test_a_clock_in_words(clock, off, text):
    assert clock_off(clock) is off and clock_text(clock) == text
    warning = clock_warning(clock)
    assert (warning is not None) == (off is True)
    assert off is not True or ("clock set-up" in warning and text in warning)


@pytest.mark.parametrize(
    ("hz", "overhead", "text"),
    [
        (64_000_000, 11, "64 MHz (one step is 15.6 ns), 11 cycles of overhead subtracted"),
        (1_000_000, 1, "1 MHz (one step is 1 us), 1 cycle of overhead subtracted"),
        (1000, None, "1 kHz (one step is 1 ms)"),
        (32_768, None, "32.768 kHz (one step is 30.5 us)"),
        (None, None, "not kept"),
    ],
)
def test_a_timer_in_words(hz, overhead, text):
    assert timer_text(replace(NANO, timer_hz=hz), overhead) == text


# ---- kept and compared ----


def columns(store: Store) -> list[tuple]:
    v = schema.VARIANT_RUNS.c
    with store.reading() as db:
        query = sa.select(v.timer_hz, v.timer_overhead_cycles, v.clock_ppm, v.clock_ppm_error, v.clock_seconds)
        return [tuple(row) for row in db.execute(query.order_by(v.id))]


@pytest.mark.parametrize(
    "run",
    [measured(), measured(WRONG), measured(None), measured(ClockCheck(None, None, 0.0, "no")), make_variant_run("simple", 4)],
)
def test_a_run_comes_back_with_its_timer_and_clock(any_url, run):
    with Store(any_url) as store:
        store.save(run_of(run))
        assert store.load("r").runs == (run,)
        (kept,) = columns(store)
    clock = run.clock or ClockCheck(None, None, 0.0)
    seconds = None if clock.ppm is None else clock.seconds
    assert kept == (run.board.timer_hz, run.settings.timer_overhead_cycles, clock.ppm, clock.ppm_error, seconds)


def test_old_runs_keep_the_overhead_that_stood_among_their_settings(any_url):
    run = run_of(replace(make_variant_run("pqt", 4), settings=SETTINGS), make_variant_run("simple", 4))
    old_database.write_0002(any_url, run)
    with Store(any_url) as store:
        assert columns(store) == [(None, 11, None, None, None), (None,) * 5]
        assert store.load("r") == run


def test_the_history_of_a_board_goes_on_and_a_coarse_timer_begins_another():
    found = [comparable_metadata(measured(board=replace(NANO, timer_hz=hz))) for hz in (None, 64_000_000, 1_000_000)]
    hashes = [metadata_hash(metadata) for metadata in found]
    assert hashes[0] == hashes[1] != hashes[2] and found[2]["timer_hz"] == 1_000_000


# ---- shown ----


def test_json_has_it_beside_every_variant():
    doc = json.loads(json.dumps(run_to_json(run_of(measured(WRONG), measured()))))
    wrong, good = doc["runs"]
    assert wrong["board"] == {
        "name": "nano33ble",
        "id": NANO.id,
        "clock_hz": 64_000_000,
        "timing": MEASURED,
        "timer_hz": 64_000_000,
        "timer_overhead_cycles": 11,
    }
    assert wrong["clock"]["ppm"] == WRONG.ppm and "clock set-up" in wrong["clock"]["warning"]
    assert good["clock"] == {"ppm": -12.4, "ppm_error": 240.0, "seconds": 5.21, "reason": None, "warning": None}
    assert run_to_json(make_run())["runs"][0]["clock"] is None


def test_the_export_has_it_on_every_line(any_url):
    with Store(any_url) as store:
        store.save(run_of(measured(WRONG), make_variant_run("simple", 4)))
        out = io.StringIO()
        assert export(store, out, "json") == 2
    wrong, old = json.loads(out.getvalue())
    assert (wrong["timer_hz"], wrong["timer_overhead_cycles"], wrong["clock_ppm"], wrong["clock_ppm_error"]) == (
        64_000_000,
        11,
        WRONG.ppm,
        WRONG.ppm_error,
    )
    assert wrong["compiler"] == "arm-none-eabi-gcc 12.2.1" and "-mcpu=cortex-m4" in wrong["flags"] and wrong["build_id"]
    assert old["timer_hz"] is old["clock_ppm"] is None and old["compiler"]


def test_origins_are_read_without_samples(any_url):
    with Store(any_url) as store:
        store.save(run_of(measured(), make_variant_run("simple", 4)))
        with store.writing() as db:
            db.execute(schema.VARIANT_RUNS.update().where(schema.VARIANT_RUNS.c.variant == "simple").values(comparable=None))
            reseal(db)
        known, bare = origins(store, ["r"])
        assert [o.variant for o in origins(store, ["r"], "pqt")] == ["pqt"] and origins(store, []) == []
    assert known.clock == GOOD and known.info == NANO and known.build_id == "0" * 32
    assert known.place.startswith("measured cycles at 64 MHz, timer 64 MHz") and "arm-none-eabi-gcc 12.2.1 -mcpu" in known.place
    assert "clock check: -12 ppm" in known.place
    assert bare.clock is None and bare.timing == ESTIMATED and "a compiler that is not known" in bare.place


# ---- what the timer resolves ----


def coarse(hz: int) -> BoardInfo:
    return replace(NANO, timer_hz=hz)


def test_one_step_of_the_timer_in_the_unit_of_each_metric():
    run = measured(board=coarse(1_000_000))
    assert timer_of("latency_us_median", run).tick == timer_of("latency_us_p95", run).tick == 1.0
    assert timer_of("latency_cycles_median", run).tick == 64.0
    assert timer_of("cycles_per_mac", run).tick == 64.0 / run.variant.macs
    assert not timer_of("latency_us_median", run).random_phase
    assert timer_of("flash_total", run) == FINE == timer_of("latency_us_median", make_variant_run())


def test_a_night_does_not_take_one_step_of_a_coarse_timer_for_a_change():
    """1 ms in 80 is beyond the least change of interest and within what the timer can tell."""
    run = measured(board=coarse(1000))
    tonight = _tonight("latency_us_median", [run], Reruns(lambda number: pytest.fail("asked"), "pqt"))
    assert tonight.timer.tick == 1000.0 and tonight.metadata["timer_hz"] == 1000
    for step, status in ((1000.0, VerdictStatus.SAME), (4000.0, VerdictStatus.WORSE)):
        at = replace(tonight, values=(80_000.0 + step,))
        judgement = judge(Baseline("latency_us_median", (80_000.0,) * 12, at.metadata), at, "noisy")
        assert judgement.status == status and judgement.threshold >= 1000.0


# ---- measured, with the real firmware ----


@pytest.mark.parametrize("timing", [ESTIMATED, MEASURED])
def test_a_run_holds_a_board_against_the_host_only_where_it_has_a_clock(tmp_path, monkeypatch, capsys, timing):
    """The virtual board, as it is and as if its cycles came from a clock: whatever comes out then, it took 2 s."""
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setitem(BOARDS, "virtual", replace(BOARDS["virtual"], timing=timing))
    assert main(["run", *MODEL, "--limit", "3", "--no-report", "--json", "out.json"]) == 0
    (run,) = json.loads((tmp_path / "out.json").read_text())["runs"]
    assert run["timing"] == timing and run["board"]["timer_hz"] == 64_000_000
    assert ("was checked against" in capsys.readouterr().out) == (timing == ESTIMATED), "beside a band, and nowhere else"
    if timing == ESTIMATED:
        assert run["clock"] == {
            "ppm": None,
            "ppm_error": None,
            "seconds": 0.0,
            "reason": "estimated: nothing to check",
            "warning": None,
        }
    else:
        assert run["clock"]["seconds"] >= LEAST_S - 0.1 and run["clock"]["ppm_error"] > 0


@pytest.mark.parametrize("flags", [(), ("-DPORT_CLOCK_HZ=1020000000u",)], ids=["right", "off by 2 %"])
def test_a_wrong_clock_is_noticed_while_windows_are_streamed(flags):
    """Between the windows and at both ends; what was measured stays as it is."""
    with HostBoard("tests/toy_int8.c", *flags) as board, Session(board.link()) as session:
        hello = session.hello()
        windows: Windows = random_windows(hello.inputs, 40, 0)
        watch = clock_watch(session.counter, BoardInfo("host", hello.board_id, hello.clock_hz, MEASURED, hello.clock_hz))
        watch.start()
        samples = take_samples(session, windows, 5, between=watch.between)
        clock = watch.finish(wait=True)
    assert len(samples) == 47 and clock_off(clock) is bool(flags), clock_text(clock)


LINES = {
    # what a session counted: what must be said, None where nothing must
    (1000, 50): None,
    (1000, 51): ["51 were sent again, 5 %", "51 without a reply in time"],
    (40, 38): ["of 40 requests 38", "95 %"],
    (8, 4): None,
    (0, 0): None,
}


@pytest.mark.parametrize("counts", LINES, ids=str)
def test_a_line_that_repeats_beyond_the_share_is_told_with_the_reasons(counts):
    requests, retries = counts
    link = {"requests": requests, "retries": retries, "timeouts": retries, "repeats_limit": 0.05}
    said, text = LINES[counts], line_warning(link)
    assert (text is None) == (said is None)
    assert all(words.replace(" %", "%") in (text or "") for words in said or ())


def test_each_reason_for_repeats_is_told_apart():
    link = {"requests": 100, "retries": 60, "timeouts": 10, "damaged": 20, "refused": 30, "stale": 7}
    text = line_warning(link)
    for words in ("10 without a reply in time", "20 with a damaged reply", "30 that the board received", "7 late replies"):
        assert words in text
    assert line_warning({**link, "repeats_limit": 0.6}) is None and line_warning({**link, "repeats_limit": "odd"}) is None
    assert "damaged reply" not in line_warning({**link, "damaged": 0})
