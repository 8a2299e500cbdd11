"""The nights' page: one self-contained HTML file, verdict first. Here a report becomes records of texts;
templates/nights.html shows them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tinyrig.analysis.metric_table import counted, unit
from tinyrig.core.records import ESTIMATED, MOVED, Night, VerdictKind, VerdictStatus
from tinyrig.reports import html as pages
from tinyrig.reports.charts.flame import differences, flame
from tinyrig.reports.nights import origin_rows, words
from tinyrig.reports.nights.curves import curves
from tinyrig.reports.nights.elements import MOST_LINES, Items, Table, code_span, html, items, place, status_mark, table
from tinyrig.reports.nights.headline import failed_claims, headline, rig_faults, statuses, unusable, worst
from tinyrig.reports.nights.records import ACCEPTED, Cell, Finding, NightsReport, OpCycles
from tinyrig.reports.text import clipped, count

MOST_NIGHTS = 60
MOST_FLAMES = 6
Ops = Mapping[Cell, OpCycles]
SECTIONS = (
    # id, title, its name in the navigation
    ("changes", "What changed since the baseline", "Changes"),
    ("matrix", "Boards and variants tonight", "Matrix"),
    ("trends", "Trends", "Trends"),
    ("cycles", "Cycles by operator", "Cycles"),
    ("nights", "Nights", "Nights"),
    ("tables", "Tables of the newest run", "Tables"),
    ("raw", "Raw data", "Raw data"),
)


def render(report: NightsReport, tables: Markup | None = None, ops: Ops | None = None, database: str = "") -> str:
    """The whole document. `tables`: the newest runs' tables as HTML; `ops`: cycles by operator; `database`: its URL, shown."""
    night = report.tonight
    return pages.page(
        "nights.html",
        title=f"tinyrig nights{f': {night.night_id}' if night else ''}",
        sections=SECTIONS,
        line=headline(report),
        banner=_banner(report),
        changes=_changes(report),
        matrix=_matrix(report),
        curves=curves(report.trends),
        flames=_cycles_by_operator(ops or {}),
        nights=_nights(report),
        tables=tables,
        raw=_raw(report, database),
    )


# ---- verdict ----


@dataclass(frozen=True)
class Banner:
    """What stands below the verdict. `faults`: (title, lines)."""

    facts: Markup
    summary: str
    moved: Items
    claims: Items
    faults: tuple[tuple[str, Items], ...]
    notes: Items


def _banner(report: NightsReport) -> Banner | None:
    """None where the database holds no run."""
    night = report.tonight
    if night is None:
        return None
    facts = html("{} {}, started {}", "Night" if report.real_nights else "Run", code_span(night.night_id), night.started)
    if night.exit_code is not None:
        facts += f", exit code {night.exit_code}"
    return Banner(facts, night.summary, _moved_lines(report), _failed_claims(report), _faults(report), _notes(report))


def _moved_lines(report: NightsReport) -> Items:
    """A line for each cell whose metrics moved without being accepted: its first metric in full, the others by name."""
    cells: dict[tuple[Cell, str], list[Finding]] = {}
    for finding in sorted(report.having(*MOVED), key=_urgency):
        cells.setdefault((finding.cell, finding.status), []).append(finding)
    lines = []
    for (cell, status), (first, *others) in list(cells.items())[:MOST_LINES]:
        also = f" Also: {', '.join(words.name(f.verdict.metric) for f in others)}." if others else ""
        lines.append(html("{}: {}: {}.{}", status_mark(status), place(cell), words.sentence(first), also))
    return items(lines, len(cells))


def _urgency(finding: Finding) -> tuple[int, int]:
    key = ("accuracy", "latency_us_median", "ram_model_total", "flash_model_total")
    metric = finding.verdict.metric
    return MOVED.index(finding.status), key.index(metric) if metric in key else len(key)


def _failed_claims(report: NightsReport) -> Items:
    failed = html('<span class="worse">{} claim failed</span>', words.GLYPHS[VerdictStatus.WORSE])
    return items(html("{}: {}: {}: {}", failed, place(cell), name, reason) for cell, name, reason in failed_claims(report))


def _faults(report: NightsReport) -> tuple[tuple[str, Items], ...]:
    kinds = (
        ("Models and requests that could not be used", unusable(report)),
        ("Faults of the rig: they say nothing about a model", rig_faults(report)),
    )
    cross = html('<span class="not-measured">{}</span>', words.GLYPHS[VerdictStatus.NOT_MEASURED])
    return tuple((title, items(html("{} {}", cross, line) for line in found)) for title, found in kinds if found)


def _notes(report: NightsReport) -> Items:
    notes: list[str] = []
    if not report.real_nights:
        notes.append(Markup("The database holds no nights (<code>tinyrig nightly</code> makes them), so each run counts as one."))
    notes += origin_rows.warnings(report.origins)
    if any(m.timing == ESTIMATED for m in report.measured):
        about = origin_rows.estimates(report.origins) or ("from the virtual board's timing model, not from silicon",)
        notes += [html("Latencies marked <b>estimated</b>: {}.", escape(note)) for note in about]
    if made_up := sorted({m.dataset or "unnamed" for m in report.measured if m.synthetic}):
        names = Markup(", ").join(map(code_span, made_up))
        notes.append(html("Synthetic data (generated, not recorded): {}.", names))
    if apart := len(report.having(VerdictStatus.NOT_COMPARABLE)):
        metrics = f"{count(apart, 'metric')} {'is' if apart == 1 else 'are'}"
        notes.append(html('{} <a href="#changes">not comparable</a>, so no verdict exists.', metrics))
    return items(notes)


# ---- changes ----


@dataclass(frozen=True)
class Changes:
    """`quiet`: what is said where there is no table; `older`: earlier changes that are not listed, of `earlier_total`."""

    moved: Table | None
    quiet: str
    not_comparable: Items
    earlier: Table | None
    earlier_total: int
    older: int


def _changes(report: NightsReport) -> Changes:
    moved, earlier = report.having(*MOVED, ACCEPTED), report.earlier
    return Changes(
        _findings_table("tonight's changes", moved) if moved else None,
        "No metric moved tonight." if report.findings else "Nothing was judged.",
        _not_comparable(report),
        _findings_table("earlier changes", earlier[:MOST_LINES], dated=True) if earlier else None,
        len(earlier),
        max(0, len(earlier) - MOST_LINES),
    )


def _not_comparable(report: NightsReport) -> Items:
    reasons: dict[str, list[Finding]] = {}
    for finding in report.having(VerdictStatus.NOT_COMPARABLE):
        reasons.setdefault(finding.verdict.reason, []).append(finding)
    return items(
        f"{count(len(found), 'metric')} of {count(len({f.cell for f in found}), 'board and variant pair')}: {clipped(reason)}"
        for reason, found in reasons.items()
    )


_FINDING: tuple[str, ...] = ("metric", "status", "variant", "board", "baseline", "value", "change", "%", "threshold")
_FINDING += ("smallest detectable change", "p", "note")


def _findings_table(label: str, findings: Sequence[Finding], dated: bool = False) -> Table:
    return table(label, _FINDING + (("run",) if dated else ()), (_finding_row(f, dated) for f in findings), prose=(11,))


def _finding_row(f: Finding, dated: bool) -> list[str]:
    v = f.verdict
    drift = "drift over nights" if v.kind == VerdictKind.DRIFT else ""
    note = "; ".join(filter(None, (f"accepted: {f.why}" if f.why else "", drift, v.reason)))
    share = words.moved_by(f)
    row = [
        words.label(v.metric, f.cell.timing),
        status_mark(f.status),
        code_span(f.cell.variant),
        words.board(f.cell),
        words.quantity(v.metric, v.old, f.cell.timing),
        words.quantity(v.metric, v.new, f.cell.timing, f.ends),
        words.difference(v.metric, v.change, timing=f.cell.timing),
        share if share.endswith("%") else "-",
        words.threshold(f),
        words.difference(v.metric, v.detectable, signed=False),
        "-" if v.p_value is None else f"{v.p_value:.2g}",
        clipped(note),
    ]
    return [*row, code_span(v.run_id)] if dated else row


def _matrix(report: NightsReport) -> Table | None:
    found = statuses(report)
    if not found:
        return None
    boards = list(dict.fromkeys((c.board, c.board_id, c.timing) for c in found))
    names = list(dict.fromkeys(c.variant for c in found))
    asked = {m.board_id: f"{m.asked}, " for m in report.measured if m.asked not in ("", m.board)}  # its name in rig.toml
    head = ["variant", *(html("{}<br>{}<br>{}", asked.get(i, "") + b, code_span(i), t) for b, i, t in boards)]
    rows = [[code_span(n), *(_matrix_cell(found.get(Cell(n, *b)), report, Cell(n, *b)) for b in boards)] for n in names]
    return table("verdicts of tonight by variant and board", head, rows)


def _matrix_cell(counts: dict[str, int] | None, report: NightsReport, cell: Cell) -> Markup:
    if counts is None:
        return Markup('<span class="soft">not run</span>')
    status, total = worst(counts), sum(counts.values())
    which = [f for f in report.having(status) if f.cell == cell]
    note = f"{counts[status]} of {total} metrics" if which else ""
    if which and status in (*MOVED, ACCEPTED):
        first = sorted(which, key=_urgency)[0] if status != ACCEPTED else which[0]
        note = f"{words.name(first.verdict.metric)} {words.moved_by(first)}".rstrip()
        note += f", {counts[status] - 1} more" if counts[status] > 1 else ""
    return html('{}<br><span class="soft">{}</span>', status_mark(status), note)


# ---- the rest ----


@dataclass(frozen=True)
class Flames:
    """One board and variant: its cycles now, and the baseline's where the latency moved; `note` names the steps that differ."""

    place: Markup
    counted: str
    now: Markup
    note: str = ""
    before_run: str = ""
    before: Markup | None = None


def _cycles_by_operator(ops: Ops) -> tuple[tuple[Flames, ...], tuple[Flames, ...]]:
    """(shown, folded), those first that have a baseline to compare with."""
    profiled = sorted(((cell, cycles) for cell, cycles in ops.items() if cycles.now), key=lambda item: not item[1].before)
    found = tuple(_flames(cell, cycles) for cell, cycles in profiled)
    return found[:MOST_FLAMES], found[MOST_FLAMES:]


def _flames(cell: Cell, cycles: OpCycles) -> Flames:
    counts = unit(cell.timing)
    if not cycles.before:
        return Flames(place(cell), counted(cell.timing), flame(cycles.now, counts))
    moved = [f"{step} {change:+,.0f} {counts} ({share})" for step, change, share in differences(cycles.before, cycles.now)]
    note = f"Steps that differ: {'; '.join(moved)}." if moved else "No step differs by a cycle."
    now, before = flame(cycles.now, counts), flame(cycles.before, counts)
    return Flames(place(cell), counted(cell.timing), now, note, cycles.before_run, before)


_STRIP = {0: "✓", 1: "▼", 2: "!", 3: "✗"}
"""Exit code -> what the strip of nights shows."""


@dataclass(frozen=True)
class Strip:
    """`boxes`: (class, glyph, title) of each night, oldest first."""

    what: str
    boxes: tuple[tuple[str, str, str], ...]
    bad: Table | None
    accepted: Table | None


def _nights(report: NightsReport) -> Strip:
    shown = report.nights[:MOST_NIGHTS]
    number = f"The last {len(shown)} of {len(report.nights)}" if len(report.nights) > len(shown) else str(len(shown))
    bad = [n for n in report.nights if n.exit_code][:MOST_LINES]
    rows = ([code_span(n.night_id), n.started, str(n.exit_code), clipped(n.summary)] for n in bad)
    head = ("run", "variant", "when (UTC)", "who", "why")
    lines = ([code_span(a.run_id), a.variant or "all variants", a.when, a.who, a.why] for a in report.accepted[:MOST_LINES])
    return Strip(
        f"{number} {'nights' if report.real_nights else 'runs (no nights are stored)'}",
        tuple(map(_box, reversed(shown))),
        table("nights that were not good", ("night", "started", "exit", "summary"), rows, (3,)) if bad else None,
        table("accepted changes", head, lines, (4,)) if report.accepted else None,
    )


def _box(night: Night) -> tuple[str, str, str]:
    status = night.exit_code
    ended = night.summary or (f"exit code {status}" if status is not None else "no exit code")
    title = clipped(f"{night.night_id}, {night.started[:10]}: {ended}")
    return ("nx", "·", title) if status is None or status not in _STRIP else (f"n{status}", _STRIP[status], title)


@dataclass(frozen=True)
class Raw:
    database: str
    runs: Table
    origins: Table | None
    commands: str


def _raw(report: NightsReport, database: str) -> Raw | None:
    """None where nothing is stored."""
    if report.tonight is None:
        return None
    boards: dict[str, dict[str, None]] = {}
    for m in report.measured:
        boards.setdefault(m.run_id, {})[f"{m.board} {m.board_id} ({m.timing})"] = None
    reruns = dict(zip(report.tonight.runs, report.tonight.reruns, strict=False))
    rows = (
        [code_span(run), clipped(", ".join(boards.get(run, ())) or "nothing measured"), str(reruns.get(run, 0) or "first")]
        for run in report.tonight.runs
    )
    origins = origin_rows.rows(report.origins)
    return Raw(
        database,
        table("runs of tonight", ("run", "board", "run of the night"), rows),
        table("where these numbers come from", origin_rows.TITLES, origins, range(1, 8)) if origins else None,
        _commands(report.tonight.runs),
    )


def _commands(runs: Sequence[str]) -> str:
    example = shlex.quote(clipped(runs[0])) if runs else "RUN"
    return (
        f"tinyrig report {example}                 # tables of one run\n"
        f"tinyrig compare {example} OTHER          # two runs side by side\n"
        "tinyrig history latency_us_median --since 90d    # one metric over time\n"
        "tinyrig export -o runs.csv                       # metrics; .parquet and .json too\n"
        "tinyrig export --samples -o samples.csv          # every raw sample\n"
        f'tinyrig accept {example} -m "why"        # accept these changes'
    )
