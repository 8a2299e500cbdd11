"""Two stored runs -> their page. Reads metrics and the cycles of steps, no samples, so pruned runs can be compared too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tinyrig.analysis.metric_table import METRICS, banded, counted, unit
from tinyrig.reports import html
from tinyrig.reports.charts import arena, bars
from tinyrig.reports.charts.flame import differences
from tinyrig.reports.nights.words import difference, label, quantity
from tinyrig.reports.text import count
from tinyrig.store.comparison import Pair, Row, Values, compare, run_values
from tinyrig.store.history import op_cycles
from tinyrig.store.origins import origins
from tinyrig.store.runs import Store

TILES = ("accuracy", "latency_us_median", "latency_cycles_median", "ram_model_total", "flash_model_total", "energy_uj_median")
"""What a card shows, where it was measured; cycles only where there is no time."""
MOST_STEPS = 16
WORDS = {True: "better", False: "worse", None: "changed"}
UNKNOWN = "not measured"
"""In one of the runs: unverified outputs have no timing, and a run without labels no accuracy."""
PERHAPS = "perhaps"
"""Of a physical board's noisy metric: this page does not judge whether it is chance."""
GLYPHS = {"better": "▲", "worse": "▼", "changed": "≠", "same": "✓", PERHAPS: "?", UNKNOWN: "✗"}
Steps = Sequence[tuple[str, str, float]]


@dataclass(frozen=True)
class Change:
    """One metric of both runs as texts; `status` is a key of GLYPHS; `ratio` of estimates with a band, B over A at both ends."""

    name: str
    first: str
    second: str
    change: str
    percent: str
    status: str
    ratio: str = ""

    @property
    def glyph(self) -> str:
        return GLYPHS[self.status]


@dataclass(frozen=True)
class Compared:
    """One variant: why it can't be compared, or its metrics, changed ones and others; `steps` are drawn as bars; `estimates`:
    what estimated values were checked against."""

    name: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    tiles: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    same: tuple[Change, ...] = ()
    steps: Markup | None = None
    moved: str = ""
    counted: str = ""
    estimates: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        statuses = {change.status for change in self.changed}
        if self.reasons or statuses == {UNKNOWN}:
            return "rig"
        return "bad" if "worse" in statuses else "good" if statuses <= {"better"} else ""


def compare_page(store: Store, first: str, second: str) -> str:
    """The whole document for two runs by their full ids. Raises UserError for an unknown one."""
    values = [run_values(store, run_id) for run_id in (first, second)]
    there = [{v.variant: v for v in found} for found in values]
    variants = tuple(_compared(store, pair, (first, second), there) for pair in compare(*values))
    places = [
        (name, run_id, list(dict.fromkeys(f"{o.board} {o.board_id}, {o.place}" for o in origins(store, [run_id]))))
        for name, run_id in (("A", first), ("B", second))
    ]
    tone, line = headline(variants)
    title = f"tinyrig compare {first} {second}"
    estimates = tuple(dict.fromkeys(note for v in variants for note in v.estimates))
    return html.page("compare.html", title=title, runs=places, tone=tone, line=line, variants=variants, estimates=estimates)


def headline(variants: Sequence[Compared]) -> tuple[str, str]:
    """(tone, words) of it all."""
    if all(v.reasons for v in variants):
        return "rig", "Nothing of these runs can be compared"
    statuses = [change.status for v in variants for change in v.changed]
    said = [f"{statuses.count(s)} {s}" for s in ("worse", "better", "changed") if s in statuses]
    said += [f"{statuses.count(PERHAPS)} moved, perhaps by chance"] if PERHAPS in statuses else []
    lost = statuses.count(UNKNOWN)
    said += [f"{count(lost, 'metric')} not measured in one of them"] if lost else []
    apart = sum(bool(v.reasons) for v in variants)
    said += [f"{count(apart, 'variant')} not comparable"] if apart else []
    tone = "bad" if "worse" in statuses else "rig" if apart or lost else "good"
    return tone, f"B against A: {', '.join(said)}" if said else "B is as A in every metric"


def _compared(store: Store, pair: Pair, ids: tuple[str, str], there: Sequence[dict[str, Values]]) -> Compared:
    if pair.differences:
        return Compared(pair.variant, pair.differences, pair.notes)
    timing = there[0][pair.variant].timing
    changes = {row.metric: _change(row, timing) for row in pair.rows}
    shown = [
        name for name in TILES if name in changes and not (name == "latency_cycles_median" and "latency_us_median" in changes)
    ]
    before, now = (op_cycles(store, run_id, pair.variant) for run_id in ids)
    return Compared(
        pair.variant,
        (),
        pair.notes,
        tuple(changes[name] for name in shown),
        tuple(c for c in changes.values() if c.status != "same"),
        tuple(c for c in changes.values() if c.status == "same"),
        _steps(pair.variant, before, now, timing),
        _moved(before, now, timing),
        counted(timing),
        pair.estimates,
    )


def _change(row: Row, timing: str) -> Change:
    both = ((row.first, row.first_ends), (row.second, row.second_ends))
    first, second = (quantity(row.metric, value, timing, ends) for value, ends in both)
    name = label(row.metric, timing)
    ratio = "" if row.ratio is None else banded("{:.3f}".format, *row.ratio)
    if row.change is None:
        return Change(name, first, second, "", "", UNKNOWN)
    if not row.change:
        return Change(name, first, second, "", "", "changed" if row.moved else "same", ratio)
    points = METRICS[row.metric].unit == "fraction"
    change = difference(row.metric, row.change, timing=timing)
    percent = "" if row.percent is None or points else f"{row.percent:+.2f} %"
    return Change(name, first, second, change, percent, PERHAPS if row.noisy else WORDS[row.better], ratio)


# ---- steps ----


def _steps(variant: str, before: Steps, now: Steps, timing: str) -> Markup | None:
    """A's and B's bar for each step, on one scale; where the steps are not the same ones, all of A's and then B's."""
    if not before or not now:
        return None
    if [step[0] for step in before] == [step[0] for step in now]:
        most = sorted(range(len(now)), key=lambda i: -max(before[i][2], now[i][2]))[:MOST_STEPS]
        found = [bar for i in sorted(most) for bar in _both(i, before[i], now[i])]
        rest = [i for i in range(len(now)) if i not in most]
        if rest:
            old, new = (sum(steps[i][2] for i in rest) for steps in (before, now))
            found += _both("", (f"{len(rest)} others", "", old), (f"{len(rest)} others", "", new))
    else:
        runs = (("A", "scratch", before), ("B", 0, now))
        found = [_bar(f"{run} {i} {op}", cost, colour) for run, colour, own in runs for i, (op, _, cost) in enumerate(own)]
    words = "; ".join(f"{b.name}: {b.value}" for b in found)
    return bars.draw(found, f"{counted(timing)} of each step of {variant} in A and B. {words}")


def _both(index: int | str, before: tuple[str, str, float], now: tuple[str, str, float]) -> list[bars.Bar]:
    (op, name, old), (_, _, new) = before, now
    share = f" ({100 * (new - old) / old:+.1f} %)" if old and new != old else ""
    what = f"{index} {op} {arena.short(name)}".strip()
    return [_bar(f"A {what}", old, "scratch"), _bar("B", new, 0, share)]


def _bar(name: str, cycles: float, colour: int | str, share: str = "") -> bars.Bar:
    return bars.Bar(name, f"{cycles:,.0f}{share}", (bars.Part(cycles, colour, f"{name}: {cycles:,.0f}{share}"),))


def _moved(before: Steps, now: Steps, timing: str) -> str:
    if not before or not now:
        return ""
    if [step[0] for step in before] != [step[0] for step in now]:
        return "The two runs have other steps, so they stand one after the other."
    found = differences(before, now)
    if not found:
        return "No step differs by one of its counts."
    return (
        "Steps that differ most: " + "; ".join(f"{s} {change:+,.0f} {unit(timing)} ({share})" for s, change, share in found) + "."
    )
