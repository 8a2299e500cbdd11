"""The nights' page: one self-contained HTML file, verdict first. Its frame is a template; what stands in its sections is made
here, with every text escaped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tinyrig.analysis.metric_table import counted, unit
from tinyrig.core.records import ESTIMATED, MOVED, Night, VerdictKind, VerdictStatus
from tinyrig.reports import html
from tinyrig.reports.charts.flame import differences, flame
from tinyrig.reports.nights import origin_rows, svg, words
from tinyrig.reports.nights.elements import bullets, code_span, escaped, html_table, place, status_mark
from tinyrig.reports.nights.headline import failed_claims, headline, rig_faults, statuses, unusable, worst
from tinyrig.reports.nights.records import ACCEPTED, CURVES, SEVERITY, Cell, Finding, NightsReport, OpCycles, Trend
from tinyrig.reports.text import clipped, count

MOST_NIGHTS = 60
MOST_FLAMES = 6
MOST_LINES = 40
"""Of any list; what is left out is counted."""
Ops = Mapping[Cell, OpCycles]


def render(report: NightsReport, tables: str = "", ops: Ops | None = None, database: str = "") -> str:
    """The whole document. `tables`: the newest runs' tables as HTML; `ops`: cycles by operator; `database`: its URL, shown."""
    line, night = headline(report), report.tonight
    sections = (
        ("changes", "What changed since the baseline", "Changes", _changes(report)),
        ("matrix", "Boards and variants tonight", "Matrix", _matrix(report)),
        ("trends", "Trends", "Trends", _trends(report)),
        ("cycles", "Cycles by operator", "Cycles", _cycles_by_operator(ops or {})),
        ("nights", "Nights", "Nights", _nights(report)),
        ("tables", "Tables of the newest run", "Tables", tables or _no_tables()),
        ("raw", "Raw data", "Raw data", _raw(report, database)),
    )
    return html.page(
        "nights.html",
        title=f"tinyrig nights{f': {night.night_id}' if night else ''}",
        tone=line.tone,
        line=line.title,
        banner=Markup(_banner(report)),
        sections=[(key, title, short, Markup(inner)) for key, title, short, inner in sections],
    )


# ---- verdict ----


def _banner(report: NightsReport) -> str:
    """What stands below the verdict."""
    night = report.tonight
    if night is None:
        return "<p>The database holds no finished run.</p>"
    what = "Night" if report.real_nights else "Run"
    facts = [f"{what} {code_span(night.night_id)}, started {escaped(night.started)}"]
    if night.exit_code is not None:
        facts.append(f"exit code {night.exit_code}")
    inner = f'<p class="soft">{", ".join(facts)}</p>'
    inner += f"<p>{escaped(night.summary)}</p>" if night.summary else ""
    return inner + _moved_lines(report) + _failed_claims(report) + _faults(report) + _notes(report)


def _moved_lines(report: NightsReport) -> str:
    """A line for each cell whose metrics moved without being accepted: its first metric in full, the others by name."""
    cells: dict[tuple[Cell, str], list[Finding]] = {}
    for finding in sorted(report.having(*MOVED), key=_urgency):
        cells.setdefault((finding.cell, finding.status), []).append(finding)
    items = []
    for (cell, status), (first, *others) in list(cells.items())[:MOST_LINES]:
        also = f" Also: {escaped(', '.join(words.name(f.verdict.metric) for f in others))}." if others else ""
        items.append(f"{status_mark(status)}: {place(cell)}: {escaped(words.sentence(first))}.{also}")
    return bullets(items, len(cells) - MOST_LINES) if items else ""


def _urgency(finding: Finding) -> tuple[int, int]:
    key = ("accuracy", "latency_us_median", "ram_model_total", "flash_model_total")
    metric = finding.verdict.metric
    return MOVED.index(finding.status), key.index(metric) if metric in key else len(key)


def _failed_claims(report: NightsReport) -> str:
    failed = f'<span class="worse">{words.GLYPHS[VerdictStatus.WORSE]} claim failed</span>'
    found = [f"{failed}: {place(cell)}: {escaped(name)}: {escaped(reason)}" for cell, name, reason in failed_claims(report)]
    return bullets(found[:MOST_LINES], len(found) - MOST_LINES) if found else ""


def _faults(report: NightsReport) -> str:
    kinds = (
        ("Models and requests that could not be used", unusable(report)),
        ("Faults of the rig: they say nothing about a model", rig_faults(report)),
    )
    cross = f'<span class="not-measured">{words.GLYPHS[VerdictStatus.NOT_MEASURED]}</span>'
    return "".join(
        f"<h3>{title}</h3>" + bullets([f"{cross} {escaped(line)}" for line in found[:MOST_LINES]], len(found) - MOST_LINES)
        for title, found in kinds
        if found
    )


def _notes(report: NightsReport) -> str:
    notes = []
    if not report.real_nights:
        notes.append("The database holds no nights (<code>tinyrig nightly</code> makes them), so each run counts as one.")
    notes += map(escaped, origin_rows.warnings(report.origins))
    if any(m.timing == ESTIMATED for m in report.measured):
        notes.append("Latencies marked <b>estimated</b> come from the virtual board's timing model, not from silicon.")
    if made_up := sorted({m.dataset or "unnamed" for m in report.measured if m.synthetic}):
        notes.append(f"Synthetic data (generated, not recorded): {', '.join(map(code_span, made_up))}.")
    if apart := len(report.having(VerdictStatus.NOT_COMPARABLE)):
        metrics = f"{count(apart, 'metric')} {'is' if apart == 1 else 'are'}"
        notes.append(f'{metrics} <a href="#changes">not comparable</a>, so no verdict exists.')
    return bullets(notes) if notes else ""


# ---- changes ----


def _changes(report: NightsReport) -> str:
    moved = report.having(*MOVED, ACCEPTED)
    quiet = "<p>No metric moved tonight.</p>" if report.findings else "<p>Nothing was judged.</p>"
    parts = [_findings_table("tonight's changes", moved) if moved else quiet]
    return "\n".join([*parts, *_not_comparable(report), *_earlier_changes(report)])


def _not_comparable(report: NightsReport) -> list[str]:
    reasons: dict[str, list[Finding]] = {}
    for finding in report.having(VerdictStatus.NOT_COMPARABLE):
        reasons.setdefault(finding.verdict.reason, []).append(finding)
    items = [
        f"{count(len(found), 'metric')} of {count(len({f.cell for f in found}), 'board and variant pair')}: {escaped(reason)}"
        for reason, found in reasons.items()
    ]
    return ["<h3>Not comparable</h3>" + bullets(items[:MOST_LINES], len(items) - MOST_LINES)] if items else []


def _earlier_changes(report: NightsReport) -> list[str]:
    if not report.earlier:
        return []
    inner = _findings_table("earlier changes", report.earlier[:MOST_LINES], dated=True)
    rest = len(report.earlier) - MOST_LINES
    inner += f"<p>{rest} older ones are not listed: <code>tinyrig history METRIC</code>.</p>" if rest > 0 else ""
    return [f"<details><summary>Changes of earlier nights ({len(report.earlier)})</summary>{inner}</details>"]


def _findings_table(label: str, findings: Sequence[Finding], dated: bool = False) -> str:
    head = (
        "metric",
        "status",
        "variant",
        "board",
        "baseline",
        "value",
        "change",
        "%",
        "threshold",
        "smallest detectable change",
        "p",
        "note",
    )
    return html_table(label, head + (("run",) if dated else ()), (_finding_row(f, dated) for f in findings), prose=(11,))


def _finding_row(f: Finding, dated: bool) -> list[str]:
    v = f.verdict
    drift = "drift over nights" if v.kind == VerdictKind.DRIFT else ""
    note = "; ".join(filter(None, (f"accepted: {f.why}" if f.why else "", drift, v.reason)))
    share = words.moved_by(f)
    least = words.difference(v.metric, v.detectable, signed=False)
    row = [
        escaped(words.label(v.metric, f.cell.timing)),
        status_mark(f.status),
        code_span(f.cell.variant),
        escaped(words.board(f.cell)),
        *(escaped(words.quantity(v.metric, value, f.cell.timing)) for value in (v.old, v.new)),
        escaped(words.difference(v.metric, v.change, timing=f.cell.timing)),
        escaped(share if share.endswith("%") else "-"),
        escaped(words.threshold(f)),
        escaped(least),
        "-" if v.p_value is None else f"{v.p_value:.2g}",
        escaped(note),
    ]
    return [*row, code_span(v.run_id)] if dated else row


def _matrix(report: NightsReport) -> str:
    found = statuses(report)
    if not found:
        return "<p>No board measured anything.</p>"
    boards = list(dict.fromkeys((c.board, c.board_id, c.timing) for c in found))
    names = list(dict.fromkeys(c.variant for c in found))
    asked = {m.board_id: f"{m.asked}, " for m in report.measured if m.asked not in ("", m.board)}  # its name in rig.toml
    head = ["variant", *(f"{escaped(asked.get(i, '') + b)}<br>{code_span(i)}<br>{escaped(t)}" for b, i, t in boards)]
    rows = [[code_span(n), *(_matrix_cell(found.get(Cell(n, *b)), report, Cell(n, *b)) for b in boards)] for n in names]
    return html_table("verdicts of tonight by variant and board", head, rows)


def _matrix_cell(counts: dict[str, int] | None, report: NightsReport, cell: Cell) -> str:
    if counts is None:
        return '<span class="soft">not run</span>'
    status, total = worst(counts), sum(counts.values())
    which = [f for f in report.having(status) if f.cell == cell]
    note = f"{counts[status]} of {total} metrics" if which else ""
    if which and status in (*MOVED, ACCEPTED):
        first = sorted(which, key=_urgency)[0] if status != ACCEPTED else which[0]
        note = f"{words.name(first.verdict.metric)} {words.moved_by(first)}".rstrip()
        note += f", {counts[status] - 1} more" if counts[status] > 1 else ""
    return f'{status_mark(status)}<br><span class="soft">{escaped(note)}</span>'


# ---- trends ----

_LEGEND = """<p>One value a night; where several share a pixel, the lowest and highest. <span class="swatch">&nbsp;</span> each
night's threshold about its baseline; <span class="accepted">┆</span> an accepted change; <span class="worse">◯</span> a change
that a verdict found and nobody accepted. A line is cut where two nights may not be compared. Latencies say whether they are
estimated or measured; accuracy, RAM and flash are never estimates.</p><p id="filter-place"></p>"""


def _trends(report: NightsReport) -> str:
    if not report.trends:
        return "<p>No values are stored.</p>"
    moments = [svg.seconds(v.started) for t in report.trends for v in (t.values[0], t.values[-1])]
    span = (min(moments), max(moments))
    return _LEGEND + "\n".join(_curve(metric, [t for t in report.trends if t.metric == metric], span) for metric in CURVES)


def _curve(metric: str, trends: Sequence[Trend], span: tuple[float, float]) -> str:
    name = words.name(metric)
    title = f"<h3>{escaped(name[:1].upper() + name[1:])}</h3>"
    if not trends:
        return title + "<p>No values are stored.</p>"
    moving = sorted((t for t in trends if not t.steady), key=lambda t: _severity(t.status))
    steady = [t for t in trends if t.steady]
    parts = [title, _panels(moving, span)] if moving else [title]
    if steady:
        always = f"{len(steady)} of {len(trends)} never changed"
        parts.append(f"<details><summary>{always}</summary>{_panels(steady, span)}</details>")
    return "\n".join(parts)


def _severity(status: str) -> int:
    return SEVERITY.index(status) if status in SEVERITY else len(SEVERITY)


def _panels(trends: Sequence[Trend], span: tuple[float, float]) -> str:
    return '<div class="panels">' + "\n".join(_panel(trend, span) for trend in trends) + "</div>"


def _panel(t: Trend, span: tuple[float, float]) -> str:
    last, numbers = t.values[-1], [v.value for v in t.values]
    kind = f" ({escaped(t.cell.timing)})" if words.timed(t.metric) else ""
    verdict = f" {status_mark(t.status)}" if t.status else ""
    low, high = words.quantity(t.metric, min(numbers)), words.quantity(t.metric, max(numbers))
    accepted = sum(bool(v.why) for v in t.values)
    label = (
        f"{words.name(t.metric)} of {t.cell.variant} on {words.board(t.cell)}, {len(numbers)} nights, from {low} to {high}, "
        f"last {words.quantity(t.metric, last.value)}, {count(accepted, 'accepted change')}"
    )
    name = f"{t.cell.variant} {t.cell.board} {t.cell.board_id} {t.cell.timing}"
    return (
        f'<figure data-name="{escaped(name)}"><figcaption><b>{code_span(t.cell.variant)}</b> {escaped(words.board(t.cell))}<br>'
        f"<b>{escaped(words.quantity(t.metric, last.value))}</b>{kind}{verdict}</figcaption>"
        f"{svg.draw(t, span, clipped(label))}"
        f'<div class="axis"><span>{escaped(t.values[0].started[:10])}</span><span>{escaped(low)} to {escaped(high)}</span>'
        f"<span>{escaped(last.started[:10])}</span></div></figure>"
    )


# ---- the rest ----

_STRIP = {0: "✓", 1: "▼", 2: "!", 3: "✗"}
"""Exit code -> what the strip of nights shows."""


def _cycles_by_operator(ops: Ops) -> str:
    profiled = [(cell, cycles) for cell, cycles in ops.items() if cycles.now]
    if not profiled:
        return "<p>No operators were profiled in the newest night's runs.</p>"
    profiled.sort(key=lambda item: not item[1].before)
    first = (
        "<p>The last run of each variant in the newest night: all cycles, by kind of operator, by step. The width is the share. "
        "Steps are profiled in a separate pass. Where the latency moved, the baseline's cycles stand below.</p>"
    )
    blocks = [_flames(cell, cycles) for cell, cycles in profiled]
    more = "\n".join(blocks[MOST_FLAMES:])
    rest = f"<details><summary>{len(blocks) - MOST_FLAMES} more</summary>{more}</details>" if more else ""
    return first + "\n".join(blocks[:MOST_FLAMES]) + rest


def _flames(cell: Cell, cycles: OpCycles) -> str:
    drawn = f"<h4>{place(cell)}, {escaped(counted(cell.timing))}</h4>\n{flame(cycles.now)}"
    if not cycles.before:
        return drawn
    differing, counts = differences(cycles.before, cycles.now), unit(cell.timing)
    moved = [f"{escaped(step)} {change:+,.0f} {counts} ({escaped(share)})" for step, change, share in differing]
    note = "Steps that differ: " + "; ".join(moved) + "." if moved else "No step differs by a cycle."
    return f"{drawn}<p>{note} Baseline, run {code_span(cycles.before_run)}:</p>{flame(cycles.before)}"


def _nights(report: NightsReport) -> str:
    shown = report.nights[:MOST_NIGHTS]
    boxes = "".join(map(_box, reversed(shown)))
    number = f"The last {len(shown)} of {len(report.nights)}" if len(report.nights) > len(shown) else str(len(shown))
    what = "nights" if report.real_nights else "runs (no nights are stored)"
    parts = [
        f"<p>{number} {what}, oldest first: ✓ good, ▼ a claim or metric failed, ! unusable input, ✗ the rig failed, "
        f'· no exit code.</p><ul class="strip" aria-label="exit codes">{boxes}</ul>'
    ]
    bad = [n for n in report.nights if n.exit_code][:MOST_LINES]
    if bad:
        rows = ([code_span(n.night_id), escaped(n.started), str(n.exit_code), escaped(n.summary)] for n in bad)
        table = html_table("nights that were not good", ("night", "started", "exit", "summary"), rows, (3,))
        parts.append(f"<h3>Nights that were not good</h3>{table}")
    if report.accepted:
        changes = report.accepted[:MOST_LINES]
        lines = ([code_span(a.run_id), *map(escaped, (a.variant or "all variants", a.when, a.who, a.why))] for a in changes)
        table = html_table("accepted changes", ("run", "variant", "when (UTC)", "who", "why"), lines, (4,))
        parts.append(f"<h3>Accepted changes</h3>{table}")
    return "\n".join(parts)


def _box(night: Night) -> str:
    status = night.exit_code
    ended = night.summary or (f"exit code {status}" if status is not None else "no exit code")
    title = escaped(f"{night.night_id}, {night.started[:10]}: {ended}")
    if status is None or status not in _STRIP:
        return f'<li class="nx" title="{title}">·</li>'
    return f'<li class="n{status}" title="{title}">{_STRIP[status]}</li>'


def _no_tables() -> str:
    return "<p>No tables: the night's runs hold no finished variant.</p>"


def _raw(report: NightsReport, database: str) -> str:
    if report.tonight is None:
        return "<p>Nothing is stored yet.</p>"
    boards: dict[str, dict[str, None]] = {}
    for m in report.measured:
        boards.setdefault(m.run_id, {})[f"{m.board} {m.board_id} ({m.timing})"] = None
    reruns = dict(zip(report.tonight.runs, report.tonight.reruns, strict=False))
    rows = (
        [code_span(run), escaped(", ".join(boards.get(run, ())) or "nothing measured"), str(reruns.get(run, 0) or "first")]
        for run in report.tonight.runs
    )
    example = escaped(shlex.quote(clipped(report.tonight.runs[0]))) if report.tonight.runs else "RUN"
    commands = (
        f"tinyrig report {example}                 # tables of one run\n"
        f"tinyrig compare {example} OTHER          # two runs side by side\n"
        "tinyrig history latency_us_median --since 90d    # one metric over time\n"
        "tinyrig export -o runs.csv                       # metrics; .parquet and .json too\n"
        "tinyrig export --samples -o samples.csv          # every raw sample\n"
        f'tinyrig accept {example} -m "why"        # accept these changes'
    )
    where = f"<p>Database: {code_span(database)}. Every number on this page comes from it.</p>" if database else ""
    runs = html_table("runs of tonight", ("run", "board", "run of the night"), rows)
    return f"{where}{runs}{_origins(report)}<pre><code>{commands}</code></pre>"


def _origins(report: NightsReport) -> str:
    rows = [list(map(escaped, row)) for row in origin_rows.rows(report.origins)]
    table = html_table("where these numbers come from", origin_rows.TITLES, rows, range(1, 8))
    return f"<h3>Where these numbers come from</h3>{table}" if rows else ""
