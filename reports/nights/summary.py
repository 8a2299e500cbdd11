"""The Markdown summary of one night, from the database alone: verdict first, then what changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tinyrig.analysis.metric_table import BANDED, METRICS, Ends, banded
from tinyrig.core.errors import HostError, RigError
from tinyrig.core.records import MOVED, Accepted, Night, StoredVerdict, VerdictKind, VerdictStatus
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Text, code
from tinyrig.reports.nights import origin_rows
from tinyrig.store import night_cells
from tinyrig.store.estimates.bands import Bands, bands
from tinyrig.store.history import accepted, verdicts
from tinyrig.store.night_cells import Measured, Missing
from tinyrig.store.origins import Origin, origins
from tinyrig.store.runs import Store

_ENDINGS = {0: "nothing worse", 1: "something is worse", 2: "unusable input", 3: "the rig failed", None: "under way, or cut off"}
_NONE = "-"
_ACCEPT_NOTE = (
    'To accept an intended change: `tinyrig accept RUN [--variant NAME] -m "why"`. Until then every night reports it again.'
)


@dataclass(frozen=True)
class NightSummary:
    """A night with what is stored of its runs besides samples; `measured` has the failed claims."""

    night: Night
    verdicts: tuple[StoredVerdict, ...]
    measured: tuple[Measured, ...]
    not_measured: tuple[Missing, ...]
    accepted: tuple[Accepted, ...] = ()
    origins: tuple[Origin, ...] = ()
    bands: Bands = field(default_factory=Bands)


def load(store: Store, wanted: str) -> NightSummary:
    """The night by its id or an unambiguous beginning of it, the newest for an empty text. Raises UserError."""
    night = night_cells.one_night(store, wanted, "tinyrig nightly makes one")
    runs = night.runs
    return NightSummary(
        night,
        tuple(v for run_id in runs for v in verdicts(store, run_id)),
        tuple(night_cells.measured(store, runs)),
        tuple(night_cells.not_measured(store, runs)),
        tuple(a for a in accepted(store, wanted_only=True) if a.run_id in runs),
        tuple(origins(store, runs)),
        bands(store, BANDED, since=night.started),
    )


def build(summary: NightSummary) -> list[Block]:
    """The document."""
    night = summary.night
    blocks: list[Block] = [
        Heading(1, f"Night of {night.started[:10]}: {_ENDINGS.get(night.exit_code, 'ended')}"),
        Text(f"`{night.summary or 'no summary'}`"),
        *map(Text, origin_rows.warnings(summary.origins)),
        *_changes(summary),
        *_failed_claims(summary),
        *_not_measured(summary),
        *_judged(summary),
        *_accepted(summary),
        *_runs(night),
        *_origins(summary),
    ]
    return blocks


def _changes(summary: NightSummary) -> list[Block]:
    moved = [v for status in MOVED for v in summary.verdicts if v.status == status]
    if not moved:
        return [Text("No metric changed.")] if summary.verdicts else []
    rows = [
        {
            "variant": code(v.variant),
            "board": code(v.board),
            "metric": code(v.metric) + (" (drift)" if v.kind == VerdictKind.DRIFT else ""),
            "verdict": v.status,
            "before": _value(v, v.old),
            "tonight": _value(v, v.new, summary.bands.of_verdict(v)),
            "change": _change(v),
            "%": _percent(v),
            "run": code(v.run_id),
        }
        for v in moved
    ]
    advice = (
        'To accept an intended change: `tinyrig accept RUN [--variant NAME] -m "why"`. Until then every night reports it again.'
    )
    return [Heading(2, "What changed"), Grid(pd.DataFrame(rows), 4), Text(advice)]


def _value(verdict: StoredVerdict, value: Any, ends: Ends | None = None) -> str:
    if value is None:
        return _NONE
    if isinstance(value, str):
        return code(value[:12])
    return banded(METRICS[verdict.metric].format, value, ends) if verdict.metric in METRICS else str(value)


def _change(v: StoredVerdict) -> str:
    if v.change is None:
        return _NONE
    if v.metric == "accuracy":
        return f"{100 * v.change:+.2f} points"
    unit = METRICS[v.metric].unit if v.metric in METRICS else ""
    number = f"{v.change:+,.1f}".removesuffix(".0") if abs(v.change) >= 1 else f"{v.change:+.3g}"
    return f"{number} {unit}"


def _percent(v: StoredVerdict) -> str:
    return _NONE if v.change_percent is None else f"{v.change_percent:+.2f}"


def _failed_claims(summary: NightSummary) -> list[Block]:
    lines = tuple(
        f"{code(m.variant)}: {name}: {reason} (run {code(m.run_id)})" for m in summary.measured for name, reason in m.failed
    )
    return [Heading(2, "Claims that failed"), Bullets(lines)] if lines else []


def _not_measured(summary: NightSummary) -> list[Block]:
    missing = [(m.run_id, m.what) for m in summary.not_measured]
    lines = [f"{code(what.variant)} ({what.kind}): {what.error} (run {code(run_id)})" for run_id, what in missing]
    unknown = [v for v in summary.verdicts if v.status == VerdictStatus.NOT_MEASURED]
    lines += [f"{code(v.variant)} on {code(v.board)}: {code(v.metric)}: {v.reason}" for v in unknown]
    advice = "A fault of the rig says nothing about the models."
    return [Heading(2, "Not measured"), Text(advice), Bullets(tuple(lines))] if lines else []


def _judged(summary: NightSummary) -> list[Block]:
    """What was judged without a difference, and why the rest could not be."""
    groups: dict[tuple[str, str], list[StoredVerdict]] = {}
    for v in summary.verdicts:
        groups.setdefault((v.variant, v.board), []).append(v)
    rows = [
        {
            "variant": code(variant),
            "board": code(board),
            **{
                s: str(sum(v.status == s for v in of))
                for s in (*MOVED, VerdictStatus.SAME, VerdictStatus.NOT_COMPARABLE, VerdictStatus.NOT_MEASURED)
            },
        }
        for (variant, board), of in groups.items()
    ]
    if not rows:
        return []
    reasons = dict.fromkeys(
        f"{code(v.variant)}: {v.reason}"
        for v in summary.verdicts
        if v.status == VerdictStatus.NOT_COMPARABLE and v.kind == VerdictKind.NIGHT
    )
    notes: list[Block] = [Text("Not comparable, because:"), Bullets(tuple(reasons))] if reasons else []
    return [Heading(2, "Metrics judged"), Grid(pd.DataFrame(rows), 2), *notes]


def _accepted(summary: NightSummary) -> list[Block]:
    lines = tuple(f"{a.when[:16]} {a.who}: {code(a.variant or 'all')} of {code(a.run_id)}: {a.why}" for a in summary.accepted)
    return [Heading(2, "Accepted since"), Bullets(lines)] if lines else []


def _runs(night: Night) -> list[Block]:
    lines = tuple(f"{code(run_id)}" + (f", rerun {n}" if n else "") for run_id, n in zip(night.runs, night.reruns, strict=True))
    boards = ", ".join(code(b) for b in night.boards)
    return [Heading(2, "Runs"), Text(f"Night {code(night.night_id)} on {boards}."), Bullets(lines)]


def _origins(summary: NightSummary) -> list[Block]:
    rows = [tuple(map(code, row)) for row in origin_rows.rows(summary.origins)]
    grid = Grid(pd.DataFrame(rows, columns=list(origin_rows.TITLES)), len(origin_rows.TITLES))
    notes = [Text(f"Estimated latencies: {note}.") for note in origin_rows.estimates(summary.origins)]
    return [Heading(2, "Where these numbers come from"), grid, *notes] if rows else []


# ---- command ----


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, that of the RigError, whose message goes to stderr, or 128 and the number of the signal that ended it."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyrig.reports.nights.summary", description="Write the Markdown summary of a night."
    )
    parser.add_argument("night", nargs="?", default="", metavar="NIGHT", help="id or its beginning (default: the newest night)")
    parser.add_argument("--store", metavar="URL", help="results database (default: rig.toml's)")
    parser.add_argument("-o", "--output", type=Path, metavar="PATH", help="default: .tinyrig/reports/nights/NIGHT.md")
    options = parser.parse_args(arguments)
    try:
        with ending():
            print(f"report: {_write_summary(options)}")
    except KeyboardInterrupt as interruption:
        return exit_status(interruption)
    except RigError as error:
        say(f"error: {error}")
        return error.exit_code
    except Exception as error:
        return unforeseen(error, "error")
    return 0


def _write_summary(options: argparse.Namespace) -> Path:
    from tinyrig.core.config import load_config
    from tinyrig.reports.files import write_text_file
    from tinyrig.reports.markdown import render

    with Store(options.store or load_config().results, must_exist=True) as store:
        summary = load(store, options.night)
    target = options.output or Path(load_config().folders.reports) / "nights" / f"{summary.night.night_id}.md"
    try:
        write_text_file(target, render(build(summary), target.parent))
    except OSError as error:
        raise HostError(f"can't write the report: {error}", remedy="choose a writable place with -o") from error
    return target


if __name__ == "__main__":
    sys.exit(main())
