"""`python -m tinyrig.reports [RUN ...] [--format md|html] [-o PATH] [--store URL] [--summary]`, and
`python -m tinyrig.reports --nights [--since WHEN] [-o PATH] [--store URL]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import HostError, RigError
from tinyrig.reports.files import write_text_file

if TYPE_CHECKING:
    from tinyrig.core.records import Run
    from tinyrig.store.runs import StoredRun

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "reports" / "out"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tinyrig report", description="Write a report of stored runs.")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="run id or its beginning (default: the latest run)")
    parser.add_argument("--format", choices=("md", "html"), help="default: by the ending of -o, else md")
    parser.add_argument("-o", "--output", type=Path, metavar="PATH", help="file to write (default: reports/out/RUN.md)")
    parser.add_argument("--store", metavar="URL", help="results database (default: rig.toml's)")
    parser.add_argument("--summary", action="store_true", help="print a short table too")
    parser.add_argument("--nights", action="store_true", help="the HTML page of all nights (default: reports/out/nights.html)")
    parser.add_argument("--since", metavar="WHEN", help="with --nights, trends from then on: an age (90d, 1y) or a date")
    options = parser.parse_args(arguments)
    if options.nights and (options.runs or options.format == "md" or options.summary):
        parser.error("--nights is one HTML page of the whole history: no RUN, --format md or --summary")
    if options.since and not options.nights:
        parser.error("--since goes with --nights")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or that of the RigError, whose message goes to stderr."""
    options = parse(arguments)
    try:
        return _nights(options) if options.nights else _report(options)
    except RigError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _nights(options: argparse.Namespace) -> int:
    from tinyrig.core.time_spec import moment
    from tinyrig.reports.nights.page import page_of

    target = options.output or OUT / "nights.html"
    target = target / "nights.html" if target.is_dir() else target
    try:
        write_text_file(target, page_of(options.store or _configured_store(), moment(options.since) if options.since else None))
    except OSError as error:
        raise HostError(f"can't write the page: {error}", remedy="choose a writable place with -o") from error
    print(f"nights: {os.path.relpath(target)}")
    return 0


def _report(options: argparse.Namespace) -> int:
    runs, newest, notes = _load(options.store or _configured_store(), options.runs)
    if options.summary:
        _print_summary(runs, notes)
    name = f"{'+'.join(run.run_id for run in runs)}.{options.format or 'md'}"
    target = options.output or OUT / name
    target = target / name if target.is_dir() else target
    kind = options.format or ("html" if target.suffix.lower() in (".html", ".htm") else "md")
    try:
        _write(runs, target, kind, notes)
        if options.output is None and [run.run_id for run in runs] == [newest]:
            write_text_file(OUT / f"latest.{kind}", target.read_text(encoding="utf-8"))
    except OSError as error:
        raise HostError(f"can't write the report: {error}", remedy="choose a writable place with -o") from error
    print(f"report: {os.path.relpath(target)}")
    return 0


def _configured_store() -> str:
    from tinyrig.core.config import load_config

    return load_config().results


def _load(url: str, names: Sequence[str]) -> tuple[list[Run], str | None, list[str]]:
    """The named runs (each once) or the latest, the id of the newest of all, and a note for each run that is not finished."""
    from tinyrig.core.records import RunState
    from tinyrig.store.runs import Store

    with Store(url, must_exist=True) as store:
        ids = dict.fromkeys(map(store.resolve, names)) if names else [store.latest()]
        lines = store.runs()
        newest = next((run.run_id for run in lines if run.variants), None)
        notes = [_note(line) for line in lines if line.run_id in ids and line.state != RunState.FINISHED]
        return [store.load(run_id) for run_id in ids], newest, notes


def _note(line: StoredRun) -> str:
    from tinyrig.core.records import RunState

    word = "under way, or was cut off" if line.state == RunState.OPEN else line.state
    kept = f"; {line.journaled} samples of an unfinished variant are kept" if line.journaled else ""
    return f"Run {line.run_id} is not complete: it is {word}{kept}. `tinyrig run --resume {line.run_id}` goes on with it."


def _print_summary(runs: Sequence[Run], notes: Sequence[str] = ()) -> None:
    from tinyrig.reports.markdown import table
    from tinyrig.reports.run.report import not_measured_lines, summary_grids, warning_lines

    for title, grid in summary_grids(runs):
        print(f"{title}\n{table(grid, 'simple')}\n")
    for line in not_measured_lines(runs):
        print("not measured: " + line.replace("`", ""))
    for line in warning_lines(runs):
        print(line.replace("`", ""))
    for note in notes:
        print(note)


def _write(runs: Sequence[Run], target: Path, kind: str, notes: Sequence[str] = ()) -> None:
    """The document at `target`; plots in a folder of the same name beside it, or inside the file for HTML."""
    from tinyrig.reports import html, markdown
    from tinyrig.reports.run.report import build

    if kind == "md":
        folder = target.with_suffix("") if target.suffix else target.with_name(f"{target.name}-plots")
        write_text_file(target, markdown.render(build(runs, folder, notes), target.parent))
        return
    with tempfile.TemporaryDirectory() as folder:
        blocks = build(runs, Path(folder), notes)
        write_text_file(target, html.render(blocks, f"tinyrig report: {', '.join(run.run_id for run in runs)}"))


if __name__ == "__main__":
    sys.exit(main())
