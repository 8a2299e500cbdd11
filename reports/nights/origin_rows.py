"""What a night's numbers belong to, as rows of finished texts: for the HTML page and the Markdown summary alike."""

from __future__ import annotations

from collections.abc import Sequence

from tinyrig.analysis.provenance import clock_text, clock_warning, hertz, stored_notes, timer_text
from tinyrig.core.records import MEASURED
from tinyrig.store.origins import Origin

TITLES = ("board", "id", "cycles", "clock", "timer", "clock check", "compiler", "firmware")
_BUILDS = 12
"""Firmware builds that are named; what is left out is counted."""


def rows(origins: Sequence[Origin]) -> list[tuple[str, ...]]:
    """One for each board and toolchain, in order of appearance; the firmware column has each variant's build id."""
    groups: dict[tuple[str, ...], list[Origin]] = {}
    for o in origins:
        groups.setdefault((o.board, o.board_id, o.timing, hertz(o.clock_hz), timer_text(o.info), o.toolchain), []).append(o)
    return [(*key[:5], _clock(of), key[5], _builds(of)) for key, of in groups.items()]


def _clock(of: Sequence[Origin]) -> str:
    """The check that knows most."""
    known = sorted((o.clock for o in of if o.clock is not None), key=lambda clock: clock.ppm_error or 0.0)
    return clock_text(known[0]) if known else "nothing to check" if of[0].timing != MEASURED else "not checked"


def _builds(of: Sequence[Origin]) -> str:
    builds = list(dict.fromkeys(f"{o.variant} {o.build_id[:8]}" for o in of))
    more = f" and {len(builds) - _BUILDS} more" if len(builds) > _BUILDS else ""
    return ", ".join(builds[:_BUILDS]) + more


def warnings(origins: Sequence[Origin]) -> list[str]:
    """Boards whose clock is off, each once."""
    found = [(f"{o.board} {o.board_id}", text) for o in origins if (text := clock_warning(o.clock))]
    return [f"Warning: {board}: {text}" for board, text in dict(found).items()]


def estimates(origins: Sequence[Origin]) -> tuple[str, ...]:
    """What tonight's estimates were checked against, and what not: one line for each timing model."""
    return stored_notes({"timing": o.timing, "timing_model": o.timing_model} for o in origins)
