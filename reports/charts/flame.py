"""Cycles by operator -> a flame of three rows: the whole inference, kinds of operators, single steps. Width is the share."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tinyrig.reports.text import clipped

_COLOURS = ("#8ecae6", "#ffb703", "#a7d08c", "#e5a9c9", "#f4a261", "#b8b8ff", "#cfcfcf", "#e9d985")
"""Dark text has a contrast of at least 7 on each."""
_THINNEST = 0.002
"""Share of the whole below which steps are drawn as one."""

_DIFFERENCES = 6
"""Steps that are named."""


def flame(steps: Sequence[tuple[str, str, float]], unit: str = "cycles") -> Markup:
    """`steps` are (op, name, cycles) in the order of execution; `unit`: what was counted."""
    total = sum(cycles for _, _, cycles in steps)
    if not total:
        return Markup("<p>No {} were counted.</p>").format(unit)
    kinds: dict[str, list[tuple[str, float]]] = {}
    for i, (op, name, cycles) in enumerate(steps):
        if cycles:
            kinds.setdefault(op, []).append((f"{i} {op} {name}", cycles))
    ranked = sorted(kinds.items(), key=lambda kind: -_cycles(kind[1]))
    colours = {op: _COLOURS[i % len(_COLOURS)] for i, (op, _) in enumerate(ranked)}
    rows = (
        [("inference", total, "#d9dee3")],
        [(op, _cycles(own), colours[op]) for op, own in ranked],
        [(name, cycles, colours[op]) for op, own in ranked for name, cycles in _thick(own, total)],
    )
    drawn = Markup("").join(
        Markup("<div>{}</div>").format(Markup("").join(_box(*box, total, unit) for box in row)) for row in rows
    )
    return Markup('<div class="flame" role="img" aria-label="{}">{}</div>').format(_shares_text(ranked, total, unit), drawn)


def differences(before: Sequence[tuple[str, str, float]], now: Sequence[tuple[str, str, float]]) -> list[tuple[str, float, str]]:
    """(step, its extra cycles, the same in percent) of the steps that differ most; [] for different models."""
    if [step[0] for step in before] != [step[0] for step in now]:
        return []
    pairs = [
        (f"{i} {op} {clipped(name, 60)}", new - old, old)
        for i, ((_, _, old), (op, name, new)) in enumerate(zip(before, now, strict=True))
        if new != old
    ]
    ranked = sorted(pairs, key=lambda pair: -abs(pair[1]))[:_DIFFERENCES]
    return [(step, change, f"{100 * change / old:+.1f} %" if old else "new") for step, change, old in ranked]


def _cycles(steps: Sequence[tuple[str, float]]) -> float:
    return sum(cycles for _, cycles in steps)


def _thick(steps: Sequence[tuple[str, float]], total: float) -> list[tuple[str, float]]:
    """The most costly first; those too thin to see become one."""
    ranked = sorted(steps, key=lambda step: -step[1])
    seen = [step for step in ranked if step[1] >= _THINNEST * total]
    rest = ranked[len(seen) :]
    return seen + ([(f"{len(rest)} small steps", _cycles(rest))] if rest and _cycles(rest) else [])


def _box(name: str, cycles: float, colour: str, total: float, unit: str) -> Markup:
    text = f"{clipped(name, 80)} {cycles:,.0f} {unit}, {100 * cycles / total:.1f} %"
    box = Markup('<span style="flex:{} 1 0;background:{}" title="{}">{}</span>')
    return box.format(f"{cycles / total:.5f}", colour, text, text)


def _shares_text(ranked: Sequence[tuple[str, Sequence[tuple[str, float]]]], total: float, unit: str) -> str:
    shares = ", ".join(f"{clipped(op, 40)} {100 * _cycles(own) / total:.1f} %" for op, own in ranked)
    return f"{total:,.0f} {unit}: {shares}"
