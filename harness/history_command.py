"""`tinyrig history`, `compare`, `accept`, `export`, `prune` and `recompute`: glue between the command line and the results
database. Heavy imports wait inside the functions, because the command line needs `add_parsers` for --help.
"""

from __future__ import annotations

import argparse
import datetime
import getpass
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_GOOD, EXIT_USER, HostError, UserError

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.store.estimates.bands import Bands
    from tinyrig.store.history import Place, Series
    from tinyrig.store.origins import Origin
    from tinyrig.store.runs import Store

_BOARD = "its kind, its id, or the beginning of that (default: all)"


_DASHBOARDS = ("bmf", "github-action-benchmark", "pytest-benchmark", "prometheus")
"""Of store/dashboards.py."""
_FORMATS = ("csv", "json", "parquet", *_DASHBOARDS)


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    """These commands, for cli.py."""
    for add in (_add_history, _add_compare, _add_accept, _add_export, _add_prune, _add_recompute):
        add(commands, exits)


def _add_history(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser("history", help="show a metric over time", epilog=exits)
    parser.add_argument(
        "metric", metavar="METRIC", help="e.g. latency_cycles_median, flash_model_total, accuracy, estimate_error"
    )
    _add_filter(parser)
    parser.add_argument(
        "--last", type=int, default=30, metavar="N", help="show the last N values of each series (default: 30; 0: all)"
    )
    parser.add_argument(
        "--format", choices=("text", "csv", "json"), default="text", help="csv and json: a line for each value, with its band"
    )
    parser.set_defaults(command=_history)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser("compare", help="compare two stored runs, metric by metric", epilog=exits)
    parser.add_argument("first", metavar="RUN_A", help="a run's id or its beginning")
    parser.add_argument("second", metavar="RUN_B", nargs="?", help="default: the latest run")
    parser.add_argument("--all", action="store_true", help="also show unchanged metrics")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page: what changed, step by step")
    parser.set_defaults(command=_compare)


def _add_accept(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser("accept", help="accept a run's changes: later runs are compared with it", epilog=exits)
    parser.add_argument("run", metavar="RUN", help="a run's id or its beginning")
    parser.add_argument("-m", "--message", required=True, metavar="WHY", help="the reason; kept in the history")
    parser.add_argument(
        "--variant", nargs="+", action="extend", metavar="NAME", help="only these variants (default: all of the run)"
    )
    parser.set_defaults(command=_accept)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser(
        "export", help="export stored results: CSV, JSON, Parquet, or what dashboards read", epilog=exits
    )
    parser.add_argument(
        "--format", choices=_FORMATS, help="default: by the suffix of -o, else csv; from bmf on: the newest results"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--samples", action="store_true", help="a line for each raw sample instead of each measurement")
    _add_filter(parser)
    parser.set_defaults(command=_export)


def _add_prune(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser("prune", help="delete old raw samples; their metrics stay", epilog=exits)
    parser.add_argument("--keep-samples", metavar="AGE", help="90d, 12w, 1y (default: rig.toml's [history] keep_samples)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    parser.set_defaults(command=_prune)


def _add_recompute(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser("recompute", help="compute stored metrics again from the raw samples", epilog=exits)
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run's id or its beginning (default: all runs)")
    parser.set_defaults(command=_recompute)


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", metavar="NAME", help="default: all")
    parser.add_argument("--board", help=_BOARD)
    parser.add_argument("--since", metavar="WHEN", help="an age (90d, 12w, 1y) or a date (2026-01-31, UTC)")


# ---- history ----


def _history(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from tinyrig.analysis.provenance import stored_notes
    from tinyrig.store.estimates.bands import bands
    from tinyrig.store.estimates.beside import METRIC, error_series
    from tinyrig.store.estimates.listing import COLUMNS, lines
    from tinyrig.store.export import write
    from tinyrig.store.history import comparables, series
    from tinyrig.store.origins import origins

    derived = arguments.metric == METRIC
    if not derived:
        _check_metric(arguments.metric)
    with _open() as store:
        found = error_series(store, **_which(arguments)) if derived else series(store, arguments.metric, **_which(arguments))
        about = _About(comparables(store), bands(store, [arguments.metric], **_which(arguments)))
        shown = [replace(s, places=p, values=v) for s, p, v in ((s, *_last(s, arguments.last)) for s in found)]
        of = [{(o.run_id, o.board_id): o for o in origins(store, [p.run_id for p in s.places], s.variant)} for s in shown]
    if not found:
        raise UserError(
            f"no stored {arguments.metric} matches",
            expected="a variant, board and time of the database",
            remedy="leave out --variant, --board or --since",
        )
    if arguments.format != "text":
        write(arguments.format, sys.stdout, COLUMNS, lines(shown, about.bands))
        return EXIT_GOOD
    print("\n\n".join(_series_text(s, about, arguments.last, o) for s, o in zip(found, of, strict=True)))
    banded = [(s, p) for s in shown for p, v in zip(s.places, s.values, strict=True) if about.bands.of(s, p, v)]
    for note in stored_notes(about.metadata.get(place.comparable) for _, place in banded):
        print(f"\n{note}")
    return EXIT_GOOD


def _check_metric(name: str) -> None:
    from difflib import get_close_matches

    from tinyrig.store.export import METRIC_COLUMNS

    if name not in METRIC_COLUMNS:
        near = [n for n in METRIC_COLUMNS if name in n] or get_close_matches(name, METRIC_COLUMNS, 4, 0.4) or METRIC_COLUMNS
        raise UserError(
            f"no metric {name!r}",
            expected=", ".join(near),
            received=name,
            remedy="name one of these; `tinyrig export` has them all as columns",
        )


def _last(series: Series, last: int) -> tuple[tuple[Place, ...], tuple[float, ...]]:
    """What is shown of it."""
    return (series.places[-last:], series.values[-last:]) if last > 0 else (series.places, series.values)


@dataclass(frozen=True)
class _About:
    """What is known of all series: the metadata of each hash, and the bands of estimates."""

    metadata: dict[str, dict[str, Any]]
    bands: Bands


def _series_text(series: Series, about: _About, last: int, of: dict[tuple[str, str], Origin]) -> str:
    """A title, what the newest value belongs to, and a table. A row's change is against the last value before it that was
    measured with the same."""
    from tabulate import tabulate

    from tinyrig.analysis.metric_table import METRICS
    from tinyrig.analysis.metric_table import unit as counter

    unit = METRICS[series.metric].unit if series.metric in METRICS else "fraction"
    unit = unit.replace("cycles", counter(series.timing))
    title = f"{series.metric} ({unit}) of {series.variant} on {series.board} {series.board_id}, {series.timing}"
    rows = list(_series_rows(series, about, of))
    shown = rows[-last:] if last > 0 else rows
    title += f", the last {len(shown)} of {len(rows)}" if len(shown) < len(rows) else ""
    header = ("started (UTC)", "run", "firmware", "value", "change", "%", "")
    newest = of.get((series.places[-1].run_id, series.board_id))
    title += f"\n{newest.place}" if newest else ""
    return f"{title}\n{tabulate(shown, header, 'github', disable_numparse=True, colalign=_RIGHT)}"


_RIGHT = ("left", "left", "left", "right", "right", "right", "left")


def _series_rows(series: Series, about: _About, of: dict[tuple[str, str], Origin]) -> Iterable[tuple[str, ...]]:
    from tinyrig.analysis.provenance import clock_off
    from tinyrig.reports.compare.terminal import change_text, value_text

    metadata = about.metadata
    above: Place | None = None
    last: dict[str, float] = {}
    for place, value in zip(series.places, series.values, strict=True):
        change = percent = ""
        notes = [f"accepted: {place.accepted}"] if place.accepted else []
        notes += [f"rerun {place.rerun}"] if place.rerun else []
        base = next((last[key] for key in reversed(last) if not _why(metadata, key, place.comparable)), None)
        if base is not None:
            change, percent = change_text(series.metric, value - base, base)
        if above and (why := _why(metadata, above.comparable, place.comparable)):
            notes.insert(0, f"not comparable with the row above: {why}")
        origin = of.get((place.run_id, series.board_id))
        notes += ["the clock is off"] if origin and clock_off(origin.clock) else []
        start, firmware = place.started[:16].replace("T", " "), origin.build_id[:8] if origin else ""
        text = value_text(series.metric, value, about.bands.of(series, place, value))
        yield start, place.run_id, firmware, text, change, percent, "; ".join(notes)
        last.pop(place.comparable, None)  # the newest goes to the end
        above, last[place.comparable] = place, value


def _why(metadata: dict[str, dict[str, Any]], first: str, second: str) -> str:
    """What differs; empty where the two may be compared."""
    from tinyrig.analysis.provenance import METADATA_WORDS, differing_keys
    from tinyrig.store.comparison import differing

    a, b = metadata.get(first), metadata.get(second)
    if first == second:
        return ""
    if a is None or b is None:
        return differing(a, b)[0]
    return ", ".join(f"{METADATA_WORDS.get(k, k)} {a.get(k)} -> {b.get(k)}" for k in differing_keys(a, b))


# ---- compare ----


def _compare(arguments: argparse.Namespace) -> int:
    """Exit status 2 when no variant of the two runs can be compared: then nothing was said of them."""
    from tinyrig.reports.compare.terminal import pair_text
    from tinyrig.store.comparison import compare, run_values
    from tinyrig.store.origins import origins

    _refuse_model(arguments.first)
    with _open() as store:
        ids = [store.resolve(arguments.first), store.resolve(arguments.second) if arguments.second else store.latest()]
        pairs = compare(*(run_values(store, run_id) for run_id in ids))
        places = [dict.fromkeys(f"{o.board} {o.board_id}, {o.place}" for o in origins(store, [run_id])) for run_id in ids]
        if arguments.html:
            _write_page(store, ids[0], ids[1], arguments.html)
    for name, run_id, place in zip("AB", ids, places, strict=True):
        print("\n   ".join([f"{name}: run {run_id}", *place]))
    for pair in pairs:
        print(f"\n{pair_text(pair, arguments.all)}")
    if any(row.noisy and row.change for pair in pairs for row in pair.rows):
        print("\n? measured on a physical board: only the board's own noise shows whether it is chance (docs/verdicts.md)")
    for note in dict.fromkeys(note for pair in pairs for note in pair.estimates):
        print(f"\nB / A: in brackets at the low and at the high end of both bands. {note[0].upper()}{note[1:]}")
    if all(pair.differences and not pair.notes for pair in pairs):
        print("\ntinyrig: nothing of these runs can be compared", file=sys.stderr)
        return EXIT_USER
    return EXIT_GOOD


def _write_page(store: Store, first: str, second: str, path: Path) -> None:
    from tinyrig.core.errors import HostError
    from tinyrig.reports.compare.page import compare_page
    from tinyrig.reports.files import write_text_file

    page = compare_page(store, first, second)
    try:
        write_text_file(path, page)
    except OSError as error:
        raise HostError(f"--html can't be written to {path}", received=str(error), remedy="name a writable file") from error


def _refuse_model(name: str) -> None:
    """`tinyrig compare MODEL.tflite` had another meaning."""
    if name.endswith(".tflite"):
        raise UserError(
            "compare takes two stored runs",
            expected="RUN_A RUN_B",
            received=name,
            remedy=f"to compare a model with the oracle op by op: tinyrig ops {name}",
        )


# ---- accept ----


def _accept(arguments: argparse.Namespace) -> int:
    from tinyrig.core.records import MOVED, Accepted
    from tinyrig.store.decisions import accept
    from tinyrig.store.history import verdicts

    why = arguments.message.strip()
    if not why:
        raise UserError("-m is empty", expected="why the changes are intended", remedy='-m "a larger dense layer"')
    with _open() as store:
        run_id = store.resolve(arguments.run)
        accept(store, *(Accepted(run_id, variant, _now(), _who(), why, True) for variant in arguments.variant or [None]))
        moved = [v for v in verdicts(store, run_id) if v.status in MOVED]
    print(f"accepted {', '.join(arguments.variant or ['all variants'])} of run {run_id}: {why}")
    for v in moved:
        if arguments.variant is None or v.variant in arguments.variant:
            print(f"  {v.variant} on {v.board}: {v.metric} {v.status}, {v.old} -> {v.new}")
    return EXIT_GOOD


def _who() -> str:
    """USER@HOST; in a container the user may have no name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


# ---- export, prune, recompute ----


def _export(arguments: argparse.Namespace) -> int:
    from tinyrig.store.export import FORMATS, export

    output = arguments.output
    form = arguments.format or (output.suffix[1:].lower() if output and output.suffix[1:].lower() in FORMATS else "csv")
    if form in _DASHBOARDS:
        return _export_newest(form, output, arguments)
    if form == "parquet" and output is None:
        raise UserError("Parquet can't be written to standard output", expected="-o FILE", remedy="name a file with -o")
    with _open() as store:
        lines = export(store, output or sys.stdout, form, arguments.samples, **_which(arguments))
    if output:
        print(f"{output}: {lines} {'samples' if arguments.samples else 'measurements'}")
    return EXIT_GOOD


def _export_newest(form: str, output: Path | None, arguments: argparse.Namespace) -> int:
    from tinyrig.store import dashboards

    if arguments.samples:
        raise UserError(f"{form} has no raw samples", expected="--format csv, json or parquet", remedy="leave --samples out")
    with _open() as store, store.reading() as db:
        entries = dashboards.latest(db, **_which(arguments))
    text = dashboards.text(form, entries)
    if output is None:
        sys.stdout.write(text)
        return EXIT_GOOD
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise HostError(f"can't write the export: {error}", remedy="choose a writable place with -o") from error
    print(f"{output}: {len(entries)} measurements")
    return EXIT_GOOD


def _prune(arguments: argparse.Namespace) -> int:
    from tinyrig.core.time_spec import age, moment
    from tinyrig.store.pruning import prune

    keep = arguments.keep_samples or _config().history.keep_samples
    if not keep:
        raise UserError(
            "no age is given for raw samples",
            expected="--keep-samples 90d",
            received="no age",
            remedy='give --keep-samples, or set keep_samples = "90d" under [history] in rig.toml',
        )
    before = moment(age(keep))
    with _open() as store:
        done = prune(store, before, _now(), arguments.dry_run)
        if done.variant_runs and not arguments.dry_run:
            store.compact()
    word = "would delete" if arguments.dry_run else "deleted"
    print(
        f"{word} {done.samples} raw samples of {done.variant_runs} measurements in {done.runs} runs from before {before}; "
        f"metrics stay; {done.kept} measurements of that age keep theirs"
    )
    return EXIT_GOOD


def _recompute(arguments: argparse.Namespace) -> int:
    from tinyrig.store.pruning import recompute

    with _open() as store:
        done, pruned = recompute(store, store.resolve(arguments.run) if arguments.run else None)
    print(f"computed the metrics of {done} measurements again; {pruned} have no raw samples left and keep theirs")
    return EXIT_GOOD


# ---- shared ----


def _config() -> Config:
    from tinyrig.core.config import load_config

    return load_config()


def _open() -> Store:
    """The configured database; it must be there."""
    from tinyrig.store.runs import Store

    return Store(_config().results, must_exist=True)


def _which(arguments: argparse.Namespace) -> dict[str, str | None]:
    from tinyrig.core.time_spec import moment

    since: Sequence[str] | str | None = arguments.since
    return {"variant": arguments.variant, "board": arguments.board, "since": moment(str(since)) if since else None}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
