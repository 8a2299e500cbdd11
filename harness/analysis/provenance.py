"""What a number belongs to, in words and in JSON: board, clock, timer, compiler, firmware, and how its cycles came about."""

from __future__ import annotations

from typing import Any

from tinyrig.core.records import BoardInfo, ClockCheck, Measurement

WRONG_PPM = 10_000.0
"""1 %: a crystal is good to 100 ppm and an RC oscillator to a few per cent, a wrong divider or multiplier is off by far more."""


def timer_hz(board: BoardInfo) -> int | None:
    """Steps of the timer a second; None where it was not kept."""
    return board.timer_hz or None


def timer_text(board: BoardInfo, overhead_cycles: Any = None) -> str:
    """`64 MHz (one step is 15.6 ns), 1 cycle of overhead taken off`."""
    hz = timer_hz(board)
    step = "not kept" if hz is None else f"{hertz(hz)} (one step is {_seconds(1 / hz)})"
    if not isinstance(overhead_cycles, int):
        return step
    return f"{step}, {overhead_cycles} {'cycle' if overhead_cycles == 1 else 'cycles'} of overhead taken off"


def clock_off(clock: ClockCheck | None) -> bool | None:
    """Whether the clock is off by more than WRONG_PPM whatever the round trips; None where that can't be said."""
    if clock is None or clock.ppm is None or clock.ppm_error is None:
        return None
    if abs(clock.ppm) - clock.ppm_error > WRONG_PPM:
        return True
    return False if abs(clock.ppm) + clock.ppm_error <= WRONG_PPM else None


def clock_text(clock: ClockCheck | None) -> str:
    """`-12 ppm, give or take 340 ppm, over 5.2 s`, or why it was not checked."""
    if clock is None:
        return "not checked"
    if clock.ppm is None or clock.ppm_error is None:
        return clock.reason
    unclear = "" if clock_off(clock) is not None else "; too short or the line too slow to tell whether it is off by 1 %"
    return f"{_ppm(clock.ppm, '+')}, give or take {_ppm(clock.ppm_error)}, over {clock.seconds:.1f} s{unclear}"


def clock_warning(clock: ClockCheck | None) -> str | None:
    """What must be said above all results, None where nothing must."""
    if clock is None or clock.ppm is None or not clock_off(clock):
        return None
    return (
        f"the board's counter is {_ppm(clock.ppm, '+')} off its stated clock by this host's ({clock_text(clock)}), so every time "
        "in us and ms is wrong by as much; cycles are right. Look at the port's clock set-up (oscillator, PLL, port_clock_hz), "
        "and whether the counter stops while the processor sleeps"
    )


def clock_json(clock: ClockCheck | None) -> dict[str, Any] | None:
    """None for a run that was stored without."""
    if clock is None:
        return None
    return {
        "ppm": clock.ppm,
        "ppm_error": clock.ppm_error,
        "seconds": clock.seconds,
        "reason": clock.reason or None,
        "warning": clock_warning(clock),
    }


def board_json(run: Measurement) -> dict[str, Any]:
    board = run.board
    return {
        "name": board.name,
        "id": board.id,
        "clock_hz": board.clock_hz,
        "timing": board.timing,
        "timer_hz": timer_hz(board),
        "timer_overhead_cycles": run.settings.get("timer_overhead_cycles"),
    }


def _ppm(value: float, sign: str = "") -> str:
    """In per cent where ppm would hide the size of it."""
    return f"{value / 1e4:{sign}.2f} %" if abs(value) >= WRONG_PPM else f"{value:{sign}.0f} ppm"


def hertz(hz: float) -> str:
    """`64 MHz`."""
    for unit, name in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")):
        if hz >= unit:
            return f"{hz / unit:g} {name}"
    return f"{hz:g} Hz"


def _seconds(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-12:.3g} ps"
