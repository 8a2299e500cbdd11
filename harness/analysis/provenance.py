"""What a number belongs to, in words and in JSON: board, clock, timer, compiler, firmware, and how its cycles came about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from tinyrig.analysis import mlperf_metrics
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MEASURED, BoardInfo, ClockCheck, Measurement
from tinyrig.core.text import NUMPY

WRONG_PPM = 10_000.0
"""1 %: a crystal is good to 100 ppm and an RC oscillator to a few per cent, a wrong divider or multiplier is off by far more."""
TIMING_NOTES = {
    ESTIMATED: "estimated cycles of the virtual board's Cortex-M4F timing model: zero wait states, the nRF52840's flash wait "
    "states and cache are not modelled, floating-point timing has no silicon check",
    MEASURED: "cycles of the board's own counter (DWT CYCCNT), the timer's overhead subtracted",
    INSTRUCTIONS: "instructions that an emulator executed, counted one by one, the timer's overhead subtracted: neither cycles "
    "nor time",
}
MEMORY_NOTE = (
    "estimated cycles of the virtual board's timing model of a Cortex-M4F behind the nRF52840's flash and cache, of which an "
    "earlier version was checked against 303 published measurements of integer programs on that chip (mean error -1.7 %, 94 % "
    "within 5 %, worst -25 %), but none against a whole network or floating-point code there. The ends of the band: two ways of "
    "the cache and 2 cycles a line of data; 3 cycles for every read of data, and the worst of four layouts of the code"
)
"""Of estimates whose timing model has a name."""
CALIBRATED_NOTE = (
    "estimated cycles of the virtual board's timing model of a Cortex-M4F behind a memory system that `tinyrig calibrate` found "
    "on a board, from loops; the ends of its band, where it has one, are as far off as estimates were there"
)
"""Where that memory system comes from a file."""
_CALIBRATED = re.compile(r" calibrated.*?(?: on (.+))? [0-9a-f]{8}$")
"""The name of such a timing model; the group: board and date."""
ORACLE_NOTES = {
    "tflm": "tflite-micro: TFLM's reference kernels, run on the host",
    "litert-ref": "LiteRT interpreter with the BUILTIN_REF op resolver, run on the host",
    "numpy": f"{NUMPY}: tinyrig's portable kernels on the host, each operator compared with its definition; weaker than the "
    "others, for tinyrig is judged by tinyrig",
}


def timer_hz(board: BoardInfo) -> int | None:
    """Steps of the timer a second; None where it was not kept."""
    return board.timer_hz or None


def timer_text(board: BoardInfo, overhead_cycles: Any = None) -> str:
    """`64 MHz (one step is 15.6 ns), 1 cycle of overhead subtracted`."""
    hz = timer_hz(board)
    step = "not kept" if hz is None else f"{hertz(hz)} (one step is {_seconds(1 / hz)})"
    if not isinstance(overhead_cycles, int):
        return step
    return f"{step}, {overhead_cycles} {'cycle' if overhead_cycles == 1 else 'cycles'} of overhead subtracted"


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
        "timer_overhead_cycles": run.settings.timer_overhead_cycles,
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


# ---- what a run belongs to ----


def checked_metadata(run: Measurement) -> dict[str, Any]:
    """What must agree before two runs stand in one table or are compared. A timer that counts every cycle is not named, as in
    runs from before it was kept: their history continues. An estimate names its timing model, unless that is the
    one for zero wait states."""
    tool, board = run.image.toolchain, run.board
    coarse = {"timer_hz": board.timer_hz} if board.timer_hz not in (None, board.clock_hz) else {}
    model = {"timing_model": run.settings.timing_model} if run.settings.timing_model else {}
    return {
        "board": board.name,
        "clock_hz": board.clock_hz,
        "timing": board.timing,
        "compiler": tool.cc,
        "flags": tool.flags,
        **coarse,
        **model,
    }


def comparable_metadata(run: Measurement) -> dict[str, Any]:
    """What must agree before the values of two runs of one variant are compared: the checked metadata, the engine and the test
    windows (their number, labels and values as they were given: what the model's own quantisation makes of them may change).
    Values are not named for runs from before they were kept."""
    labels = None if run.labels is None else sha256(json.dumps([int(n) for n in run.labels]).encode()).hexdigest()[:16]
    windows = len({s.index for s in run.samples if s.kind == "window"})
    given = {TEST_SET: run.settings.test_set} if run.settings.test_set else {}
    scored = {SCORED: run.settings.scoring.output} if run.settings.scoring and run.settings.scoring.output else {}
    return {**checked_metadata(run), "engine": run.image.engine, "windows": windows, "labels": labels, **given, **scored}


TEST_SET = "test_set"
SCORED = "scored_output"
"""The index of the output that the labels belong to; not named where it is the first, as in runs from before it was kept."""
METADATA_WORDS = {
    "timing_model": "timing model changed (None: zero wait states)",
    TEST_SET: "test windows changed (hash of their values)",
    SCORED: "scored output changed (its number, None: the first)",
}
"""For the metadata whose names don't say enough."""


def differing_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The metadata that differ. The windows' values do only where both runs kept what they were."""
    unknown = {TEST_SET} - ({*first} & {*second})
    return [key for key in sorted({*first, *second} - unknown) if first.get(key) != second.get(key)]


def metadata_hash(metadata: Mapping[str, Any]) -> str:
    """SHA-256 as hex: equal for equal metadata."""
    return sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def link(run: Measurement) -> dict[str, Any] | None:
    """What the line cost: counts, bytes, seconds of recovering; with the faults that were injected on purpose and how often. Of a
    resumed run it tells the last attempt only.
    None for a run that was stored without."""
    kept = run.settings
    if kept.link is None:
        return None
    injected = {"injected_faults": list(kept.injected_faults or ()), "injected": dict(kept.injected or {})}
    return {**kept.link, **injected, "warning": line_warning(kept.link)}


LINE_REPEATS = 0.05
"""Of all requests: where rig.toml's line_repeats says nothing, and for runs from before it was kept."""
FEWEST_REPEATS = 5
"""Fewer happen when a board has just been started, and would be a large share of a short run."""
_REASONS = {
    "timeouts": "without a reply in time",
    "damaged": "with a damaged reply (CRC)",
    "refused": "that the board received damaged (CRC) or cut",
}


def line_warning(link: Mapping[str, Any]) -> str | None:
    """What must be said of a line that repeats too large a share of its requests, None where nothing must. `link`: as a session
    sums it up (link/exchange.py), with `repeats_limit`."""
    requests, repeats, late = (_count(link, name) for name in ("requests", "retries", "stale"))
    limit = link.get("repeats_limit", LINE_REPEATS)
    if repeats < FEWEST_REPEATS or not isinstance(limit, int | float) or repeats <= limit * requests:
        return None
    reasons = [f"{_count(link, name)} {text}" for name, text in _REASONS.items() if _count(link, name)]
    reasons += [f"{late} late replies dropped"] if late else []
    return (
        f"the line is bad: of {requests} requests {repeats} were sent again, {repeats / max(requests, 1):.0%} "
        f"(line_repeats allows {limit:.0%}): {', '.join(reasons) or 'for no reason that was kept'}. Every output and time is as "
        "good as on a good line, measuring only takes longer. Look at cable, hub, wires, baud rate and the adapter's driver"
    )


def _count(link: Mapping[str, Any], name: str) -> int:
    value = link.get(name, 0)
    return value if isinstance(value, int) else 0


LAYOUT_MATTERS = 0.02
"""From here on it is said that an estimate depends on where the code lies."""


def layout_note(spread: float | None) -> str:
    """Empty where the layout of the code matters little, or is not known to."""
    if spread is None or spread <= LAYOUT_MATTERS:
        return ""
    return (
        f"other layouts of the same code in the flash differ by {spread:.1%}: its lines displace each other in the cache, and "
        "any change of the code may move them"
    )


def timing_note(run: Measurement) -> str:
    """What the timing comes from, in words."""
    if mlperf_metrics.is_foreign(run):
        return mlperf_metrics.TIMING_NOTE
    return note_of(run.board.timing, run.settings.timing_model)


def note_of(timing: str, timing_model: str | None) -> str:
    """The same of cycles that the board's own image counted; `timing_model` None or empty: zero wait states."""
    if not timing_model:
        return TIMING_NOTES.get(timing, timing)
    found = _CALIBRATED.search(timing_model)
    return (f"{CALIBRATED_NOTE}: {found[1]}" if found[1] else CALIBRATED_NOTE) if found else MEMORY_NOTE


def stored_notes(metadata: Iterable[Mapping[str, Any] | None]) -> tuple[str, ...]:
    """What estimates of stored runs were checked against, by their comparable metadata: one line for each timing model. None for
    those that were not estimated."""
    models = dict.fromkeys(known.get("timing_model") for known in metadata if known and known.get("timing") == ESTIMATED)
    return tuple(dict.fromkeys(note_of(ESTIMATED, model) for model in models))


def oracle_note(run: Measurement) -> str:
    """Which reference the outputs were compared with, in words."""
    if run.parity is None:
        return "none: outputs were not compared with a reference"
    return ORACLE_NOTES.get(run.parity.oracle, run.parity.oracle)
