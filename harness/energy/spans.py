"""From a recording to its marked spans, and from a span to its energy. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyrig.energy.driver import Recording


@dataclass(frozen=True)
class Span:
    """Samples `start` to `end` (not included) during which the trigger was high."""

    start: int
    end: int


@dataclass(frozen=True)
class Recorded:
    """What a recording holds: of `marks` marked spans, `damaged` miss samples; `losses` gaps in all of `samples` samples."""

    samples: int
    marks: int
    damaged: int
    losses: int
    saturated: bool
    sample_us: float


@dataclass(frozen=True)
class Marked:
    """A whole marked span, a value for each sample. `mv` is None where the meter does not measure the voltage."""

    ua: np.ndarray
    mv: np.ndarray | None = None


def spans(trigger: np.ndarray) -> list[Span]:
    """Where the trigger was high, begun and ended within the recording."""
    edges = np.diff(trigger.astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
    if len(starts) and len(ends) and ends[0] < starts[0]:
        ends = ends[1:]  # it was high when the recording began
    return [Span(int(s), int(e)) for s, e in zip(starts, ends, strict=False)]


def analyse(recording: Recording) -> tuple[Recorded, list[Marked]]:
    """What a recording holds, and its spans of which no sample is missing."""
    found, lost = spans(recording.trigger), recording.lost
    whole = [s for s in found if not np.any((lost >= s.start) & (lost <= s.end))]
    marked = [Marked(recording.currents_ua(s.start, s.end), recording.voltages_mv(s.start, s.end)) for s in whole]
    saturated = any(recording.saturated(s.start, s.end) for s in found)
    told = Recorded(recording.samples, len(found), len(found) - len(whole), len(lost), saturated, recording.sample_us)
    return told, marked


def energy_uj(marked: Marked, voltage_mv: int, sample_us: float) -> float:
    """Integral of current times voltage over the span: uA x mV x us = 1e-9 uJ. `voltage_mv` counts where none was measured."""
    ua = marked.ua.astype(np.float64)
    power = float(np.sum(ua)) * voltage_mv if marked.mv is None else float(np.sum(ua * marked.mv))
    return power * sample_us * 1e-9
