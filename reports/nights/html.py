"""The nights' page: one self-contained HTML file, verdict first. Nothing is fetched: style, script and pictures stand inside."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from tinyrig.analysis.metric_table import counted, unit
from tinyrig.core.records import MOVED, VerdictKind, VerdictStatus
from tinyrig.reports.nights import origin_rows, svg, words
from tinyrig.reports.nights.content import (
    ACCEPTED,
    CURVES,
    SEVERITY,
    Cell,
    Cycles,
    Finding,
    Night,
    Page,
    Trend,
    failed_claims,
    headline,
    rig_faults,
    statuses,
    unusable,
    worst,
)
from tinyrig.reports.nights.flame import differences, flame
from tinyrig.reports.nights.style import SCRIPT, STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The browser itself refuses to fetch anything for this page."""
MOST_NIGHTS = 60
MOST_FLAMES = 6
MOST_LINES = 40
"""Of any list; what is left out is counted."""
Ops = Mapping[Cell, Cycles]


def render(page: Page, tables: str = "", ops: Ops | None = None, database: str = "") -> str:
    """The whole document. `tables`: the newest runs' tables as HTML; `ops`: cycles by operator; `database`: its URL, shown."""
    body = [
        _top(page),
        _nav(),
        _section("changes", "What changed since the baseline", _changes(page)),
        _section("matrix", "Boards and variants tonight", _matrix(page)),
        _section("trends", "Trends", _trends(page)),
        _section("cycles", "Cycles by operator", _ops(ops or {})),
        _section("nights", "Nights", _nights(page)),
        _section("tables", "Tables of the newest run", tables or _no_tables()),
        _section("raw", "Raw data", _raw(page, database)),
    ]
    title = "tinyrig nights" + (f": {page.tonight.night_id}" if page.tonight else "")
    head = (
        f'<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(words.plain(title))}</title>\n<style>{STYLE}</style>"
    )
    main = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n<main>\n{main}\n</main>\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _e(text: object) -> str:
    return escape(words.plain(text))


def _code(text: object) -> str:
    return f"<code>{_e(text)}</code>"


def _section(key: str, title: str, inner: str) -> str:
    return f'<section aria-labelledby="{key}">\n<h2 id="{key}">{title}</h2>\n{inner}\n</section>'


def _nav() -> str:
    links = (
        ("changes", "Changes"),
        ("matrix", "Matrix"),
        ("trends", "Trends"),
        ("cycles", "Cycles"),
        ("nights", "Nights"),
        ("tables", "Tables"),
        ("raw", "Raw data"),
    )
    return '<nav aria-label="parts of this page">' + "".join(f'<a href="#{k}">{t}</a>' for k, t in links) + "</nav>"


def _list(items: Iterable[str], rest: int = 0) -> str:
    more = f"<li>and {rest} more</li>" if rest > 0 else ""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + more + "</ul>"


def _table(label: str, head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """Cells are HTML; the first column holds the rows' names, those in `text` hold prose."""
    left = (0, *text)
    cells = "".join(f'<th scope="col"{" class=left" if i in left else ""}>{title}</th>' for i, title in enumerate(head))
    lines = [f"<thead><tr>{cells}</tr></thead>", "<tbody>"]
    for first, *others in rows:
        data = "".join(f"<td{' class=text' if i in text else ''}>{c}</td>" for i, c in enumerate(others, 1))
        lines.append(f'<tr><th scope="row">{first}</th>{data}</tr>')
    return _wide(label, "<table>\n" + "\n".join(lines) + "\n</tbody></table>")


def _wide(label: str, inner: str) -> str:
    return f'<div class="wide" role="region" tabindex="0" aria-label="{_e(label)}">{inner}</div>'


def _status(status: str, more: str = "") -> str:
    return f'<span class="{status.replace(" ", "-")}">{words.GLYPHS.get(status, "")} {_e(status)}{more}</span>'


def _where(cell: Cell) -> str:
    return f"{_code(cell.variant)} on {_e(words.board(cell))}"


# ---- verdict ----


def _top(page: Page) -> str:
    line, night = headline(page), page.tonight
    if night is None:
        return (
            f'<header><h1>tinyrig: nights</h1></header>\n<div class="banner {line.tone}"><h2>{_e(line.title)}</h2>'
            "<p>The database holds no finished run.</p></div>"
        )
    what = "Night" if page.real_nights else "Run"
    facts = [f"{what} {_code(night.night_id)}, begun {_e(night.started)}"]
    if night.exit_code is not None:
        facts.append(f"exit code {night.exit_code}")
    inner = f'<p class="soft">{", ".join(facts)}</p>'
    inner += f"<p>{_e(night.summary)}</p>" if night.summary else ""
    inner += _worst(page) + _claims(page) + _faults(page) + _notes(page)
    return (
        f'<header><h1>tinyrig: nights</h1></header>\n<div class="banner {line.tone}" role="status">\n'
        f"<h2>{_e(line.title)}</h2>\n{inner}\n</div>"
    )


def _worst(page: Page) -> str:
    """A line for each cell whose metrics moved without being accepted: its first metric in full, the others by name."""
    cells: dict[tuple[Cell, str], list[Finding]] = {}
    for finding in sorted(page.having(*MOVED), key=_order):
        cells.setdefault((finding.cell, finding.status), []).append(finding)
    items = []
    for (cell, status), (first, *others) in list(cells.items())[:MOST_LINES]:
        also = f" Also: {_e(', '.join(words.name(f.verdict.metric) for f in others))}." if others else ""
        items.append(f"{_status(status)}: {_where(cell)}: {_e(words.sentence(first))}.{also}")
    return _list(items, len(cells) - MOST_LINES) if items else ""


def _order(finding: Finding) -> tuple[int, int]:
    key = ("accuracy", "latency_us_median", "ram_model_total", "flash_model_total")
    metric = finding.verdict.metric
    return MOVED.index(finding.status), key.index(metric) if metric in key else len(key)


def _claims(page: Page) -> str:
    found = [
        f'<span class="worse">{words.GLYPHS[VerdictStatus.WORSE]} claim failed</span>: {_where(cell)}: {_e(name)}: {_e(reason)}'
        for cell, name, reason in failed_claims(page)
    ]
    return _list(found[:MOST_LINES], len(found) - MOST_LINES) if found else ""


def _faults(page: Page) -> str:
    told = (
        ("Models and requests that could not be used", unusable(page)),
        ("The rig's own faults: they say nothing about a model", rig_faults(page)),
    )
    cross = f'<span class="not-measured">{words.GLYPHS[VerdictStatus.NOT_MEASURED]}</span>'
    return "".join(
        f"<h3>{title}</h3>" + _list([f"{cross} {_e(text)}" for text in found[:MOST_LINES]], len(found) - MOST_LINES)
        for title, found in told
        if found
    )


def _notes(page: Page) -> str:
    notes = []
    if not page.real_nights:
        notes.append("The database holds no nights (<code>tinyrig nightly</code> makes them), so each run counts as one.")
    notes += map(_e, origin_rows.warnings(page.origins))
    if any(m.timing == "estimated" for m in page.measured):
        notes.append("Latencies marked <b>estimated</b> come from the virtual board's timing model, not from silicon.")
    if made_up := sorted({m.dataset or "unnamed" for m in page.measured if m.synthetic}):
        notes.append(f"Synthetic data (generated, not recorded): {', '.join(map(_code, made_up))}.")
    count = len(page.having(VerdictStatus.NOT_COMPARABLE))
    if count:
        notes.append(f'{count} metrics are <a href="#changes">not comparable</a>: they were not judged.')
    return _list(notes) if notes else ""


# ---- changes ----


def _changes(page: Page) -> str:
    moved = page.having(*MOVED)
    quiet = "<p>No metric of tonight moved.</p>" if page.findings else "<p>Nothing was judged.</p>"
    parts = [_findings("tonight's changes", moved) if moved else quiet]
    apart = page.having(VerdictStatus.NOT_COMPARABLE)
    if apart:
        reasons: dict[str, list[Finding]] = {}
        for finding in apart:
            reasons.setdefault(finding.verdict.reason, []).append(finding)
        items = [
            f"{len(found)} metrics of {len({f.cell for f in found})} board and variant pairs: {_e(reason)}"
            for reason, found in reasons.items()
        ]
        parts.append("<h3>Not comparable</h3>" + _list(items[:MOST_LINES], len(items) - MOST_LINES))
    if page.earlier:
        inner = _findings("earlier changes", page.earlier[:MOST_LINES], dated=True)
        rest = len(page.earlier) - MOST_LINES
        inner += f"<p>{rest} older ones are not listed: <code>tinyrig history METRIC</code>.</p>" if rest > 0 else ""
        parts.append(f"<details><summary>Changes of earlier nights ({len(page.earlier)})</summary>{inner}</details>")
    return "\n".join(parts)


def _findings(label: str, findings: Sequence[Finding], dated: bool = False) -> str:
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
        "least that is found",
        "p",
        "note",
    )
    return _table(label, head + (("run",) if dated else ()), (_row(f, dated) for f in findings), text=(11,))


def _row(f: Finding, dated: bool) -> list[str]:
    v = f.verdict
    drift = "drift over nights" if v.kind == VerdictKind.DRIFT else ""
    note = "; ".join(filter(None, (f"accepted: {f.why}" if f.why else "", drift, v.reason)))
    share = words.moved_by(f)
    least = words.difference(v.metric, v.detectable, signed=False)
    row = [
        _e(words.label(v.metric, f.cell.timing)),
        _status(f.status),
        _code(f.cell.variant),
        _e(words.board(f.cell)),
        *(_e(words.quantity(v.metric, value, f.cell.timing)) for value in (v.old, v.new)),
        _e(words.difference(v.metric, v.change, timing=f.cell.timing)),
        _e(share if share.endswith("%") else "-"),
        _e(words.threshold(f)),
        _e(least),
        "-" if v.p_value is None else f"{v.p_value:.2g}",
        _e(note),
    ]
    return [*row, _code(v.run_id)] if dated else row


def _matrix(page: Page) -> str:
    found = statuses(page)
    if not found:
        return "<p>No board measured anything.</p>"
    boards = list(dict.fromkeys((c.board, c.board_id, c.timing) for c in found))
    names = list(dict.fromkeys(c.variant for c in found))
    asked = {m.board_id: f"{m.asked}, " for m in page.measured if m.asked not in ("", m.board)}  # its name in rig.toml
    head = ["variant", *(f"{_e(asked.get(i, '') + b)}<br>{_code(i)}<br>{_e(t)}" for b, i, t in boards)]
    rows = [[_code(n), *(_matrix_cell(found.get(Cell(n, *b)), page, Cell(n, *b)) for b in boards)] for n in names]
    return _table("verdicts of tonight by variant and board", head, rows)


def _matrix_cell(counts: dict[str, int] | None, page: Page, cell: Cell) -> str:
    if counts is None:
        return '<span class="soft">not run</span>'
    status, total = worst(counts), sum(counts.values())
    which = [f for f in page.having(status) if f.cell == cell]
    note = f"{counts[status]} of {total} metrics" if which else ""
    if which and status in (*MOVED, ACCEPTED):
        first = sorted(which, key=_order)[0] if status != ACCEPTED else which[0]
        note = f"{words.name(first.verdict.metric)} {words.moved_by(first)}".rstrip()
        note += f", {counts[status] - 1} more" if counts[status] > 1 else ""
    return f'{_status(status)}<br><span class="soft">{_e(note)}</span>'


# ---- trends ----

_LEGEND = """<p>One value a night; of many in one pixel the lowest and the highest. <span class="swatch">&nbsp;</span> each
night's threshold about its baseline; <span class="accepted">┆</span> an accepted change; <span class="worse">◯</span> a verdict
that found a change nobody accepted. A line is cut where two nights may not be compared. Latencies say whether they are estimated
or measured; accuracy, RAM and flash are never estimates.</p><p id="filter-place"></p>"""


def _trends(page: Page) -> str:
    if not page.trends:
        return "<p>No values are stored.</p>"
    moments = [svg.seconds(v.started) for t in page.trends for v in (t.values[0], t.values[-1])]
    span = (min(moments), max(moments))
    return _LEGEND + "\n".join(_curve(metric, [t for t in page.trends if t.metric == metric], span) for metric in CURVES)


def _curve(metric: str, trends: Sequence[Trend], span: tuple[float, float]) -> str:
    name = words.name(metric)
    title = f"<h3>{_e(name[:1].upper() + name[1:])}</h3>"
    if not trends:
        return title + "<p>No values are stored.</p>"
    moving = sorted((t for t in trends if not t.steady), key=lambda t: _first(t.status))
    steady = [t for t in trends if t.steady]
    parts = [title, _panels(moving, span)] if moving else [title]
    if steady:
        always = f"{len(steady)} of {len(trends)} never changed"
        parts.append(f"<details><summary>{always}</summary>{_panels(steady, span)}</details>")
    return "\n".join(parts)


def _first(status: str) -> int:
    return SEVERITY.index(status) if status in SEVERITY else len(SEVERITY)


def _panels(trends: Sequence[Trend], span: tuple[float, float]) -> str:
    return '<div class="panels">' + "\n".join(_panel(trend, span) for trend in trends) + "</div>"


def _panel(t: Trend, span: tuple[float, float]) -> str:
    last, numbers = t.values[-1], [v.value for v in t.values]
    kind = f" ({_e(t.cell.timing)})" if words.timed(t.metric) else ""
    verdict = f" {_status(t.status)}" if t.status else ""
    low, high = words.quantity(t.metric, min(numbers)), words.quantity(t.metric, max(numbers))
    accepted = sum(bool(v.why) for v in t.values)
    label = (
        f"{words.name(t.metric)} of {t.cell.variant} on {words.board(t.cell)}, {len(numbers)} nights, from {low} to {high}, "
        f"last {words.quantity(t.metric, last.value)}, {accepted} accepted changes"
    )
    name = f"{t.cell.variant} {t.cell.board} {t.cell.board_id} {t.cell.timing}"
    return (
        f'<figure data-name="{_e(name)}"><figcaption><b>{_code(t.cell.variant)}</b> {_e(words.board(t.cell))}<br>'
        f"<b>{_e(words.quantity(t.metric, last.value))}</b>{kind}{verdict}</figcaption>"
        f"{svg.draw(t, span, words.plain(label))}"
        f'<div class="axis"><span>{_e(t.values[0].started[:10])}</span><span>{_e(low)} to {_e(high)}</span>'
        f"<span>{_e(last.started[:10])}</span></div></figure>"
    )


# ---- the rest ----

_STRIP = {0: "✓", 1: "▼", 2: "!", 3: "✗"}
"""Exit code -> what the strip of nights shows."""


def _ops(ops: Ops) -> str:
    profiled = [(cell, cycles) for cell, cycles in ops.items() if cycles.now]
    if not profiled:
        return "<p>No operators were profiled in the newest night's runs.</p>"
    profiled.sort(key=lambda item: not item[1].before)
    first = (
        "<p>The newest night's last run of each: all cycles, by kind of operator, by step. Width is the share. Steps are "
        "profiled in a pass of their own. Where the latency moved, the baseline's stands below.</p>"
    )
    blocks = [_flame(cell, cycles) for cell, cycles in profiled]
    more = "\n".join(blocks[MOST_FLAMES:])
    rest = f"<details><summary>{len(blocks) - MOST_FLAMES} more</summary>{more}</details>" if more else ""
    return first + "\n".join(blocks[:MOST_FLAMES]) + rest


def _flame(cell: Cell, cycles: Cycles) -> str:
    text = f"<h4>{_where(cell)}, {_e(counted(cell.timing))}</h4>\n{flame(cycles.now)}"
    if not cycles.before:
        return text
    told, counts = differences(cycles.before, cycles.now), unit(cell.timing)
    moved = [f"{_e(step)} {change:+,.0f} {counts} ({_e(share)})" for step, change, share in told]
    note = "Steps that differ: " + "; ".join(moved) + "." if moved else "No step differs by a cycle."
    return f"{text}<p>{note} Baseline, run {_code(cycles.before_run)}:</p>{flame(cycles.before)}"


def _nights(page: Page) -> str:
    shown = page.nights[:MOST_NIGHTS]
    boxes = "".join(map(_box, reversed(shown)))
    count = f"The last {len(shown)} of {len(page.nights)}" if len(page.nights) > len(shown) else str(len(shown))
    unit = "nights" if page.real_nights else "runs (no nights are stored)"
    parts = [
        f"<p>{count} {unit}, oldest first: ✓ good, ▼ a claim or metric failed, ! unusable input, ✗ the rig failed, "
        f'· no exit code.</p><ul class="strip" aria-label="exit codes">{boxes}</ul>'
    ]
    bad = [n for n in page.nights if n.exit_code][:MOST_LINES]
    if bad:
        rows = ([_code(n.night_id), _e(n.started), str(n.exit_code), _e(n.summary)] for n in bad)
        table = _table("nights that were not good", ("night", "begun", "exit", "summary"), rows, (3,))
        parts.append(f"<h3>Nights that were not good</h3>{table}")
    if page.accepted:
        changes = page.accepted[:MOST_LINES]
        rows = ([_code(a.run_id), _e(a.variant or "all variants"), _e(a.when), _e(a.who), _e(a.why)] for a in changes)
        table = _table("accepted changes", ("run", "variant", "when (UTC)", "who", "why"), rows, (4,))
        parts.append(f"<h3>Accepted changes</h3>{table}")
    return "\n".join(parts)


def _box(night: Night) -> str:
    code = night.exit_code
    said = night.summary or (f"exit code {code}" if code is not None else "no exit code")
    text = _e(f"{night.night_id}, {night.started[:10]}: {said}")
    return f'<li class="n{code if code in _STRIP else "x"}" title="{text}">{_STRIP.get(code, "·")}</li>'


def _no_tables() -> str:
    return "<p>No tables: the night's runs hold no finished variant.</p>"


def _raw(page: Page, database: str) -> str:
    if page.tonight is None:
        return "<p>Nothing is stored yet.</p>"
    boards: dict[str, dict[str, None]] = {}
    for m in page.measured:
        boards.setdefault(m.run_id, {})[f"{m.board} {m.board_id} ({m.timing})"] = None
    reruns = dict(zip(page.tonight.runs, page.tonight.reruns, strict=False))
    rows = (
        [_code(run), _e(", ".join(boards.get(run, ())) or "nothing measured"), str(reruns.get(run, 0) or "first")]
        for run in page.tonight.runs
    )
    example = _e(shlex.quote(words.plain(page.tonight.runs[0]))) if page.tonight.runs else "RUN"
    commands = (
        f"tinyrig report {example}                 # tables of one run\n"
        f"tinyrig compare {example} OTHER          # two runs side by side\n"
        "tinyrig history latency_us_median --since 90d    # one metric over time\n"
        "tinyrig export -o runs.csv                       # metrics; .parquet and .json too\n"
        "tinyrig export --samples -o samples.csv          # every raw sample\n"
        f'tinyrig accept {example} -m "why"        # these changes are wanted'
    )
    where = f"<p>Database: {_code(database)}. Every number of this page comes from it.</p>" if database else ""
    runs = _table("runs of tonight", ("run", "board", "run of the night"), rows)
    return f"{where}{runs}{_belong(page)}<pre><code>{commands}</code></pre>"


def _belong(page: Page) -> str:
    told = origin_rows.rows(page.origins)
    table = _table("where these numbers come from", origin_rows.TITLES, [list(map(_e, row)) for row in told], range(1, 8))
    return f"<h3>Where these numbers come from</h3>{table}" if told else ""
