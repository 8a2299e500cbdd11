"""Database -> the nights' page, whole."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tinyrig.core.errors import RigError
from tinyrig.core.records import VerdictStatus
from tinyrig.reports.nights.elements import html
from tinyrig.reports.nights.gather import gather
from tinyrig.reports.nights.headline import last_runs
from tinyrig.reports.nights.html import Ops, render
from tinyrig.reports.nights.records import ACCEPTED, Cell, NightsReport, OpCycles
from tinyrig.reports.nights.words import timed
from tinyrig.reports.text import count
from tinyrig.store import history
from tinyrig.store.runs import Store

MOST_VARIANTS = 64
"""Whose cycles by operator are shown."""


def nights_page(store: Store, since: str | None = None) -> str:
    """One HTML document; `since` is ISO-8601 UTC."""
    report = gather(store, since)
    return render(report, _tables(store, report), _ops(store, report), _without_password(store.url))


def _ops(store: Store, report: NightsReport) -> Ops:
    cells = list(last_runs(report).items())[:MOST_VARIANTS]
    moved = {f.cell for f in report.having(VerdictStatus.WORSE, VerdictStatus.BETTER, ACCEPTED) if timed(f.verdict.metric)}
    return {cell: _cycles(store, report, cell, run_id, cell in moved) for cell, run_id in cells}


def _cycles(store: Store, report: NightsReport, cell: Cell, run_id: str, moved: bool) -> OpCycles:
    now = history.op_cycles(store, run_id, cell.variant)
    comparable = next((t.values[-1].comparable for t in report.trends if t.cell == cell), None)
    if not (now and moved and comparable and report.tonight):
        return OpCycles(now)
    runs = history.baseline_runs(store, cell.board_id, cell.variant, [comparable], 1, report.tonight.runs)
    before = runs[-1].run_ids[-1] if runs else ""
    return OpCycles(now, history.op_cycles(store, before, cell.variant) if before else (), before)


def _tables(store: Store, report: NightsReport) -> Markup:
    """Those of the paper, for the night's first runs; a run whose samples were pruned has none."""
    if report.tonight is None:
        return Markup()
    pruned = {m.run_id for m in report.measured if m.pruned}
    finished = {m.run_id for m in report.measured}
    runs = [run for run, rerun in zip(report.tonight.runs, report.tonight.reruns, strict=True) if not rerun and run in finished]
    kept = [run for run in runs if run not in pruned]
    gone = len(runs) - len(kept)
    note = html("<p>The samples of {} were pruned, so these tables lack them.</p>", count(gone, "run")) if gone else Markup()
    try:
        return note + (_paper_tables(store, kept) if kept else Markup())
    except RigError as error:
        return note + html("<p>No tables: {}</p>", str(error))


def _paper_tables(store: Store, run_ids: Sequence[str]) -> Markup:
    """pandas is imported only where there is something to put into tables."""
    from tinyrig.reports.blocks import lower
    from tinyrig.reports.html import body
    from tinyrig.reports.run.report import paper_blocks, report_of

    blocks = paper_blocks(report_of([store.load(run_id) for run_id in run_ids]))
    return body([lower(block) for block in blocks])


def _without_password(url: str) -> str:
    """For showing."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def page_of(url: str, since: str | None = None) -> str:
    """The page of the database at `url`. Raises RigError."""
    with Store(url, must_exist=True) as store:
        return nights_page(store, since)
