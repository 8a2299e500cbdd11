"""What a number from a device can be at all. What lies beyond is the rig's fault, however good its checksum: nothing is measured.

A bound is sound, not tight: no right firmware on a working board reaches it. Outputs are not bounded here: they are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np

from tinyrig.core.errors import DeviceError
from tinyrig.core.records import Hello, Sample, TensorSpec

EMULATED_PER_S = 1e10
"""Cycles or instructions that an emulator counts in a second of the host's, at most: 930 million instructions were seen."""
CLOCK_RATIO = 1.5
"""By which a board's own time may exceed the host's: a clock that is set up wrongly is reported (clock_check.py), not refused."""
RECORD_RATIO = 1.05
"""Between the clock of a board that we know and the one it states; an internal oscillator is within 2 %."""
STRAY_S = 0.01
"""What an interrupt may add to one inference, on a physical board."""


@dataclass(frozen=True)
class Situation:
    """What is known where a number arrives; the defaults are what holds for any board.

    clock_hz: of the board's record, 0: not known. least_cycles: of one inference, by its arithmetic. most_stack: bytes that
    nothing else of the image uses. per_s: what the counter gains in a second of the host's, at most. took_s: from
    before the request to its reply. seen: cycles of the same or another inference of this
    board; physical: interrupts may stretch it. counting: not a virtual board whose counter is off.
    """

    clock_hz: int = 0
    least_cycles: int = 0
    most_stack: int = (1 << 32) - 1
    per_s: float = inf
    took_s: float = inf
    op_count: int = 0
    seen: float = 0.0
    total: float = 0.0
    physical: bool = True
    counting: bool = True

    @property
    def stray(self) -> float:
        """Cycles that an interrupt may add."""
        return STRAY_S * (self.clock_hz or 1e9) if self.physical else 1000.0


Limit = float | Callable[[Situation], float]


@dataclass(frozen=True)
class Bound:
    """`lower` and `upper` are possible; why: the reason, as the user reads it."""

    field: str
    lower: Limit
    upper: Limit
    unit: str
    why: str


_HELLO = (
    Bound("clock", 1e6, 1.2e9, "Hz", "microcontrollers run at 1 MHz to 1 GHz"),
    Bound("board's clock", lambda s: s.clock_hz / RECORD_RATIO, lambda s: s.clock_hz * RECORD_RATIO, "Hz", "the board's record"),
    Bound("max_payload", 76, 65_536, "bytes", "the smallest request with data, and the protocol's limit"),
    Bound("arena", 0, 1 << 28, "bytes", "no microcontroller has more RAM"),
    Bound("timer overhead", 0, 100_000, "cycles", "two readings of the slowest timer in use"),
    Bound("number of steps", 0, 16_377, "", "their cycles must fit one reply"),
    Bound("size of a tensor", 0, 1 << 28, "bytes", "no microcontroller has more RAM"),
    Bound("scale of a tensor", 0, float(np.finfo(np.float32).max), "", "a scale is finite and not negative"),
    Bound("zero point (int8)", -128, 127, "", "a value of the tensor's type"),
    Bound("zero point (uint8)", 0, 255, "", "a value of the tensor's type"),
    Bound("zero point (int16)", -32_768, 32_767, "", "a value of the tensor's type"),
    Bound("kind of fault", 0, 3, "", "the kinds of firmware/WIRE.md"),
)
_INFERENCE = (
    Bound(
        "cycles of an inference",
        lambda s: s.least_cycles,
        lambda s: s.took_s * s.per_s if s.per_s < inf else inf,
        "cycles",
        "at least what the model's arithmetic takes, at most what passed on the host's clock",
    ),
    Bound("stack", 0, lambda s: s.most_stack, "bytes", "the board's RAM without the image's own"),
    Bound("number of step cycles", lambda s: s.op_count, lambda s: s.op_count, "", "one for each step of the profile"),
    Bound("cycles of a step", 0, lambda s: s.total, "cycles", "no step takes longer than all of them"),
    Bound("sum of step cycles", lambda s: s.total, lambda s: s.total, "cycles", "a profile's cycles are the sum of its steps"),
    Bound(
        "cycles of a repetition",
        lambda s: s.seen / 2 - s.stray,
        lambda s: s.seen * 2 + s.stray,
        "cycles",
        "about those of the same window before",
    ),
    Bound(
        "cycles of a window",
        lambda s: s.seen / 20 - s.stray,
        lambda s: s.seen * 20 + s.stray,
        "cycles",
        "every window runs the same steps",
    ),
    Bound(
        "cycles of a profile",
        lambda s: s.seen / 5 - s.stray,
        lambda s: s.seen * 5 + 1000 * s.op_count + s.stray,
        "cycles",
        "about those of the same window at one go",
    ),
    Bound("cycles by its own counter", 0, lambda s: s.seen, "cycles", "what the board's counter gained meanwhile"),
)
_OTHERS = (
    Bound("result", -float(np.finfo(np.float32).max), float(np.finfo(np.float32).max), "", "a finite number"),
    Bound("exponent of a result", -99, 38, "", "that of a float32 number"),
    Bound("current", -1e3, 1.1e6, "uA", "the meter's range is 1 A; a little below 0 is its offset"),
    Bound("mean current", -10, 1.1e6, "uA", "a board consumes, and the meter's range is 1 A; a little below 0 is its offset"),
)
BOUNDS = {bound.field: bound for bound in (*_HELLO, *_INFERENCE, *_OTHERS)}

ANY = Situation()


class Impossible(DeviceError):
    """A device reported a number that it can't have measured."""


def check(field: str, value: float, situation: Situation = ANY, said_by: str = "the board") -> None:
    """Raises Impossible, which names the field, beyond its bound; NaN lies beyond every bound."""
    bound = BOUNDS[field]
    lower, upper = (limit(situation) if callable(limit) else limit for limit in (bound.lower, bound.upper))
    if lower <= value <= upper:
        return
    raise Impossible(
        f"{said_by} reports what can't be: {field} {_number(value)} {bound.unit}".rstrip(),
        expected=f"{_number(lower)} to {_number(upper)} {bound.unit}".rstrip() + f": {bound.why}",
        received=_number(value),
        remedy="nothing of it is kept as a result; check the firmware's port (counter, clock) and the device, then measure again",
    )


def _number(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.6g}"


def check_hello(hello: Hello) -> None:
    """Raises Impossible for the first field that no board can report."""
    check("clock", hello.clock_hz)
    check("max_payload", hello.max_payload)
    check("arena", hello.arena_bytes)
    check("timer overhead", hello.timer_overhead_cycles)
    check("number of steps", hello.op_count)
    for tensor in (*hello.inputs, *hello.outputs):
        _check_tensor(tensor)


def _check_tensor(tensor: TensorSpec) -> None:
    said_by = f"the board's hello, of {tensor.name},"
    check("size of a tensor", prod(tensor.shape) * np.dtype(tensor.dtype).itemsize, said_by=said_by)
    check("scale of a tensor", tensor.scale, said_by=said_by)
    if tensor.scale and f"zero point ({tensor.dtype})" in BOUNDS:
        check(f"zero point ({tensor.dtype})", tensor.zero_point, said_by=said_by)


def check_sample(sample: Sample, op_count: int, situation: Situation, took_s: float) -> None:
    """One inference by itself. took_s: host's seconds from before its request to its reply. Raises Impossible."""
    said_by = f"the board, of {sample.kind} {sample.index},"
    now = replace(situation, took_s=took_s, total=sample.cycles, op_count=op_count)
    check("cycles of an inference", sample.cycles, now, said_by)
    if sample.stack_bytes is not None:
        check("stack", sample.stack_bytes, now, said_by)
    check("number of step cycles", len(sample.op_cycles), now, said_by)
    for cycles in sample.op_cycles:
        check("cycles of a step", cycles, now, said_by)
    if sample.op_cycles:
        check("sum of step cycles", sum(sample.op_cycles), now, said_by)
