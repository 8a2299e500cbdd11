"""The recording of any bench meter or oscilloscope, exported as CSV: columns of time, current, maybe voltage, and the trigger.

A header names columns and units: `time_s`, `Timestamp(ms)`, `Current (uA)`, `voltage [V]`, `trigger`, `D0`. Fields are separated
by commas, semicolons (then a comma may be the decimal sign) or tabs; lines before the header are skipped.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.energy.driver import Trace

UNITS = {
    "time": {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3},
    "current": {"a": 1e6, "ma": 1e3, "ua": 1.0, "na": 1e-3},
    "voltage": {"v": 1e3, "mv": 1.0},
    "trigger": {"": 1.0, "v": 1.0, "mv": 1e-3},
}
"""Factors to us, uA, mV; a trigger is a level, or a voltage."""
NAMES = {
    "time": r"time|timestamp|t",
    "current": r"current|i|amps|amperes",
    "voltage": r"voltage|v|volts|u",
    "trigger": r"trigger|trig|mark|gpi|gpio|d|d\d|in\d|digital",
}
PORT = re.compile(r"d0-d7", re.IGNORECASE)
"""nRF Connect's Power Profiler writes all eight logic inputs as one word of zeros and ones, D0 first."""
HEADER_LINES = 100
GAP = 1.5
"""Sample intervals after which samples are missing."""
SWING_MV = 500.0
"""Of a trigger that is a voltage, at least."""


@dataclass(frozen=True)
class Column:
    index: int
    factor: float
    whole_port: bool = False


def read_trace(path: Path, channel: int) -> Trace:
    """The recording; `channel` picks a logic input where there are several. Raises UserError for what is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace").replace("µ", "u").replace("μ", "u")
    except OSError as error:
        raise UserError(
            f"{path} can't be read",
            expected="a recording as CSV",
            received=str(error),
            remedy="give the file that the meter exported",
        ) from error
    lines = text.splitlines()
    at, separator, columns = _header(path, lines, channel)
    values = _values(path, lines[at + 1 :], separator, columns, at + 2)
    return _trace(path, values, columns, channel)


def _header(path: Path, lines: list[str], channel: int) -> tuple[int, str, dict[str, Column]]:
    best: dict[str, Column] = {}
    for at, line in enumerate(lines[:HEADER_LINES]):
        for separator in (";", "\t", ","):
            found = _columns([cell.strip().strip('"') for cell in line.split(separator)], channel)
            if {"time", "current", "trigger"} <= found.keys():
                return at, separator, found
            best = max(best, found, key=len)
    lacking = [name for name in ("time", "current", "trigger") if name not in best]
    raise UserError(
        f"{path} has no header of a recording",
        expected="columns such as time_s, current_ua, voltage_mv (optional) and trigger, each with its unit",
        received=f"no column for {', '.join(lacking)} in: {lines[0][:80] if lines else 'an empty file'}",
        remedy="export current and the trigger input together, or name the columns (docs/energy.md)",
    )


def _columns(cells: list[str], channel: int) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for index, cell in enumerate(cells):
        if PORT.fullmatch(cell):
            found.setdefault("trigger", Column(index, 1.0, whole_port=True))
            continue
        name, unit = _split(cell)
        kind = next((k for k, pattern in NAMES.items() if re.fullmatch(pattern, name)), None)
        if kind is None or unit not in UNITS[kind]:
            continue
        if kind == "trigger" and re.fullmatch(r"d\d", name) and int(name[1]) != channel:
            continue
        found.setdefault(kind, Column(index, UNITS[kind][unit]))
    return found


def _split(cell: str) -> tuple[str, str]:
    """`Current (uA)`, `current[uA]`, `current_ua` -> ("current", "ua")."""
    match = re.fullmatch(r"\s*([a-z]+\d?)\s*(?:[\[(_\s]\s*([a-z]+)\s*[\])]?)?\s*", cell.lower())
    return (match[1], match[2] or "") if match else ("", "")


def _values(path: Path, lines: list[str], separator: str, columns: dict[str, Column], first: int) -> dict[str, np.ndarray]:
    text = "\n".join(lines)
    if separator == ";":
        text = text.replace(",", ".")
    names = list(columns)
    try:
        table = np.loadtxt(
            io.StringIO(text.replace('"', "")),
            delimiter=separator,
            usecols=[columns[n].index for n in names],
            ndmin=2,
            comments=None,
        )
    except ValueError as error:
        raise UserError(
            f"{path} holds rows that are no numbers",
            expected=f"numbers from line {first} on",
            received=str(error)[:120],
            remedy="export it again as plain CSV, without summary rows",
        ) from error
    if len(table) < 3 or not np.isfinite(table).all():
        raise UserError(
            f"{path} is no recording",
            expected="three samples or more, all finite",
            received=f"{len(table)} samples" if len(table) < 3 else "NaN or infinity",
            remedy="export the whole recording, without gaps",
        )
    return {name: table[:, i] * columns[name].factor for i, name in enumerate(names)}


def _trace(path: Path, values: dict[str, np.ndarray], columns: dict[str, Column], channel: int) -> Trace:
    steps = np.diff(values["time"])
    sample_us = float(np.median(steps))
    if not (steps > 0).all():
        where = int(np.flatnonzero(steps <= 0)[0]) + 2
        raise UserError(
            f"{path}: time does not rise",
            expected="a later time in each row",
            received=f"{values['time'][where - 1]:g} us after {values['time'][where - 2]:g} us, at sample {where}",
            remedy="export one recording, in its order; with enough digits of time",
        )
    even = np.abs(steps[steps < GAP * sample_us] - sample_us) <= 0.25 * sample_us
    if not even.all():
        raise UserError(
            f"{path}: samples are not evenly spaced",
            expected=f"one each {sample_us:g} us, with gaps at most where samples are missing",
            received=f"{int((~even).sum())} of {len(steps)} intervals differ by over 25 %",
            remedy="export raw samples instead of a compressed or logged-on-change form",
        )
    trigger = _levels(path, values["trigger"], columns["trigger"], channel)
    lost = np.flatnonzero(steps > GAP * sample_us) + 1
    return Trace(sample_us, values["current"], trigger, values.get("voltage", np.zeros(0)), lost)


def _levels(path: Path, level: np.ndarray, column: Column, channel: int) -> np.ndarray:
    if column.whole_port:
        return np.asarray((level // 10.0 ** (7 - channel)) % 10 == 1)
    low, high = float(level.min()), float(level.max())
    if low >= 0 and np.isin(level, (0.0, high)).all() and high <= 1:
        return np.asarray(level > 0)
    if (high - low) * 1e3 < SWING_MV and high > low:
        raise UserError(
            f"{path}: the trigger does not switch",
            expected=f"0 and 1, or a voltage that swings by {SWING_MV:g} mV",
            received=f"{low:g} to {high:g}",
            remedy="record the board's trigger pin in that column",
        )
    return np.asarray(level > (low + high) / 2)
