"""The power meter as the rig uses it: found, opened, and asked what each marked inference cost."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tinyrig.core.boards import Board
from tinyrig.core.config import Config, Energy
from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError, UserError
from tinyrig.core.records import Sample
from tinyrig.energy.meters import IMPORTED, OWN
from tinyrig.energy.settings import wired_to
from tinyrig.energy.spans import Marked, Recorded, analyse, energy_uj
from tinyrig.energy.trace_file import read_trace
from tinyrig.host.helper import Helper, NoAnswer, module_command
from tinyrig.host.locks import Locks, port_key
from tinyrig.link.bounds import check
from tinyrig.link.session import Session
from tinyrig.places.remedies import extra

log = logging.getLogger(__name__)

USB_IDS = ((0x1915, 0xC00A),)
"""Nordic Semiconductor's for the PPK2."""
ANSWER_S = 20.0
"""For opening the meter, and for ending a recording beyond a second for each second of it."""
STOP_S = 5.0
FILE_WAIT_S, FILE_POLL_S = 600.0, 1.0
"""For somebody to export a recording."""
TRIES = 3
"""At a recording of which samples were lost."""


def meter_for(config: Config, board: Board) -> contextlib.AbstractContextManager[AnyMeter | None]:
    """The meter that is wired to `board`, if one is. Raises RigError."""
    wanted = wired_to(config, board)
    if wanted is None:
        return contextlib.nullcontext()
    return TraceFile(wanted) if wanted.meter == IMPORTED else Meter(wanted)


def find_meter() -> str:
    """The port of the one PPK2. Raises HostError for none or several."""
    from serial.tools import list_ports

    return choose([(p.device, p.serial_number or p.device) for p in list_ports.comports() if (p.vid, p.pid) in USB_IDS])


def choose(ports: list[tuple[str, str]]) -> str:
    """(port, USB serial number) -> the port; newer firmware gives one meter two ports, of which the first one measures."""
    first = {serial: port for port, serial in sorted(ports, reverse=True)}
    if len(first) == 1:
        return next(iter(first.values()))
    raise HostError(
        "no PPK2 is attached" if not first else "several PPK2 are attached",
        expected="one, with USB id 1915:c00a",
        received=", ".join(sorted(first.values())) or "none",
        remedy="plug it in, or remove [energy] from rig.toml" if not first else "name its port under [energy] in rig.toml",
    )


class Meter:
    """A context manager around the process that reads the meter. Raises HostError where its package or the meter lacks."""

    def __init__(self, wanted: Energy) -> None:
        self.wanted = wanted
        self.port = wanted.port or (find_meter() if wanted.meter == "ppk2" else "")
        self.trigger_input = f"input {wanted.channel}"
        self._locks = Locks()
        self._locks.take(port_key(self.port or wanted.meter), self._named())
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-energy-")
        words = [wanted.meter, self.port, wanted.mode, str(wanted.voltage_mv), str(wanted.channel)]
        self._helper = Helper(module_command("tinyrig.energy.worker", *words))
        try:
            self.trigger_input = self._checked(lambda: self._helper.answer(ANSWER_S))["trigger_input"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._helper.close(STOP_S)
        self._folder.cleanup()
        self._locks.close()

    def _named(self) -> str:
        return f"the power meter at {self.port}" if self.port else f"the power meter {self.wanted.meter}"

    def record(self, doing: Callable[[], None]) -> tuple[Recorded, list[Marked]]:
        """What was recorded while `doing` ran, and its whole marked spans. Raises HostError, LinkError."""
        self._ask({"do": "start"}, ANSWER_S)
        started = time.monotonic()
        file = Path(self._folder.name) / "spans.npz"
        try:
            doing()
        finally:
            told = self._ask({"do": "stop", "file": str(file)}, ANSWER_S + 2 * (time.monotonic() - started))
        return Recorded(**told), _read(file)

    def _ask(self, request: dict[str, str], seconds: float) -> dict[str, Any]:
        return self._checked(lambda: self._helper.ask(request, seconds))

    def _checked(self, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            told = answer()
        except NoAnswer as error:
            told = {"failed": f"{error}: {error.said}" if error.said else str(error)}
        own = OWN.get(self.wanted.meter)
        if "lacking" in told:
            raise HostError(
                f"the power meter needs {own.package if own else self.wanted.meter}",
                received=told["lacking"],
                remedy=extra(own.extra) if own else f"install the package of the meter {self.wanted.meter} whole",
            )
        if "failed" in told:
            raise LinkError(
                f"{self._named()} can't be used",
                expected=f"a {own.title}" if own else f"what the driver {self.wanted.meter} looks for",
                received=told["failed"],
                remedy="check port and cable; unplug and plug it in again; close other programs that use it",
            )
        return told


class TraceFile:
    """In a meter's place: any other instrument records, and its recording comes as a file of CSV. A file that is not there yet is
    waited for. Raises UserError for a file that is no recording."""

    def __init__(self, wanted: Energy) -> None:
        if not wanted.port:
            raise UserError(
                "[energy] names no file",
                expected='port = "trace.csv" beside meter = "csv"',
                received="no port",
                remedy="name the file, or say --energy FILE.csv",
            )
        self.wanted, self.file = wanted, Path(wanted.port)
        self.trigger_input = "the trigger column"
        if self.file.exists():
            read_trace(self.file, wanted.channel)  # before the board is measured for nothing

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def record(self, doing: Callable[[], None]) -> tuple[Recorded, list[Marked]]:
        """Raises UserError for a file that is no recording, HostError where none came."""
        doing()
        if not self.file.exists():
            self._wait()
        return analyse(read_trace(self.file, self.wanted.channel))

    def _wait(self) -> None:
        log.warning("the marked inferences are over: stop the recording and export it to %s; waiting for it", self.file)
        until, size = time.monotonic() + FILE_WAIT_S, -1
        while time.monotonic() < until:
            time.sleep(FILE_POLL_S)
            if self.file.exists():
                if (now := self.file.stat().st_size) == size and now:
                    return  # it grew no more
                size = now
        raise HostError(
            f"{self.file} did not come",
            expected=f"the recording, within {FILE_WAIT_S:g} s of the last marked inference",
            received="no file",
            remedy="export it and run again: a file that is there is taken",
        )


AnyMeter = Meter | TraceFile


def _read(file: Path) -> list[Marked]:
    with np.load(file) as arrays:
        ends = np.cumsum(arrays["lengths"].astype(int))
        currents, volts = arrays["currents_ua"], arrays["voltages_mv"]
    spans = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)] if len(ends) else []
    return [Marked(currents[s], volts[s] if len(volts) else None) for s in spans]


def measure_energy(
    meter: AnyMeter, session: Session, payload: tuple[bytes, ...], outputs: bytes, repeats: int
) -> tuple[tuple[Sample, ...], dict[str, Any]]:
    """`repeats` marked inferences of one window, in a pass of their own: their samples, and what each cost.

    outputs: what each must give. An inference that the line made the session repeat is marked twice and measured twice.
    Raises DeviceError, LinkError, HostError.
    """
    for left in reversed(range(TRIES)):
        samples: list[Sample] = []
        recorded, marked = meter.record(partial(_run, session, payload, repeats, samples))
        wrong = next((s for s in samples if s.outputs != outputs), None)
        if wrong is not None:
            raise DeviceError(
                "a marked inference gave other outputs",
                expected=outputs[:32].hex(),
                received=wrong.outputs[:32].hex(),
                remedy="check the supply: the meter may limit it",
            )
        fault = _fault(meter, recorded, repeats)
        if fault is None:
            return tuple(samples), _figures(meter.wanted, recorded, marked)
        if not recorded.losses or not left:
            raise fault
    raise AssertionError


def _run(session: Session, payload: tuple[bytes, ...], repeats: int, samples: list[Sample]) -> None:
    for index in range(repeats):
        samples.append(session.run(payload, trigger=True, kind="energy", index=index))


def _fault(meter: AnyMeter, recorded: Recorded, repeats: int) -> RigError | None:
    """Why a recording can't be used."""
    pin = meter.trigger_input
    if recorded.saturated:
        return DeviceError(
            "the current is beyond the power meter's range",
            expected="a current that it can show",
            received="its largest value",
            remedy="check the wiring for a short; supply other loads of the board elsewhere",
        )
    if recorded.damaged or (recorded.marks < repeats and recorded.losses):
        return LinkError(
            "samples of the power meter were lost",
            expected="none during a marked inference",
            received=f"{recorded.losses} gaps in {recorded.samples} samples, {TRIES} times",
            remedy="connect it without a hub; reduce the host's load",
        )
    if not recorded.marks:
        return DeviceError(
            "the power meter saw no trigger",
            expected=f"{repeats} pulses on {pin}",
            received=f"{recorded.samples} samples without one",
            remedy=f"wire the board's trigger pin to {pin}, and both logic grounds and VCC (docs/energy.md)",
        )
    if recorded.marks > repeats:
        return DeviceError(
            "the power meter saw more triggers than there were inferences",
            expected=f"{repeats} pulses on {pin}",
            received=str(recorded.marks),
            remedy="check that nothing else drives the trigger; a recording must hold this run's marked inferences and no others",
        )
    if recorded.marks < repeats:
        return DeviceError(
            "the power meter did not see every trigger",
            expected=f"{repeats} pulses on {pin}",
            received=str(recorded.marks),
            remedy=f"check the trigger's wire; an inference shorter than {recorded.sample_us:g} us can't be measured",
        )
    return None


def _figures(wanted: Energy, recorded: Recorded, marked: list[Marked]) -> dict[str, Any]:
    """For the run's settings: raw figures of each marked inference. Raises Impossible for currents that can't be."""
    for i, one in enumerate(marked):
        found = one.ua if one.ua.size else np.asarray([np.nan])  # a span without samples has no current
        for field, value in (("current", found.min()), ("current", found.max()), ("mean current", found.mean())):
            check(field, float(value), said_by=f"the power meter, of marked inference {i},")
    voltages = [float(np.mean(one.mv)) for one in marked if one.mv is not None]
    return {
        "uj": [round(energy_uj(one, wanted.voltage_mv, recorded.sample_us), 6) for one in marked],
        "us": [len(one.ua) * recorded.sample_us for one in marked],
        "voltage_mv": round(float(np.median(voltages))) if voltages else wanted.voltage_mv,
        "voltage_measured": bool(voltages),
        "meter": wanted.meter,
        "mode": wanted.mode,
        "channel": wanted.channel,
        "losses": recorded.losses,
    }
