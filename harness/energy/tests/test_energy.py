"""The power meter: its stream's framing, and whole measurements through ppk2-api, a fake PPK2 and the firmware as a host process
whose mark goes to that PPK2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.analysis import run_json
from tinyrig.analysis.energy_metrics import median_interval
from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import ROOT, Config, Energy, load_config
from tinyrig.core.errors import DeviceError, HostError, LinkError, UserError
from tinyrig.core.records import MEASURED
from tinyrig.energy import meter as meters
from tinyrig.energy.meter import Meter, choose, measure_energy, meter_for
from tinyrig.energy.spans import Marked, Recorded, energy_uj, spans
from tinyrig.energy.stream import high, losses, saturated, words
from tinyrig.link.bounds import Impossible
from tinyrig.link.session import Session
from tinyrig.reports.markdown import render
from tinyrig.reports.run import report
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run
from tinyrig.tests.host_board import HostBoard
from tinyrig.tests.user_home import MODEL, furnish, url

REPEATS = 12
PULSE_US, IDLE_UA, ACTIVE_UA, MV = 500.0, 1500.0, 6000.0, 3300
EXPECTED_UJ = ACTIVE_UA * MV * 1e-3 * PULSE_US * 1e-6


# ---- the stream ----


def stream(levels, first=0, adc=100, spread=2):
    n = len(levels)
    return np.asarray([adc | spread << 14 | ((first + i) & 63) << 18 | int(levels[i]) << 24 for i in range(n)], "<u4")


@given(st.lists(st.booleans(), min_size=80, max_size=400), st.integers(0, 63), st.integers(0, 3))
def test_a_stream_is_read_from_where_its_counter_runs_on(levels, first, torn):
    """However many bytes of the first sample are missing."""
    samples = stream(levels, first)
    found = words(samples.tobytes()[torn:])
    assert np.array_equal(found, samples[1 if torn else 0 :])
    assert not len(losses(found))


@given(st.lists(st.booleans(), min_size=3, max_size=200), st.integers(0, 7))
def test_spans_are_the_whole_pulses(levels, channel):
    samples = (stream(levels) & 0xFFFFFF) | np.asarray(levels, np.uint32) << (24 + channel)
    for span in spans(high(samples, channel)):
        assert all(levels[span.start : span.end]) and not levels[span.start - 1] and not levels[span.end]
    rises = sum(1 for a, b in pairwise(levels) if b and not a)
    assert len(spans(high(samples, channel))) == rises - (1 if rises and levels[-1] else 0)


@given(st.integers(1, 62), st.integers(1, 98))
def test_a_loss_is_seen_where_it_is(lost, at):
    samples = stream([0] * 200)
    assert list(losses(np.delete(samples, range(at, at + lost)))) == [at]


def test_only_the_largest_range_saturates():
    assert saturated(stream([1], adc=0x3FFF, spread=4)) and not saturated(stream([1], adc=0x3FFF, spread=3))


def test_no_bytes_are_no_samples():
    assert len(words(b"")) == len(words(b"abc")) == 0 and spans(high(words(b""), 0)) == []


def test_ten_milliamperes_at_3_3_v_for_a_millisecond():
    ua = np.full(100, 10_000.0)
    assert energy_uj(Marked(ua), 3300, 10.0) == pytest.approx(33.0)
    assert energy_uj(Marked(ua, np.full(100, 1650.0)), 3300, 10.0) == pytest.approx(16.5), "a measured voltage counts"


def test_the_medians_interval():
    assert median_interval(range(1, 31)) == (10.0, 21.0)  # tables of the binomial distribution, n = 30
    assert median_interval([1, 2, 3]) is None


# ---- the meter ----


@contextmanager
def ppk2(*options: str, pipe=None):
    mark = ("--mark", str(pipe)) if pipe else ()
    command = [sys.executable, "-m", "tinyrig.energy.fake", "--pulse-us", str(PULSE_US), *mark, *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    line = process.stdout.readline()
    assert line.startswith("port "), line
    held = os.open(port := line[5:].strip(), os.O_RDWR | os.O_NOCTTY)  # or another test's pty could get its name
    try:
        yield port
    finally:
        process.communicate(timeout=10)
        os.close(held)


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """What the firmware's mark goes into."""
    os.mkfifo(tmp_path / "mark")
    monkeypatch.setenv("TINYRIG_PORT_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "mark"


def measured(port, **changes):
    """(samples, energy) of the toy engine on the host board."""
    wanted = Energy(port=port, **changes)
    with Meter(wanted) as meter, HostBoard("tests/toy_int8.c") as board, Session(board.link()) as session:
        payload = tuple(bytes(t.nbytes) for t in session.hello().inputs)
        plain = session.run(payload)
        return measure_energy(meter, session, payload, plain.outputs, REPEATS)


@pytest.mark.parametrize("mode", ["ampere", "source"])
def test_the_energy_of_marked_inferences(pipe, mode):
    pytest.importorskip("ppk2_api")
    with ppk2(pipe=pipe) as port:
        samples, energy = measured(port, mode=mode)
    assert [(s.kind, s.index) for s in samples] == [("energy", i) for i in range(REPEATS)]
    assert energy["us"] == [PULSE_US] * REPEATS and energy["losses"] == 0
    assert np.allclose(energy["uj"], EXPECTED_UJ, rtol=2e-3)  # the ADC's step


@pytest.mark.parametrize("fault", ["shift", "lose-once"])
def test_a_stream_that_is_torn_or_lost_once_is_no_matter(pipe, fault):
    pytest.importorskip("ppk2_api")
    with ppk2("--fault", fault, pipe=pipe) as port:
        _, energy = measured(port)
    assert np.allclose(energy["uj"], EXPECTED_UJ, rtol=2e-3)


@pytest.mark.parametrize("ua", [[1.0, np.nan], [np.inf], [2e6, 1.0], [-5e3, 1.0], [-20.0], []])
def test_a_current_that_can_not_flow_is_no_energy(ua):
    recorded = Recorded(100, 1, 0, 0, False, 10.0)
    figures = meters._figures(Energy(), recorded, [Marked(np.asarray([12_000.0, -0.5]))])
    assert len(figures["uj"]) == 1
    with pytest.raises(Impossible, match="the power meter, of marked inference 1, reports what can't be"):
        meters._figures(Energy(), recorded, [Marked(np.asarray([12_000.0])), Marked(np.asarray(ua, np.float64))])


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ("lose", LinkError, "samples of the power meter were lost"),
        ("no-mark", DeviceError, "saw no trigger"),
        ("saturated", DeviceError, "beyond the power meter's range"),
        ("deaf", LinkError, "does not report its calibration"),
    ],
)
def test_what_can_not_be_measured_is_told(pipe, fault, kind, told):
    pytest.importorskip("ppk2_api")
    with ppk2("--fault", fault, "--pulse-us", "5000", pipe=pipe) as port, pytest.raises(kind) as caught:
        measured(port)
    assert told in str(caught.value)


def test_a_port_that_is_held_for_a_moment_is_waited_for(pipe):
    pytest.importorskip("ppk2_api")
    with ppk2(pipe=pipe) as port, serial.Serial(port, exclusive=True) as other:
        threading.Timer(0.7, other.close).start()  # the worker needs half of that to start, and then tries for a second
        with Meter(Energy(port=port)):
            assert not other.is_open


def test_a_mark_on_another_channel_is_no_mark(pipe):
    pytest.importorskip("ppk2_api")
    with ppk2(pipe=pipe) as port, pytest.raises(DeviceError, match="saw no trigger"):
        measured(port, channel=3)


def test_a_port_that_is_none(tmp_path, monkeypatch):
    pytest.importorskip("ppk2_api")
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    with pytest.raises(LinkError, match="can't be used"):
        Meter(Energy(port=str(tmp_path / "none")))


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "ppk2_api.py").write_text("raise ImportError('No module named ppk2_api')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HostError, match="needs ppk2-api"):
        Meter(Energy(port="/dev/null"))


@pytest.mark.parametrize(
    ("ports", "told"),
    [([], "no PPK2 is attached"), ([("/dev/ttyACM0", "A"), ("/dev/ttyACM2", "B")], "several PPK2 are attached")],
)
def test_none_and_several_are_told(ports, told):
    with pytest.raises(HostError, match=told):
        choose(ports)


def test_the_first_port_of_one_meter_measures():
    assert choose([("/dev/ttyACM2", "A"), ("/dev/ttyACM1", "A")]) == "/dev/ttyACM1"


def test_which_board_it_is_wired_to(monkeypatch):
    monkeypatch.setattr(meters, "Meter", lambda wanted: SimpleNamespace(wanted=wanted, __enter__=None))
    physical = next(name for name, board in BOARDS.items() if board.timing == MEASURED)

    def has(energy, name):
        return hasattr(meter_for(Config(energy=energy), BOARDS[name]), "wanted")

    assert not has(None, physical)
    assert has(Energy(), physical) and not has(Energy(), "virtual")
    assert has(Energy(board="virtual"), "virtual") and not has(Energy(board="virtual"), physical)


# ---- settings, values ----


def test_rig_toml(tmp_path):
    file = tmp_path / "rig.toml"
    file.write_text('[energy]\nport = "/dev/ttyACM1"\nmode = "source"\nvoltage_mv = 3000\nboard = "nano33ble"\n')
    assert load_config(file).energy == Energy("/dev/ttyACM1", "nano33ble", "source", 3000, 0)
    file.write_text("")
    assert load_config(file).energy is None


SLIPS = ["voltage_mv = 33000", "voltage_mv = 3.3", "voltage_mv = true", 'mode = "sauce"', "channel = 8", "port = 1", "volts = 3"]


@pytest.mark.parametrize("text", SLIPS)
def test_a_slip_in_rig_toml_is_told(tmp_path, text):
    (tmp_path / "rig.toml").write_text(f"[energy]\n{text}\n")
    with pytest.raises(UserError, match=r"\[energy\] can't be used"):
        load_config(tmp_path / "rig.toml")


def with_energy(run, uj):
    kept = {"uj": uj, "us": [1000.0] * len(uj), "voltage_mv": 3300, "mode": "ampere", "channel": 0, "losses": 0}
    return replace(run, settings=replace(run.settings, energy=kept))


def test_json_has_energy_only_where_it_was_measured():
    run = make_variant_run("pqt")
    assert "energy" not in run_json.variant_to_json(run)
    entry = run_json.variant_to_json(with_energy(run, [30.0 + i for i in range(11)]))["energy"]
    assert entry["uj_median"] == 35.0 and entry["uj_ci95"] == [31.0, 39.0] and entry["mw_mean"] == pytest.approx(35.0)
    wrong = replace(run, parity=replace(run.parity, mismatched_windows=1))
    assert "energy" not in run_json.variant_to_json(with_energy(wrong, [30.0] * 11))


def test_a_whole_run_with_a_meter(pipe, tmp_path, monkeypatch):
    """The virtual board's pin is the meter's D0: marks come from the image that a physical board gets. Cycles are what they are
    without a meter, to the digit, and the report names a trial what is one."""
    pytest.importorskip("ppk2_api")
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    words = ["run", *MODEL, "--no-report", "--json"]
    assert main([*words, "without.json"]) == 0
    with ppk2(pipe=pipe) as port:
        (tmp_path / "rig.toml").write_text(f'[energy]\nport = "{port}"\nboard = "virtual"\n')
        assert main([*words, "with.json"]) == 0
    plain, entry = (json.loads((tmp_path / f"{name}.json").read_text())["runs"][0] for name in ("without", "with"))
    assert entry["latency"] == plain["latency"] and entry["ops"] == plain["ops"] and entry["ram"] == plain["ram"]
    assert entry["energy"]["uj_median"] == pytest.approx(EXPECTED_UJ, rel=2e-3) and entry["energy"]["inferences"] == 30
    assert entry["energy"]["trial"] and "energy" not in plain
    with Store(url(tmp_path)) as store:
        with_it, without = (render(report.build(report.report_of([store.load(r.run_id)]), None), tmp_path) for r in store.runs())
    assert "uJ, trial" in with_it and "draws no current" in with_it
    assert "uJ" not in without
