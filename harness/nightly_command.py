"""`tinyrig nightly`: glue between the command line, campaigns and the procedure of a night. Heavy imports wait inside the
functions, because the command line needs `add_parser` for --help.

Exit status: 1 when something got worse (or a claim failed) and nobody has accepted it, whatever else happened; else 3 when the
rig left something unmeasured; else 2 for unusable input; else 0. The last line of stdout says it in one line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EXIT_CLAIM, EXIT_RIG, RigError, UserError

if TYPE_CHECKING:
    from harness.config import Config
    from harness.limits import Deadline
    from harness.nightly import Cell, NightResult, Outcome, Procedure
    from harness.progress import progress
    from harness.records import Variant
    from harness.store import Store


def add_parser(commands: argparse._SubParsersAction, exits: str) -> None:
    """The `nightly` command, for cli.py."""
    parser = commands.add_parser("nightly", help="measure all variants on all boards and judge what changed", epilog=exits)
    parser.add_argument(
        "--board", nargs="+", action="extend", metavar="BOARD",
        help="default: [nightly] boards, else all [boards.*], else virtual",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--variant", nargs="+", action="extend", metavar="NAME", help="default: [nightly] variants, else all")
    what.add_argument(
        "--model", nargs="+", action="extend", type=Path, metavar="FILE.tflite", help="models that were trained elsewhere"
    )
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of --model")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref", "none"], help="whose outputs are right (default: rig.toml's)")
    parser.add_argument("--engine", default="tinyrig", metavar="NAME|FOLDER", help="as in `tinyrig run`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts")
    parser.add_argument("--no-report", action="store_true", help="store the night and write no report")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Measures, judges, stores, reports; returns the exit status, and says why in the last line of stdout."""
    from harness.nightly import iso, utc_now

    started = utc_now()
    try:
        text, code = _night(arguments, started)
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        what = " ".join(error.what.split())[:200]
        text, code = f"tinyrig nightly {iso(started)[:10]}: not done: {what}, exit {error.exit_code}", error.exit_code
    sys.stdout.flush()
    print(text)
    return code


def _night(arguments: argparse.Namespace, started: Any) -> tuple[str, int]:
    from harness.campaign import write_night
    from harness.config import load_config
    from harness.ledger import begin_night, end_night
    from harness.nightly import close_quietly, iso, new_night_id, utc_now
    from harness.nightly_summary import night_to_json, summary
    from harness.store import Store

    config = load_config()
    plan = _plan(arguments, config)
    with Store(config.results) as store:
        night_id = new_night_id(started)
        begin_night(store, night_id, iso(started), plan.boards)
        try:
            result = _measure(plan, config, store, night_id, iso(started))
        except BaseException as error:
            code = error.exit_code if isinstance(error, RigError) else EXIT_RIG
            close_quietly(store, night_id, code, f"cut off: {type(error).__name__}: {error}"[:500])
            raise
        text, code, finished = summary(result), result.exit_code, iso(utc_now())
        end_night(store, night_id, finished, code, text)
    _tell(result)
    sys.stdout.flush()
    lacking = ""
    document = json.dumps(night_to_json(result, finished), indent=1, default=_plain) + "\n"
    if arguments.json and not _write(arguments.json, document):
        lacking += ", no JSON"
    if not arguments.no_report and write_night(night_id, config):
        lacking += ", no report"
    if lacking:
        code = code if code == EXIT_CLAIM else EXIT_RIG
        text = f"{text[: text.rindex(', exit')]}{lacking}, exit {code}"
    return text, code


def _plain(value: Any) -> Any:
    """numpy's numbers, for JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def _tell(result: NightResult) -> None:
    from harness.nightly_summary import findings

    for cell in result.cells:
        for status in ("worse", "changed", "better"):
            for text in findings(cell, status):
                print(f"{cell.variant} on {cell.board}: {text}: {status}, run {cell.run_id}")
        if cell.not_comparable:
            reason = next((v.judgement.reason for v in cell.verdicts if v.judgement.status == "not comparable"), "")
            print(f"{cell.variant} on {cell.board}: not comparable: {reason}; run {cell.run_id}")
        for claim in cell.failed_claims:
            print(f"{cell.variant} on {cell.board}: claim failed: {claim.name}: {claim.reason}")
    if any(cell.regressions for cell in result.cells):
        print('a change that is meant: tinyrig accept RUN [--variant NAME] -m "why"')


# ---- what to do ----

@dataclass(frozen=True)
class Plan:
    """Boards as --board names them; built variants by name, or files of models."""

    boards: tuple[str, ...]
    variants: tuple[str, ...]
    models: tuple[Path, ...]
    windows: Path | None
    limit: int | None
    oracle: str | None
    engine: str

    def stored(self, board: str, config: Config, night_id: str) -> dict[str, Any]:
        """What `tinyrig run --resume` goes by."""
        model = str(self.models[0].absolute()) if len(self.models) == 1 else None
        windows = str(self.windows.absolute()) if self.windows else None
        return {"board": board, "dataset": config.dataset, "variants": list(self.variants), "model": model, "windows": windows,
                "night": night_id}


def _plan(arguments: argparse.Namespace, config: Config) -> Plan:
    """Command line, else rig.toml. Raises UserError for what can't be used, before anything is measured."""
    from harness.boards import parse_board

    night = config.nightly
    boards = tuple(dict.fromkeys(arguments.board or night.boards or tuple(config.boards) or ("virtual",)))
    for board in boards:
        parse_board(board, config.boards)
    named = bool(arguments.variant or arguments.model)
    models = tuple(arguments.model or ()) if named else tuple(map(Path, night.models))
    windows = arguments.windows or (Path(night.windows) if night.windows and not named else None)
    _check(arguments, models, windows)
    variants = tuple(arguments.variant or (() if named else night.variants))
    return Plan(boards, variants, models, windows if models else None, arguments.limit, arguments.oracle, arguments.engine)


def _check(arguments: argparse.Namespace, models: Sequence[Path], windows: Path | None) -> None:
    if windows and not models:
        raise UserError("windows need models", expected="--model FILE.tflite --windows FILE.npz", received="windows alone",
                        remedy="variants bring their own windows")
    path = arguments.json
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(f"--json can't be written to {path}", expected="a file in a folder that exists", received=str(path),
                        remedy="name another file")


def _variants(plan: Plan, config: Config) -> list[Variant]:
    from harness.campaign import built_variants, model_variant
    from harness.limits import Deadline

    if not plan.models:
        return built_variants(config, plan.variants, Deadline("run_s", config.limits.run_s))
    found = [model_variant(path, plan.windows) for path in plan.models]
    twice = [v.name for i, v in enumerate(found) if v.name in [w.name for w in found[:i]]]
    if twice:
        raise UserError("two models have one name", expected="a file name of its own for each", received=twice[0],
                        remedy="rename one: a variant's history goes by its name")
    return found


# ---- doing it ----

def _measure(plan: Plan, config: Config, store: Store, night_id: str, started: str) -> NightResult:
    """Board by board; each has run_s of its own, reruns included."""
    from harness.interrupt import alarm
    from harness.limits import Deadline
    from harness.nightly import NightResult, Procedure
    from harness.progress import progress

    variants = _variants(plan, config)
    cells, runs = [], []
    with progress(len(variants) * len(plan.boards)) as bar:
        for board in plan.boards:
            deadline = Deadline("run_s", config.limits.run_s)
            bench = _Bench(plan, config, store, night_id, variants, deadline, bar)
            procedure = Procedure(store, night_id, bench.run)
            with alarm(deadline):
                cells += _board(procedure, board, [v.name for v in variants])
            runs += procedure.runs
    return NightResult(night_id, started, tuple(cells), tuple(runs))


def _board(procedure: Procedure, board: str, names: Sequence[str]) -> list[Cell]:
    """A board that fails as a whole costs no other board its night."""
    from harness.nightly import Cell

    try:
        return procedure.board(board, names)
    except RigError as error:
        print(f"tinyrig: {board}: {error}", file=sys.stderr)
        return [Cell(board, name, "", error=error) for name in names]


class _Bench:
    """Runs on one board through campaigns; what a campaign could not measure is told and kept."""

    def __init__(
        self, plan: Plan, config: Config, store: Store, night_id: str, variants: list[Variant], deadline: Deadline, bar: progress
    ) -> None:
        self._plan, self._config, self._store, self._night_id = plan, config, store, night_id
        self._variants, self._deadline, self._bar = variants, deadline, bar

    def run(self, board: str, names: Sequence[str], rerun: int) -> Outcome:
        from harness.boards import parse_board
        from harness.campaign import Campaign
        from harness.ledger import add_to_night
        from harness.nightly import Outcome

        plan = self._plan
        with Campaign(
            parse_board(board, self._config.boards), self._config, oracle=plan.oracle,
            limit=plan.limit, engine=plan.engine, say=self._bar.say,
            plan=plan.stored(board, self._config, self._night_id), deadline=self._deadline,
        ) as campaign:  # fmt: skip
            add_to_night(self._store, self._night_id, campaign.run_id, rerun)
            runs = {}
            for variant in (v for v in self._variants if v.name in names):
                self._one(campaign, variant, runs, rerun)
            return Outcome(campaign.run_id, runs, dict(campaign.failed))

    def _one(self, campaign: Any, variant: Variant, runs: dict[str, Any], rerun: int) -> None:
        try:
            runs[variant.name] = campaign.run(variant)
        except RigError as error:
            print(f"tinyrig: {variant.name}: not measured: {error}", file=sys.stderr)
        if not rerun:
            self._bar.step()


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
        return True
    except OSError as error:
        print(f"tinyrig: --json can't be written to {path}: {error}; the night is stored all the same", file=sys.stderr)
        return False
