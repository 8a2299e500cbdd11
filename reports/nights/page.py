"""Database -> the nights' page, whole."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tinyrig.core.errors import RigError
from tinyrig.core.records import VerdictStatus
from tinyrig.reports.nights.content import ACCEPTED, Cell, Cycles, Page, gather, last_runs
from tinyrig.reports.nights.html import Ops, render
from tinyrig.reports.nights.words import plain, timed
from tinyrig.store import history
from tinyrig.store.runs import Store

MOST_VARIANTS = 64
"""Whose cycles by operator are shown."""


def nights_page(store: Store, since: str | None = None) -> str:
    """One HTML document; `since` is ISO-8601 UTC."""
    page = gather(store, since)
    return render(page, _tables(store, page), _ops(store, page), _shown(store.url))


def _ops(store: Store, page: Page) -> Ops:
    cells = list(last_runs(page).items())[:MOST_VARIANTS]
    moved = {f.cell for f in page.having(VerdictStatus.WORSE, VerdictStatus.BETTER, ACCEPTED) if timed(f.verdict.metric)}
    return {cell: _cycles(store, page, cell, run_id, cell in moved) for cell, run_id in cells}


def _cycles(store: Store, page: Page, cell: Cell, run_id: str, moved: bool) -> Cycles:
    now = history.op_cycles(store, run_id, cell.variant)
    comparable = next((t.values[-1].comparable for t in page.trends if t.cell == cell), None)
    if not (now and moved and comparable and page.tonight):
        return Cycles(now)
    runs = history.baseline_runs(store, cell.board_id, cell.variant, comparable, 1, page.tonight.runs)
    before = runs[-1].run_ids[-1] if runs else ""
    return Cycles(now, history.op_cycles(store, before, cell.variant) if before else (), before)


def _tables(store: Store, page: Page) -> str:
    """Those of the paper, for the night's first runs; a run whose samples were pruned has none."""
    if page.tonight is None:
        return ""
    pruned = {m.run_id for m in page.measured if m.pruned}
    finished = {m.run_id for m in page.measured}
    runs = [run for run, rerun in zip(page.tonight.runs, page.tonight.reruns, strict=True) if not rerun and run in finished]
    kept = [run for run in runs if run not in pruned]
    gone = len(runs) - len(kept)
    note = f"<p>The samples of {gone} runs were pruned, so these tables lack them.</p>" if gone else ""
    try:
        return note + (_of_runs(store, kept) if kept else "")
    except RigError as error:
        return f"{note}<p>No tables: {escape(plain(error))}</p>"


def _of_runs(store: Store, run_ids: Sequence[str]) -> str:
    """pandas is imported only where there is something to put into tables."""
    from tinyrig.reports import html
    from tinyrig.reports.blocks import lower
    from tinyrig.reports.run.report import paper_blocks, report_of

    blocks = paper_blocks(report_of([store.load(run_id) for run_id in run_ids]))
    return html.body([lower(block) for block in blocks])


def _shown(url: str) -> str:
    """Without the password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def page_of(url: str, since: str | None = None) -> str:
    """The page of the database at `url`. Raises RigError."""
    with Store(url, must_exist=True) as store:
        return nights_page(store, since)
