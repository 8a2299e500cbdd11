"""Meters other than the PPK2: recordings in files, Otii's server, Joulescope's package, what other packages offer."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config, Energy
from tinyrig.core.errors import HostError, LinkError, UserError
from tinyrig.energy import meter as meters
from tinyrig.energy.driver import Trace, Wiring
from tinyrig.energy.joulescope import Joulescope
from tinyrig.energy.meter import Meter, TraceFile, meter_for
from tinyrig.energy.otii import Otii
from tinyrig.energy.settings import with_trace
from tinyrig.energy.spans import analyse, energy_uj
from tinyrig.energy.trace_file import read_trace
from tinyrig.tests.user_home import MODEL, furnish, url

PULSES, WIDTH, REST, UA, MV = 5, 8, 4, 6000.0, 3000.0
STEP_US = 20.0


def levels(pulses=PULSES) -> np.ndarray:
    return np.asarray([0] * REST + ([1] * WIDTH + [0] * REST) * pulses)


def rows(*columns, separator=",", decimal="."):
    return "\n".join(separator.join(f"{value:.9g}".replace(".", decimal) for value in row) for row in zip(*columns, strict=True))


def recording(pulses=PULSES):
    trigger = levels(pulses)
    return np.arange(len(trigger)) * STEP_US, np.where(trigger, UA, 100.0), trigger


# ---- files ----


def written(tmp_path: Path, header: str, body: str) -> Path:
    file = tmp_path / "trace.csv"
    file.write_text(f"{header}\n{body}\n", encoding="utf-8")
    return file


FORMS = {
    "plain": lambda t, i, d: ("time_us,current_ua,trigger", rows(t, i, d)),
    "units in brackets": lambda t, i, d: ("Time (ms),Current (mA),Trigger", rows(t / 1e3, i / 1e3, d)),
    "nRF Connect": lambda t, i, d: (
        "Timestamp(ms),Current(uA),D0-D7",
        "\n".join(f"{a / 1e3:.3f},{b},{'1' if c else '0'}0000001" for a, b, c in zip(t, i, d, strict=True)),
    ),
    "inputs apart": lambda t, i, d: ("Timestamp(ms),Current(µA),D1,D0", rows(t / 1e3, i, 1 - d, d)),
    "oscilloscope": lambda t, i, d: (
        "Model,X1\nchannels,3\ntime [s];current [A];trigger [V]",
        rows(t / 1e6, i / 1e6, d * 3.1 + 0.05, separator=";", decimal=","),
    ),
    "tabs": lambda t, i, d: ('"time_s"\t"current_na"\t"trigger"', rows(t / 1e6, i * 1e3, d, separator="\t")),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_recording_is_read_in_the_forms_that_instruments_write(tmp_path, form):
    recorded, marked = analyse(read_trace(written(tmp_path, *FORMS[form](*recording())), 0))
    assert (recorded.marks, recorded.damaged, recorded.losses) == (PULSES, 0, 0)
    assert recorded.sample_us == pytest.approx(STEP_US)
    assert [energy_uj(m, 3000, recorded.sample_us) for m in marked] == pytest.approx([UA * MV * WIDTH * STEP_US * 1e-9] * PULSES)


def test_a_voltage_that_was_recorded_counts(tmp_path):
    t, i, d = recording()
    file = written(tmp_path, "time_us,current_ua,voltage_v,trigger", rows(t, i, np.full(len(t), 1.5), d))
    recorded, marked = analyse(read_trace(file, 0))
    figures = meters._figures(Energy(voltage_mv=3300), recorded, marked)
    assert figures["uj"] == pytest.approx([UA * 1500 * WIDTH * STEP_US * 1e-9] * PULSES)
    assert figures["voltage_mv"] == 1500 and figures["voltage_measured"]


@given(st.integers(1, len(levels()) - 2))
def test_a_sample_that_is_missing_is_a_gap_where_it_is(lost):
    t, i, d = (np.delete(column, lost) for column in recording())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "read_text", lambda *_, **__: "time_us,current_ua,trigger\n" + rows(t, i, d))
        trace = read_trace(Path("trace.csv"), 0)
    assert list(trace.lost) == [lost]


WRONG = {
    "empty": ("", "an empty file"),
    "no trigger": ("time_us,current_ua\n0,1\n20,1\n40,1\n", "no column for trigger"),
    "no unit": ("time,current,trigger\n0,1,0\n", "no column for time, current"),
    "text": ("time_us,current_ua,trigger\n0,1,0\n20,none,0\n40,1,1\n", "rows that are no numbers"),
    "short": ("time_us,current_ua,trigger\n0,1,0\n20,1,0\n", "2 samples"),
    "NaN": ("time_us,current_ua,trigger\n0,1,0\n20,nan,0\n40,1,1\n", "NaN"),
    "backwards": ("time_us,current_ua,trigger\n0,1,0\n20,1,0\n10,1,1\n", "10 us after 20 us, at sample 3"),
    "uneven": ("time_us,current_ua,trigger\n" + "".join(f"{t},1,0\n" for t in (0, 10, 24, 32, 40, 54)), "not evenly spaced"),
    "flat trigger": ("time_us,current_ua,trigger\n0,1,0.1\n20,1,0.15\n40,1,0.1\n", "does not switch"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_recording_is_refused_with_the_reason(tmp_path, what):
    text, told = WRONG[what]
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_trace(tmp_path / "trace.csv", 0)
    assert told in str(caught.value) and "remedy" in str(caught.value)


def test_a_file_that_is_not_there_yet_is_waited_for_and_its_absence_told(tmp_path, monkeypatch):
    file = tmp_path / "trace.csv"
    monkeypatch.setattr(meters, "FILE_POLL_S", 0.02)
    waiting = TraceFile(Energy(meter="csv", port=str(file)))
    recorded, _ = waiting.record(lambda: threading.Timer(0.1, lambda: written(tmp_path, *FORMS["plain"](*recording()))).start())
    assert recorded.marks == PULSES
    file.unlink()
    monkeypatch.setattr(meters, "FILE_WAIT_S", 0.1)
    with pytest.raises(HostError, match="did not come"):
        waiting.record(lambda: None)


def test_one_file_is_of_one_model():
    assert with_trace(Config(), Path("t.csv"), 1).energy == Energy(meter="csv", port="t.csv")
    for asked, told in ((0, "all variants"), (2, "2 models")):
        with pytest.raises(UserError, match=told):
            with_trace(Config(), Path("t.csv"), asked)


def test_a_run_with_a_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    words = ["run", *MODEL, "--no-report", "--json", "out.json", "--energy", "trace.csv"]
    written(tmp_path, *FORMS["plain"](*recording(30)))
    assert main(words) == 0
    energy = json.loads((tmp_path / "out.json").read_text())["runs"][0]["energy"]
    assert (
        energy["uj_median"] == pytest.approx(UA * 3300 * WIDTH * STEP_US * 1e-9) and energy["meter"] == "csv" and energy["trial"]
    )
    written(tmp_path, *FORMS["plain"](*recording(31)))
    assert main(words) == 3 and "more triggers than there were inferences" in capfd.readouterr().err


# ---- meters ----


class Application(socketserver.StreamRequestHandler):
    """What Otii's server answers to the requests that are made of it."""

    devices = 1

    def handle(self) -> None:
        self.asked: list[str] = []
        self._send({"type": "information", "info": "connected", "data": {}})
        for line in self.rfile:
            request = json.loads(line)
            self.asked.append(request["cmd"])
            known = getattr(self, request["cmd"], lambda data: {})
            self._send(
                {
                    "type": "response",
                    "cmd": request["cmd"],
                    "trans_id": request["trans_id"],
                    "data": known(request.get("data", {})),
                }
            )

    def _send(self, what) -> None:
        self.wfile.write(json.dumps(what).encode() + b"\r\n")

    def otii_get_devices(self, data):
        return {"devices": [{"device_id": f"Arc{i}", "name": f"bench {i}", "type": "Arc"} for i in range(self.devices)]}

    def otii_get_active_project(self, data):
        return {"project_id": -1}

    def otii_create_project(self, data):
        return {"project_id": 7}

    def project_get_last_recording(self, data):
        return {"recording_id": 3}

    def recording_get_channel_data_count(self, data):
        return {"count": {"mc": len(levels()), "mv": 2, "i1": 2 * PULSES}[data["channel"]]}

    def recording_get_channel_data(self, data):
        first, end = data["index"], data["index"] + data["count"]
        if data["channel"] == "i1":
            edges = np.flatnonzero(np.diff(levels())) + 1
            changes = [{"timestamp": (e - 0.5) * STEP_US * 1e-6, "value": i % 2 == 0} for i, e in enumerate(edges)]
            return {"data_type": "digital", "values": changes[first:end]}
        if data["channel"] == "mv":
            return {"data_type": "analog", "timestamp": 0.0, "interval": 1.0, "values": [MV / 1e3] * 2}
        values = (np.where(levels(), UA, 100.0) * 1e-6)[first:end]
        return {"data_type": "analog", "timestamp": first * STEP_US * 1e-6, "interval": STEP_US * 1e-6, "values": list(values)}


@contextmanager
def application(devices=1):
    kind = type("Served", (Application,), {"devices": devices})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_otii_is_asked_over_its_server(monkeypatch):
    monkeypatch.setattr("tinyrig.energy.otii.SETTLE_S", 0.0)
    monkeypatch.setattr("tinyrig.energy.otii.PIECE", 25)
    with application() as port:
        meter = Otii(Wiring(port, "source", 3000, 1))
        meter.start()
        recorded, marked = analyse(meter.stop())
        meter.close()
    assert recorded.marks == PULSES and meter.trigger_input == "GPI1"
    assert [energy_uj(m, 1, recorded.sample_us) for m in marked] == pytest.approx([UA * MV * WIDTH * STEP_US * 1e-9] * PULSES)


@pytest.mark.parametrize(("devices", "told"), [(0, "found: none"), (2, "found: bench 0, bench 1")])
def test_otii_without_one_meter_is_told(tmp_path, monkeypatch, devices, told):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    with application(devices) as port, pytest.raises(LinkError, match=told):
        Meter(Energy(port, "virtual", channel=1, meter="otii"))


def scope(count=1, missing=()):
    """The package joulescope with `count` meters."""

    class Buffer:
        output_sampling_frequency, buffer_duration, sample_id_range = 1e6 / STEP_US, 30, (100, 100 + len(levels()))

        def __len__(self):
            return 1_000_000

        def samples_get(self, first, last, fields):
            amperes = np.where(levels(), UA, 100.0) * 1e-6
            amperes[list(missing)] = np.nan
            values = {"current": amperes, "voltage": np.full(len(amperes), MV / 1e3), "current_lsb": levels()}
            return {"signals": {name: {"value": values[name]} for name in fields}}

    class Device:
        stream_buffer, parameters, running = Buffer(), {}, False

        def __init__(self, number):
            self.number = number

        def __str__(self):
            return f"JS220-{self.number:06}"

        def parameter_set(self, name, value):
            self.parameters[name] = value

        def open(self): ...

        def close(self): ...

        def start(self):
            self.running = True

        def stop(self):
            self.running = False

    package = types.ModuleType("joulescope")
    found = [Device(i) for i in range(count)]
    package.scan = lambda config: found
    return package, found


def test_joulescope_sends_the_trigger_with_the_current(monkeypatch):
    package, (device,) = scope(missing=[REST + 2])
    monkeypatch.setitem(sys.modules, "joulescope", package)
    monkeypatch.setattr("tinyrig.energy.joulescope.SETTLE_S", 0.0)
    meter = Joulescope(Wiring())
    meter.start()
    assert device.running and device.parameters == {"current_lsb": "gpi0"}
    recorded, marked = analyse(meter.stop())
    meter.close()
    assert not device.running
    assert (recorded.marks, recorded.damaged, recorded.losses) == (PULSES, 1, 1)
    assert [energy_uj(m, 1, recorded.sample_us) for m in marked] == pytest.approx(
        [UA * MV * WIDTH * STEP_US * 1e-9] * (PULSES - 1)
    )


@pytest.mark.parametrize(
    ("wiring", "told"),
    [(Wiring(), "JS220-000000, JS220-000001"), (Wiring(mode="source"), "supplies nothing"), (Wiring(channel=2), "not 2")],
)
def test_joulescope_that_can_not_be_meant_is_told(monkeypatch, wiring, told):
    monkeypatch.setitem(sys.modules, "joulescope", scope(2)[0])
    with pytest.raises(RuntimeError, match=told):
        Joulescope(wiring)
    assert Joulescope(Wiring("000001")).title == "Joulescope"


OFFERED = """
import numpy as np
from tinyrig.energy.driver import Trace


class Bench:
    title, trigger_input = "Bench 1", "CH2"

    def __init__(self, wiring):
        if wiring.port == "broken":
            raise OSError("no such instrument")

    def start(self): ...

    def stop(self):
        trigger = np.asarray([0, 1, 1, 0, 0], bool)
        return Trace(10.0, np.full(5, 2000.0), trigger)

    def close(self): ...
"""


def test_a_meter_of_another_package(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    (tmp_path / "bench_meter.py").write_text(OFFERED)
    info = tmp_path / "bench_meter-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-meter\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tinyrig.meters]\nbench = bench_meter:Bench\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    with meter_for(Config(energy=Energy(meter="bench", board="virtual")), BOARDS["virtual"]) as meter:
        recorded, (marked,) = meter.record(lambda: None)
        assert meter.trigger_input == "CH2" and recorded.marks == 1 and list(marked.ua) == [2000.0, 2000.0]
    with pytest.raises(LinkError, match="no such instrument"):
        Meter(Energy("broken", meter="bench"))


def test_a_meter_that_nobody_offers():
    with pytest.raises(UserError, match="ppk2 or joulescope or otii or csv"):
        meter_for(Config(energy=Energy(meter="ppk3")), BOARDS["virtual"])


def test_a_trace_is_saturated_only_within_a_span():
    trace = Trace(10.0, np.asarray([1e6, 1.0, 1.0, 1.0]), np.asarray([0, 1, 1, 0], bool), most_ua=1e6)
    assert not analyse(trace)[0].saturated and trace.saturated(0, 1)
