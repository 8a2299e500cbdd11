"""Faults that a virtual board can inject, so that tests of the real code need no mocks.

Line faults act on the UART of the running application only: the bootloader's USB link checks its own packets.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tinyrig.core.errors import UserError
from tinyrig.virtual.chip import IMAGE_BASE, RAM_BYTES
from tinyrig.virtual.line_faults import SYNTAX, LineFault, parse_line_fault

FAULTS: dict[str, tuple[int, str]] = {
    # name: (default argument, what it does)
    "rx-drop": (1000, "every Nth byte to the board is lost"),
    "rx-flip": (1000, "every Nth byte to the board has one bit flipped"),
    "rx-noise": (1000, "a stray byte comes before every Nth byte to the board"),
    "tx-drop": (1000, "every Nth byte from the board is lost"),
    "tx-flip": (1000, "every Nth byte from the board has one bit flipped"),
    "tx-noise": (1000, "a stray byte comes before every Nth byte from the board"),
    "stall": (0, "the board falls silent for good after N received bytes"),
    "boot-ram": (RAM_BYTES, "the bootloader overwrites N bytes of RAM, from its lowest address on, at each reset"),
    "boot-dead": (0, "the bootloader does not start the first N times it is requested (0: never)"),
    "boot-refuse": (0, "the bootloader refuses the Nth of its erase and write commands (0: every one)"),
    "boot-silent": (1, "the bootloader falls silent at the Nth of its erase and write commands, until it is requested again"),
    "boot-refuse-identify": (0, "the bootloader refuses the Nth request for its version (0: every one)"),
    "boot-refuse-verify": (0, "the bootloader refuses the Nth of its verifications (0: every one)"),
    "boot-silent-verify": (1, "the bootloader falls silent at the Nth of its verifications, until it is requested again"),
    "boot-stay": (0, "the bootloader ignores the command to start the image"),
    "unplug-identify": (1, "the board is unplugged for good at the Nth request for the bootloader's name"),
    "unplug-erase": (1, "the board is unplugged for good at the Nth erase command"),
    "unplug-verify": (1, "the board is unplugged for good at the Nth verification"),
    "brown-out": (2, "the power fails in the middle of the Nth flash write: half is written, then the board restarts"),
    "unplug": (2, "the board is unplugged for good at the Nth flash write"),
    "no-crystal": (0, "the crystal of the 64 MHz clock never starts"),
    "sensor-missing": (0, "another device answers in place of inertial sensor N (0: the first)"),
    "sensor-nack": (1, "no sensor acknowledges from the Nth I2C transfer on"),
    "sensor-bus": (1, "SDA is held low from the Nth I2C transfer on"),
    "sensor-stuck": (1, "the first inertial sensor repeats its Nth reading for good"),
    "sensor-drop": (10, "the event of every Nth sample time comes one period late"),
    "sensor-clip": (0, "axis N of the first inertial sensor reads its largest value"),
    "sensor-drift": (1000, "the sample clock runs N ppm faster than the processor's"),
    "sensor-weak": (0, "inertial sensor N does not respond to its self-test (0: the first)"),
    "sensor-program": (0, "the BMI270 loses what is loaded into it from its byte N on"),
    "sensor-open": (0, "the wire of force sensor N is broken (0: the first)"),
    "flash-bad-write": (IMAGE_BASE + 0x100, "bit 0 of the flash byte at address N reads back inverted after each write"),
}


@dataclass(frozen=True)
class Fault:
    """One parsed --fault option."""

    name: str
    argument: int


def parse_fault(text: str) -> Fault | LineFault:
    """`rx-drop:500`, `rx-drop` or `line-flip:1e-4` -> what to inject. Raises UserError for an unknown name or a bad number."""
    if text.startswith("line-"):
        return parse_line_fault(text)
    name, colon, argument = text.partition(":")
    if name not in FAULTS:
        expected = f"NAME or NAME:N with NAME one of {', '.join(FAULTS)}, or {SYNTAX}"
        raise UserError(f"unknown fault {text!r}", expected=expected, received=text)
    try:
        value = int(argument, 0) if colon else FAULTS[name][0]
    except ValueError:
        value = -1
    if value < 0 or (value == 0 and name.startswith(("rx-", "tx-"))):
        raise UserError(f"fault {name}: bad argument", expected="a positive integer", received=argument)
    return Fault(name, value)


class Damage:
    """Damages one direction ("rx" or "tx") of the line, the same way for the same bytes."""

    def __init__(self, direction: str, faults: Iterable[Fault | LineFault], injected: Counter[str]) -> None:
        self._direction, self._injected = direction, injected
        plain = [f for f in faults if isinstance(f, Fault)]
        self._faults = [(f.name[3:], f.argument) for f in plain if f.name.startswith(direction + "-")]
        self._stall = next((f.argument for f in plain if f.name == "stall"), None) if direction == "rx" else None
        self._count = 0
        self._random = random.Random(direction)

    def apply(self, data: bytes) -> bytes:
        """`data` as the other side will see it."""
        if not self._faults and self._stall is None:
            return data
        return b"".join(self._byte(value) for value in data)

    def _byte(self, value: int) -> bytes:
        self._count += 1
        if self._stall is not None and self._count > self._stall:
            return b""
        result = bytes([value])
        for name, every in self._faults:
            if self._count % every == 0:
                self._injected[f"{self._direction}-{name}"] += 1
                result = self._damaged(name, result)
        return result

    def _damaged(self, name: str, data: bytes) -> bytes:
        if name == "drop":
            return b""
        if name == "noise":
            return bytes([self._random.randrange(256)]) + data
        return bytes(value ^ 1 << self._random.randrange(8) for value in data)
