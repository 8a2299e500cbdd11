"""`python -m tinyrig.reports [RUN ...] [--format md|html|both] [-o PATH] [--store URL] [--summary]`, and
`python -m tinyrig.reports --nights [--since WHEN] [-o PATH] [--store URL]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import EXIT_GOOD, HostError, RigError
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.reports.files import write_text_file

if TYPE_CHECKING:
    from tinyrig.reports.run.report import Report
    from tinyrig.store.runs import StoredRun


_EXAMPLES = """examples:
  tinyrig report
  tinyrig report 20261130-2 --format html -o run.html
  tinyrig report --nights --since 90d
  tinyrig report live-20261130120000-pqt.json

exit codes: 0 good; 2 no such run; 3 the report could not be written"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tinyrig report",
        description="Write a report of stored runs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="run id or its beginning (default: the latest), or a live session's .json"
    )
    parser.add_argument("--format", choices=("md", "html", "both"), help="default: by the suffix of -o, else md")
    parser.add_argument("-o", "--output", type=Path, metavar="PATH", help="file to write (default: .tinyrig/reports/RUN.md)")
    parser.add_argument("--store", metavar="URL", help="results database (default: rig.toml's)")
    parser.add_argument("--summary", action="store_true", help="also print a short table")
    parser.add_argument(
        "--nights", action="store_true", help="write the HTML page of all nights (default: .tinyrig/reports/nights.html)"
    )
    parser.add_argument("--since", metavar="WHEN", help="with --nights: start trends at this age (90d, 1y) or date")
    options = parser.parse_args(arguments)
    if options.nights and (options.runs or options.format in ("md", "both") or options.summary):
        parser.error("--nights is one HTML page of the whole history: no RUN, --format md or --summary")
    if options.since and not options.nights:
        parser.error("--since goes with --nights")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, that of the RigError, whose message goes to stderr, or 128 and the number of the signal that ended it."""
    options = parse(arguments)
    try:
        with ending():
            status = (_write_nights_page if options.nights else _write_run_report)(options)
            sys.stdout.flush()
        return status
    except KeyboardInterrupt as interruption:
        say("tinyrig: interrupted")
        return exit_status(interruption)
    except RigError as error:
        say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_GOOD
    except Exception as error:
        return unforeseen(error, "error")


def _write_nights_page(options: argparse.Namespace) -> int:
    from tinyrig.core.time_spec import moment
    from tinyrig.reports.nights.page import page_of

    target = options.output or _out() / "nights.html"
    target = target / "nights.html" if target.is_dir() else target
    try:
        write_text_file(target, page_of(options.store or _configured_store(), moment(options.since) if options.since else None))
    except OSError as error:
        raise HostError(f"can't write the page: {error}", remedy="choose a writable place with -o") from error
    print(f"nights: {os.path.relpath(target)}")
    return 0


def _write_live_page(log: Path, options: argparse.Namespace) -> int:
    from tinyrig.reports.live.page import live_page

    target = options.output or log.with_suffix(".html")
    target = target / f"{log.stem}.html" if target.is_dir() else target
    try:
        write_text_file(target, live_page(log))
    except OSError as error:
        raise HostError(f"can't write the page: {error}", remedy="choose a writable place with -o") from error
    print(f"report: {os.path.relpath(target)}")
    return EXIT_GOOD


def _write_run_report(options: argparse.Namespace) -> int:
    if len(options.runs) == 1 and options.runs[0].endswith(".json"):
        return _write_live_page(Path(options.runs[0]), options)
    report, newest = _load(options.store or _configured_store(), options.runs)
    if options.summary:
        _print_summary(report)
    run_ids = [run.run_id for run in report.runs]
    try:
        for kind, target in _targets(options, "+".join(run_ids)):
            (_write_html if kind == "html" else _write_markdown)(report, target)
            if options.output is None and run_ids == [newest]:
                write_text_file(target.with_name(f"latest.{kind}"), target.read_text(encoding="utf-8"))
            print(f"report: {os.path.relpath(target)}")
    except OSError as error:
        raise HostError(f"can't write the report: {error}", remedy="choose a writable place with -o") from error
    return 0


def _targets(options: argparse.Namespace, name: str) -> list[tuple[str, Path]]:
    """The kinds to write, and where; of both kinds, only the suffixes differ."""
    target: Path = options.output or _out()
    if options.output is None or target.is_dir():
        kinds = ("md", "html") if options.format == "both" else (options.format or "md",)
        return [(kind, target / f"{name}.{kind}") for kind in kinds]
    if options.format == "both":
        return [(kind, target.with_suffix(f".{kind}")) for kind in ("md", "html")]
    return [(options.format or ("html" if target.suffix.lower() in (".html", ".htm") else "md"), target)]


def _out() -> Path:
    from tinyrig.core.config import load_config

    return Path(load_config().folders.reports)


def _configured_store() -> str:
    from tinyrig.core.config import load_config

    return load_config().results


def _load(url: str, names: Sequence[str]) -> tuple[Report, str | None]:
    """The report of the named runs (each once) or of the latest, with a note for each run that is not finished; and the id of
    the newest run of all."""
    from tinyrig.core.records import RunState
    from tinyrig.reports.run.report import report_of
    from tinyrig.store.estimates.beside import beside_lines
    from tinyrig.store.runs import Store

    with Store(url, must_exist=True) as store:
        ids = dict.fromkeys(map(store.resolve, names)) if names else [store.latest()]
        stored = store.runs()
        newest = next((run.run_id for run in stored if run.variants), None)
        notes = [_unfinished_note(run) for run in stored if run.run_id in ids and run.state != RunState.FINISHED]
        notes += beside_lines(store, list(ids))
        return report_of([store.load(run_id) for run_id in ids], notes), newest


def _unfinished_note(run: StoredRun) -> str:
    from tinyrig.core.records import RunState

    state = "under way, or was cut off" if run.state == RunState.OPEN else run.state
    count = run.open_samples
    kept = f"; {count} {'sample' if count == 1 else 'samples'} of an unfinished variant {'is' if count == 1 else 'are'} kept"
    return (
        f"Run {run.run_id} is not complete: it is {state}{kept if count else ''}. "
        f"`tinyrig run --resume {run.run_id}` continues it."
    )


def _print_summary(report: Report) -> None:
    from tinyrig.reports.markdown import table
    from tinyrig.reports.run.report import band_notes, not_measured_lines, summary_grids, warning_lines

    for title, grid in summary_grids(report):
        print(f"{title}\n{table(grid, 'simple')}\n")
    for note in band_notes(report):
        print(f"{note}\n")
    for line in not_measured_lines(report):
        print("not measured: " + line.replace("`", ""))
    for line in warning_lines(report):
        print(line.replace("`", ""))
    for note in report.notes:
        print(note)


def _write_markdown(report: Report, target: Path) -> None:
    """Plots go into a folder of the same name beside it."""
    from tinyrig.reports import markdown
    from tinyrig.reports.run.report import build

    folder = target.with_suffix("") if target.suffix else target.with_name(f"{target.name}-plots")
    write_text_file(target, markdown.render(build(report, folder), target.parent))


def _write_html(report: Report, target: Path) -> None:
    from tinyrig.reports.run_page.page import run_page

    write_text_file(target, run_page(report))


if __name__ == "__main__":
    sys.exit(main())
