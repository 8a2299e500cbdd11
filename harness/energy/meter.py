"""The power meter as the rig uses it: found, opened, and asked what each marked inference cost."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tinyrig.core.boards import Board
from tinyrig.core.config import Config, Energy
from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError
from tinyrig.core.records import MEASURED, Sample
from tinyrig.energy.stream import SAMPLE_US, energy_uj
from tinyrig.host.helper import Helper, NoAnswer, module_command
from tinyrig.host.locks import Locks, port_key
from tinyrig.link.bounds import check
from tinyrig.link.session import Session
from tinyrig.places.remedies import extra

USB_IDS = ((0x1915, 0xC00A),)
"""Nordic Semiconductor's for the PPK2."""
ANSWER_S = 20.0
"""For opening the meter, and for ending a recording beyond a second for each second of it."""
STOP_S = 5.0
TRIES = 3
"""At a recording of which samples were lost."""


def meter_for(config: Config, board: Board) -> contextlib.AbstractContextManager[Meter | None]:
    """The meter of rig.toml's [energy], if that is wired to `board`: the one it names, else any physical one. Raises RigError."""
    wanted = config.energy
    if wanted is None or (wanted.board != board.name if wanted.board else board.timing != MEASURED):
        return contextlib.nullcontext()
    return Meter(wanted)


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


@dataclass(frozen=True)
class Recorded:
    """What a recording holds: of `marks` marked spans, `damaged` miss samples; `losses` gaps in all of `samples` samples."""

    samples: int
    marks: int
    damaged: int
    losses: int
    saturated: bool


class Meter:
    """A context manager around the process that reads the PPK2. Raises HostError where ppk2-api or the meter lacks."""

    def __init__(self, wanted: Energy) -> None:
        self.wanted = wanted
        self.port = wanted.port or find_meter()
        self._locks = Locks()
        self._locks.take(port_key(self.port), f"the power meter at {self.port}")
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-energy-")
        words = [self.port, wanted.mode, str(wanted.voltage_mv), str(wanted.channel)]
        self._helper = Helper(module_command("tinyrig.energy.worker", *words))
        try:
            self._checked(lambda: self._helper.answer(ANSWER_S))
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

    def record(self, doing: Callable[[], None]) -> tuple[Recorded, list[np.ndarray]]:
        """What was recorded while `doing` ran, and the currents (uA) of each marked span. Raises HostError, LinkError."""
        self._ask({"do": "start"}, ANSWER_S)
        started = time.monotonic()
        file = Path(self._folder.name) / "spans.npz"
        try:
            doing()
        finally:
            told = self._ask({"do": "stop", "file": str(file)}, ANSWER_S + 2 * (time.monotonic() - started))
        with np.load(file) as arrays:
            lengths, currents = arrays["lengths"].astype(int), arrays["currents_ua"]
        return Recorded(**told), np.split(currents, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def _ask(self, request: dict[str, str], seconds: float) -> dict[str, Any]:
        return self._checked(lambda: self._helper.ask(request, seconds))

    def _checked(self, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            told = answer()
        except NoAnswer as error:
            told = {"failed": f"{error}: {error.said}" if error.said else str(error)}
        if "lacking" in told:
            raise HostError("the power meter needs ppk2-api", received=told["lacking"], remedy=extra("energy"))
        if "failed" in told:
            raise LinkError(
                f"the power meter at {self.port} can't be used",
                expected="a Power Profiler Kit II",
                received=told["failed"],
                remedy="check port and cable; unplug and plug it in again; close other programs that use it",
            )
        return told


def measure_energy(
    meter: Meter, session: Session, payload: tuple[bytes, ...], outputs: bytes, repeats: int
) -> tuple[tuple[Sample, ...], dict[str, Any]]:
    """`repeats` marked inferences of one window, in a pass of their own: their samples, and what each cost.

    outputs: what each must give. An inference that the line made the session repeat is marked twice and measured twice.
    Raises DeviceError, LinkError, HostError.
    """
    for left in reversed(range(TRIES)):
        samples: list[Sample] = []
        recorded, currents = meter.record(partial(_run, session, payload, repeats, samples))
        wrong = next((s for s in samples if s.outputs != outputs), None)
        if wrong is not None:
            raise DeviceError(
                "a marked inference gave other outputs",
                expected=outputs[:32].hex(),
                received=wrong.outputs[:32].hex(),
                remedy="check the supply: the meter may limit it",
            )
        fault = _fault(meter.wanted, recorded, repeats)
        if fault is None:
            return tuple(samples), _figures(meter.wanted, recorded, currents)
        if not recorded.losses or not left:
            raise fault
    raise AssertionError


def _run(session: Session, payload: tuple[bytes, ...], repeats: int, samples: list[Sample]) -> None:
    for index in range(repeats):
        samples.append(session.run(payload, trigger=True, kind="energy", index=index))


def _fault(wanted: Energy, recorded: Recorded, repeats: int) -> RigError | None:
    """Why a recording can't be used."""
    pin = f"D{wanted.channel}"
    if recorded.saturated:
        return DeviceError(
            "the current is beyond the power meter's range",
            expected="less than 1 A",
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
    if recorded.marks < repeats:
        return DeviceError(
            "the power meter did not see every trigger",
            expected=f"{repeats} pulses on {pin}",
            received=str(recorded.marks),
            remedy=f"check the trigger's wire; an inference shorter than {SAMPLE_US:g} us can't be measured",
        )
    return None


def _figures(wanted: Energy, recorded: Recorded, currents: list[np.ndarray]) -> dict[str, Any]:
    """For the run's settings: raw figures of each marked inference. Raises Impossible for currents that can't be."""
    for i, ua in enumerate(currents):
        found = ua if ua.size else np.asarray([np.nan])  # a span without samples has no current
        for field, value in (("current", found.min()), ("current", found.max()), ("mean current", found.mean())):
            check(field, float(value), said_by=f"the power meter, of marked inference {i},")
    return {
        "uj": [round(energy_uj(ua, wanted.voltage_mv), 6) for ua in currents],
        "us": [len(ua) * SAMPLE_US for ua in currents],
        "voltage_mv": wanted.voltage_mv,
        "mode": wanted.mode,
        "channel": wanted.channel,
        "losses": recorded.losses,
    }
