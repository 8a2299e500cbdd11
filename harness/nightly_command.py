"""`tinyrig nightly`: glue between the command line, campaigns and the procedure of a night. Heavy imports wait inside the
functions, because the command line needs `add_parser` for --help.

Exit status: 1 when something got worse (or a claim failed) and nobody has accepted it, whatever else happened; else 3 when the
rig left something unmeasured; else 2 for unusable input; else 0. The last line of stdout says it in one line.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_CLAIM, EXIT_RIG, InfraError, RigError, UserError

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.core.records import Variant
    from tinyrig.host.locks import Locks
    from tinyrig.nightly.board_worker import Plan
    from tinyrig.nightly.log import NightLog
    from tinyrig.nightly.procedure import NightResult


def add_parser(commands: argparse._SubParsersAction, exits: str) -> None:
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
        "--model", nargs="+", action="extend", type=Path, metavar="FILE.tflite", help="models that were trained elsewhere"
    )
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of --model")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref", "none"], help="whose outputs are right (default: rig.toml's)")
    parser.add_argument("--engine", metavar="NAME|FOLDER", help="as in `tinyrig run`")
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="NIGHT", help="go on with a night that was cut off (default: the newest)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts")
    parser.add_argument("--no-report", action="store_true", help="store the night and write no report")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Measures, judges, stores, reports; returns the exit status, and says why in the last line of stdout."""
    from tinyrig.core.config import load_config
    from tinyrig.nightly.log import NightLog
    from tinyrig.nightly.procedure import iso, utc_now

    started = utc_now()
    try:
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
    from tinyrig.host.locks import Locks
    from tinyrig.nightly.procedure import iso, utc_now
    from tinyrig.nightly.summary import night_to_json, summary

    locks = Locks()
    try:
        begun = _begin(arguments, config, log, locks)
        try:
            result = _measure(begun, log)
        except BaseException as error:
            _cut_off(begun, error)
            raise
        text, code, finished = summary(result), result.exit_code, iso(utc_now())
        _end(begun, finished, code, text)
    finally:
        locks.close()
    _tell(result, log)
    sys.stdout.flush()
    document = {**night_to_json(result, finished), "cut_off_before": begun.cut_off_before}
    lacking = _report(arguments, begun, json.dumps(document, indent=1, default=_plain) + "\n")
    if lacking:
        code = code if code == EXIT_CLAIM else EXIT_RIG
        text = f"{text[: text.rindex(', exit')]}{lacking}, exit {code}"
    return text, code


def _end(begun: _Begun, finished: str, code: int, text: str) -> None:
    from tinyrig.store.decisions import end_night
    from tinyrig.store.runs import Store

    with Store(begun.config.results) as store:
        end_night(store, begun.night_id, finished, code, text)


def _cut_off(begun: _Begun, error: BaseException) -> None:
    """That the night ended is worth a try, and no second error."""
    from tinyrig.nightly.procedure import CUT_OFF, iso, utc_now
    from tinyrig.nightly.resume import find_night
    from tinyrig.store.runs import Store

    code = error.exit_code if isinstance(error, RigError) else EXIT_RIG
    with suppress(RigError):
        _end(begun, iso(utc_now()), code, f"{CUT_OFF}: {type(error).__name__}: {error}"[:500])
        with Store(begun.config.results) as store:
            find_night(store, begun.night_id)  # raises where nothing is there to go on with
        how = f"go on with: tinyrig nightly --resume {begun.night_id}"
        print(f"tinyrig: what was measured is kept; {how}", file=sys.stderr)


def _report(arguments: argparse.Namespace, begun: _Begun, document: str) -> str:
    """Writes what is to be read; what could not be written, for the last line."""
    from tinyrig.core.config import ROOT
    from tinyrig.measure.reporting import write_night, write_page

    lacking = ""
    if arguments.json and not _write(arguments.json, document):
        lacking += ", no JSON"
    if arguments.no_report:
        return lacking
    if begun.config.nightly.page and write_page(ROOT / begun.config.nightly.page, begun.config):
        lacking += ", no page"
    if write_night(begun.night_id, begun.config):
        lacking += ", no report"
    return lacking


def _plain(value: Any) -> Any:
    """numpy's numbers, for JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def _tell(result: NightResult, log: NightLog) -> None:
    """What moved and what failed, on stdout."""
    for line in _told(result):
        print(line)
        log.say("", line)


def _told(result: NightResult) -> Iterator[str]:
    from tinyrig.core.records import MOVED, VerdictStatus
    from tinyrig.nightly.summary import findings

    for cell in result.cells:
        for status in MOVED:
            for text in findings(cell, status):
                yield f"{cell.variant} on {cell.board}: {text}: {status}, run {cell.run_id}"
        if cell.not_comparable:
            reason = next((v.judgement.reason for v in cell.verdicts if v.judgement.status == VerdictStatus.NOT_COMPARABLE), "")
            yield f"{cell.variant} on {cell.board}: not comparable: {reason}; run {cell.run_id}"
        for claim in cell.failed_claims:
            yield f"{cell.variant} on {cell.board}: claim failed: {claim.name}: {claim.reason}"
    if any(cell.regressions for cell in result.cells):
        yield 'a change that is meant: tinyrig accept RUN [--variant NAME] -m "why"'


# ---- what to do ----


@dataclass(frozen=True)
class _Begun:
    """A night that is stored as begun; `runs`: what its boards have from before it was cut off."""

    plan: Plan
    config: Config
    night_id: str
    started: str
    runs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cut_off_before: str = ""


def _begin(arguments: argparse.Namespace, config: Config, log: NightLog, locks: Locks) -> _Begun:
    """A new night, or with --resume one that was cut off; locked, so that nobody else goes on with it meanwhile."""
    from tinyrig.nightly.procedure import iso, new_night_id, utc_now
    from tinyrig.nightly.resume import cut_off_before, night_key
    from tinyrig.store.decisions import begin_night
    from tinyrig.store.runs import Store

    _check_json(arguments.json)
    if arguments.resume is not None:
        return _resume(arguments, config, locks)
    plan = _plan(arguments, config)
    with Store(config.results) as store:
        before = cut_off_before(store)
        if before:
            print(f"tinyrig: {before}", file=sys.stderr)
            log.error("", before)
        started = utc_now()
        begun = _Begun(plan, config, new_night_id(started), iso(started), cut_off_before=before)
        locks.take(night_key(begun.night_id), f"night {begun.night_id}", InfraError)
        begin_night(store, begun.night_id, begun.started, plan.boards)
    return begun


_REMEMBERED = ("board", "variant", "model", "windows", "limit", "oracle", "engine")


def _resume(arguments: argparse.Namespace, config: Config, locks: Locks) -> _Begun:
    from tinyrig.nightly.resume import find_night, night_key
    from tinyrig.store.runs import Store

    given = [f"--{name}" for name in _REMEMBERED if getattr(arguments, name) is not None]
    if given:
        raise UserError(
            "a night that is gone on with is as it was asked for",
            expected="--resume alone",
            received=", ".join(given),
            remedy="leave that out, or start a new night without --resume",
        )
    with Store(config.results, must_exist=True) as store:
        found = find_night(store, arguments.resume)
        locks.take(night_key(found.night.night_id), f"night {found.night.night_id}", InfraError)
    config = replace(config, dataset=found.dataset)
    _check_boards(found.plan.boards, config)
    return _Begun(found.plan, config, found.night.night_id, found.night.started, found.runs)


def _plan(arguments: argparse.Namespace, config: Config) -> Plan:
    """Command line, else rig.toml. Raises UserError for what can't be used, before anything is measured."""
    from tinyrig.nightly.board_worker import Plan

    night = config.nightly
    boards = tuple(dict.fromkeys(arguments.board or night.boards or tuple(config.boards) or ("virtual",)))
    _check_boards(boards, config)
    named = bool(arguments.variant or arguments.model)
    models = tuple(arguments.model or ()) if named else tuple(map(Path, night.models))
    windows = arguments.windows or (Path(night.windows) if night.windows and not named else None)
    if windows and not models:
        raise UserError(
            "windows need models",
            expected="--model FILE.tflite --windows FILE.npz",
            received="windows alone",
            remedy="variants bring their own windows",
        )
    variants = tuple(arguments.variant or (() if named else night.variants))
    engine = arguments.engine or "tinyrig"
    return Plan(boards, variants, models, windows if models else None, arguments.limit, arguments.oracle, engine)


def _check_boards(boards: Sequence[str], config: Config) -> None:
    """Raises UserError for one that is not known, and for one that is named twice: their histories would be one."""
    from tinyrig.board.resolve import identity
    from tinyrig.core.boards import parse_board

    seen: dict[str, str] = {}
    for board in boards:
        for what in identity(parse_board(board, config.boards), config):
            if what in seen:
                raise UserError(
                    f"{seen[what]} and {board} are one board",
                    expected="each board once",
                    received=f"{what} for both",
                    remedy='leave one out; several virtual boards are told apart by numbers: virtual#1, or kind = "virtual#1"',
                )
            seen[what] = board


def _check_json(path: Path | None) -> None:
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(
            f"--json can't be written to {path}",
            expected="a file in a folder that exists",
            received=str(path),
            remedy="name another file",
        )


def _variants(plan: Plan, config: Config) -> list[Variant]:
    from tinyrig.core.deadlines import Deadline
    from tinyrig.measure.variants import built_variants, model_variant

    if not plan.models:
        return built_variants(config, plan.variants, Deadline("run_s", config.limits.run_s))
    found = [model_variant(path, plan.windows) for path in plan.models]
    twice = [v.name for i, v in enumerate(found) if v.name in [w.name for w in found[:i]]]
    if twice:
        raise UserError(
            "two models have one name",
            expected="a file name of its own for each",
            received=twice[0],
            remedy="rename one: a variant's history goes by its name",
        )
    return found


# ---- doing it ----


def _measure(begun: _Begun, log: NightLog) -> NightResult:
    from tinyrig.nightly.fleet import NightFleet

    variants = _variants(begun.plan, begun.config)
    return NightFleet(begun.plan, begun.config, begun.night_id, begun.started, variants, log, begun.runs).run()


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
        return True
    except OSError as error:
        print(f"tinyrig: --json can't be written to {path}: {error}; the night is stored all the same", file=sys.stderr)
        return False
