"""`tinyrig nightly`: glue between the command line and the procedure of a night. Heavy imports wait inside the
functions, because the command line needs `add_parser` for --help.

Exit status: 1 when something got worse (or a claim failed) and nobody has accepted it, whatever else happened; else 3 when the
rig left something unmeasured; else 2 for unusable input; else 0. The last line of stdout says it in one line.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.command_line import add_budgets
from tinyrig.core.errors import EXIT_RIG, RigError, UserError, decisive

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.host.locks import Locks
    from tinyrig.nightly.log import NightLog
    from tinyrig.nightly.plan import BegunNight
    from tinyrig.nightly.results import NightResult, VariantResult


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    """The `nightly` command, for cli.py."""
    parser = commands.add_parser("nightly", help="measure all variants on all boards and judge what changed", epilog=exits)
    parser.add_argument(
        "--board",
        nargs="+",
        action="extend",
        metavar="BOARD",
        help="measured at the same time; default: [nightly] boards, else all [boards.*], else virtual",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--variant", nargs="+", action="extend", metavar="NAME", help="default: [nightly] variants, else all")
    what.add_argument(
        "--model",
        nargs="+",
        action="extend",
        metavar="FILE|NAME",
        help="models trained elsewhere: files, or names of rig.toml (default: [nightly] models, else all [models.NAME])",
    )
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of --model")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of --windows in a file of their own: .npy or CSV")
    parser.add_argument("--output", metavar="NAME|N", help="which of several outputs the labels belong to")
    add_budgets(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument(
        "--oracle", choices=["tflm", "litert-ref", "numpy", "none"], help="whose outputs are right (default: rig.toml's)"
    )
    parser.add_argument("--engine", metavar="NAME|FOLDER", help="as in `tinyrig run`")
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="NIGHT", help="continue a night that was cut off (default: the newest)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit's XML for a CI: a test case for each claim")
    parser.add_argument("--no-report", action="store_true", help="store the night, but write no report")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Measures, judges, stores, reports; returns the exit status, and says why in the last line of stdout."""
    from tinyrig.core.config import load_config
    from tinyrig.junit.runs import check_path, told_in
    from tinyrig.nightly.log import NightLog
    from tinyrig.nightly.plan import iso, utc_now

    started = utc_now()
    try:
        check_path(arguments.junit)
        with told_in(arguments.junit, "nightly"):
            config = load_config()
            with NightLog(config.logs) as log:
                text, code = _logged(arguments, config, log)
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        what = " ".join(error.what.split())[:200]
        text, code = f"tinyrig nightly {iso(started)[:10]}: not done: {what}, exit {error.exit_code}", error.exit_code
    sys.stdout.flush()
    print(text)
    return code


def _logged(arguments: argparse.Namespace, config: Config, log: NightLog) -> tuple[str, int]:
    """Whatever ends the night is in the log."""
    log.say("", f"tinyrig nightly, results in {config.results.rpartition('@')[2]}")  # a URL may hold a password
    try:
        text, code = _night(arguments, config, log)
    except RigError as error:
        log.error("", str(error))
        raise
    except Exception:
        log.error("", traceback.format_exc())
        raise
    except BaseException as error:
        log.error("", f"cut off: {type(error).__name__} {error}")
        raise
    log.say("", text)
    return text, code


def _night(arguments: argparse.Namespace, config: Config, log: NightLog) -> tuple[str, int]:
    """(last line, exit status)."""
    from tinyrig.host.locks import Locks
    from tinyrig.nightly.summary import night_to_json, summary

    _check_json(arguments.json)
    locks = Locks()
    try:
        night = _begin(arguments, config, log, locks)
        result, finished = _measured(night, log)
    finally:
        locks.close()
    _show(result, log)
    document = {**night_to_json(result, finished), "cut_off_before": night.cut_off_before}
    lacking = [] if _write_junit(arguments.junit, result) else ["no JUnit"]
    lacking += _write(arguments, night, json.dumps(document, indent=1, default=_number, allow_nan=False) + "\n")
    code = decisive({result.exit_code, EXIT_RIG}) if lacking else result.exit_code
    return summary(result, lacking, code), code


def _begin(arguments: argparse.Namespace, config: Config, log: NightLog, locks: Locks) -> BegunNight:
    """A new night, or with --resume one that was cut off."""
    from tinyrig.nightly.begin import NightRequest, begin, resume

    request = NightRequest(**{f.name: getattr(arguments, f.name) for f in fields(NightRequest)})
    if arguments.resume is not None:
        return resume(arguments.resume, request, config, locks)
    night = begin(request, config, locks)
    if night.cut_off_before:
        print(f"tinyrig: {night.cut_off_before}", file=sys.stderr)
        log.error("", night.cut_off_before)
    return night


def _measured(night: BegunNight, log: NightLog) -> tuple[NightResult, str]:
    """What it came to, and when it was finished; stored. One that ends early is stored as cut off."""
    from tinyrig.measure.resume import go_on
    from tinyrig.nightly.begin import end_cut_off, night_variants
    from tinyrig.nightly.fleet import NightFleet
    from tinyrig.nightly.plan import iso, utc_now
    from tinyrig.nightly.summary import summary
    from tinyrig.store.decisions import end_night
    from tinyrig.store.runs import Store

    try:
        result = NightFleet(night, night_variants(night.plan, night.config), log).run()
    except BaseException as error:
        if how := end_cut_off(night, error):
            print(f"tinyrig: {go_on(night.config.results, how, night=night.night_id)}", file=sys.stderr)
        raise
    finished = iso(utc_now())
    with Store(night.config.results) as store:
        end_night(store, night.night_id, finished, result.exit_code, summary(result))
    return result, finished


# ---- what is written and shown ----


def _write(arguments: argparse.Namespace, night: BegunNight, document: str) -> list[str]:
    """Writes what is to be read; what could not be written, for the last line."""
    from tinyrig.measure.reporting import write_night, write_page

    lacking = []
    if arguments.json and not _write_json(arguments.json, document):
        lacking.append("no JSON")
    if arguments.no_report:
        return lacking
    if night.config.nightly.page and write_page(Path(night.config.nightly.page), night.config):
        lacking.append("no page")
    if write_night(night.night_id, night.config):
        lacking.append("no report")
    return lacking


def _write_junit(path: Path | None, result: NightResult) -> bool:
    from tinyrig.junit.runs import save
    from tinyrig.nightly.junit import night_document

    try:
        if path:
            save(path, night_document(result))
        return True
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return False


def _check_json(path: Path | None) -> None:
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(
            f"--json can't be written to {path}",
            expected="a file in a folder that exists",
            received=str(path),
            remedy="name another file",
        )


def _write_json(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
        return True
    except OSError as error:
        print(f"tinyrig: --json can't be written to {path}: {error}; the night is stored all the same", file=sys.stderr)
        return False


def _number(value: Any) -> Any:
    """numpy's numbers, for JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def _show(result: NightResult, log: NightLog) -> None:
    """What moved and what failed, on stdout."""
    for line in _lines(result):
        print(line)
        log.say("", line)
    sys.stdout.flush()


def _lines(night: NightResult) -> Iterator[str]:
    for result in night.results:
        for text in _result_lines(result):
            yield f"{result.variant} on {result.board}: {text}"
    if any(result.regressions for result in night.results):
        yield 'if the change is intended: tinyrig accept RUN [--variant NAME] -m "why"'


def _result_lines(result: VariantResult) -> Iterator[str]:
    from tinyrig.core.records import MOVED, VerdictStatus
    from tinyrig.nightly.summary import findings

    for status in MOVED:
        for text in findings(result, status):
            yield f"{text}: {status}, run {result.run_id}"
    if result.not_comparable:
        judgements = (v.judgement for v in result.verdicts)
        reason = next((j.reason for j in judgements if j.status == VerdictStatus.NOT_COMPARABLE), "")
        yield f"not comparable: {reason}; run {result.run_id}"
    for claim in result.failed_claims:
        yield f"claim failed: {claim.name}: {claim.reason}"
    if result.budget_error is not None:
        yield str(result.budget_error)
