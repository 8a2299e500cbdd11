"""`tinyrig run`: glue between the command line and an open run. Heavy imports wait inside the functions, because the command line
needs `add_parser` for --help.

Exit status: 1 when a claim failed on verified outputs, whatever else happened, because that says something about a model; else 3
when the rig left anything unmeasured; else 2 when a model is unusable; else 0. Every reason is reported in each case.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.command_line import add_budgets
from tinyrig.core.errors import EXIT_CLAIM, HostError, InfraError, ModelError, RigError, UserError, decisive

if TYPE_CHECKING:
    from tinyrig.analysis.evaluation import Evaluation
    from tinyrig.core.config import Config
    from tinyrig.core.deadlines import Deadline
    from tinyrig.core.plans import AskedModel, RunPlan
    from tinyrig.core.records import Run, Variant
    from tinyrig.host.progress import progress
    from tinyrig.measure.run import OpenRun
    from tinyrig.measure.variants import Said
    from tinyrig.store.runs import StoredRun


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    """The `run` command, for cli.py. What is left out with --resume is as when the run was begun."""
    parser = commands.add_parser("run", help="measure variants or a model on a board", epilog=exits)
    parser.add_argument("--board", action=_OneBoard, help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--variant", nargs="+", action="extend", metavar="NAME", help="built variants (default: all, built first if missing)"
    )
    what.add_argument(
        "--model",
        nargs="+",
        action="extend",
        metavar="FILE|NAME",
        help="models trained elsewhere: .tflite files, or names of [models.NAME] in rig.toml (default: all those)",
    )
    parser.add_argument(
        "--windows", type=Path, metavar="FILE", help="test windows of --model: .npz (x, y, class_names), .npy, CSV or trials"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of --windows in a file of their own: .npy or CSV")
    parser.add_argument("--output", metavar="NAME|N", help="which of several outputs the labels belong to")
    add_budgets(parser)
    parser.add_argument("--dataset", help="glove, watch, an .npz or a folder of CSV trials (default: rig.toml's)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument(
        "--oracle", choices=["tflm", "litert-ref", "numpy", "none"], help="whose outputs are right (default: rig.toml's, tflm)"
    )
    parser.add_argument("--optimise", choices=["speed", "size", "ram"], help="what counts first (default: rig.toml's)")
    parser.add_argument(
        "--engine", metavar="NAME|FOLDER", help="tinyrig (default), portable, cmsis-nn, or a folder: your own runtime"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue an interrupted run at its first unmeasured window (default: this board's newest)",
    )
    parser.add_argument("--energy", type=Path, metavar="FILE.csv", help="a recording of the marked inferences (docs/energy.md)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result (schema 1)")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit's XML for a CI: a test case for each claim")
    parser.add_argument("--no-report", action="store_true", help="print a line for each variant instead of writing the report")
    parser.set_defaults(command=main)


class _OneBoard(argparse.Action):
    """A run, its JSON and its report are of one board; a second one must not replace the first unsaid."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: str | None = None) -> None:
        if getattr(namespace, self.dest, None) is not None:
            parser.error("a run uses one board; `tinyrig nightly --board A B` measures several at the same time and judges them")
        setattr(namespace, self.dest, values)


def main(arguments: argparse.Namespace) -> int:
    """Runs, stores, reports; returns the exit status."""
    from tinyrig.core.config import load_config
    from tinyrig.core.deadlines import Deadline
    from tinyrig.energy.settings import with_trace
    from tinyrig.junit.runs import check_path, run_document, save, told_in

    check_path(arguments.junit)
    with told_in(arguments.junit, "run"):
        config = load_config()
        config = dataclasses.replace(config, optimise=arguments.optimise or config.optimise)
        deadline = Deadline("run_s", config.limits.run_s)
        plan, resume = _asked(arguments, config)
        config = dataclasses.replace(config, dataset=plan.dataset or config.dataset)
        if arguments.energy:
            config = with_trace(config, arguments.energy, len(plan.models or plan.variants))
        _check_writable(arguments.json)
        done = _read_back(_measure(plan, config, resume, deadline), config)
    if arguments.junit:
        save(arguments.junit, run_document(done.result, plan.board, () if done.lost is None else (done.lost,)))
    return _told(arguments, done, config)


def _asked(arguments: argparse.Namespace, config: Config) -> tuple[RunPlan, str | None]:
    """(what to measure, the id of the run to resume)."""
    from tinyrig.measure.resume import check_asked

    _check_words(arguments, config)
    resumed = _resumed(arguments, config)
    plan = _plan(arguments, config, resumed.plan if resumed else None)
    if resumed is None:
        return plan, None
    kept = resumed.plan
    check_asked(kept, plan, f"run {resumed.run_id}", config.boards)  # before anything is built for it
    plan = dataclasses.replace(plan, models=kept.models or plan.models, windows=kept.windows, budgets=kept.budgets)
    return plan, resumed.run_id


def _told(arguments: argparse.Namespace, done: _Done, config: Config) -> int:
    """The exit status, with the result written where it was asked for."""
    from tinyrig.analysis.run_json import run_to_json
    from tinyrig.api.result import line, notes, result_of
    from tinyrig.measure.reporting import write_report

    result, failures = done.result, done.failures
    document = run_to_json(result, done.evaluated)
    if arguments.json:
        _write(arguments.json, json.dumps(document, indent=1, allow_nan=False) + "\n")
    if done.lost is not None:
        print(f"tinyrig: {done.lost}", file=sys.stderr)
        return _verdict(result, (*failures, done.lost), config)
    if arguments.no_report and result.runs:
        found = [result_of(entry, result.run_id) for entry in document["runs"]]
        print("\n".join((*map(line, found), *notes(found))))
        print(f"stored as run {result.run_id}; `tinyrig report {result.run_id} --summary` writes its report")
    elif result.runs and write_report(result.run_id, config, "--summary"):
        failures = (*failures, _no_report(result.run_id))
    return _verdict(result, failures, config)


def _no_report(run_id: str) -> HostError:
    error = HostError(
        "the report could not be written, for the reason above",
        expected="a report of this run",
        remedy=f"the run is stored: tinyrig report {run_id} -o PATH",
    )
    print(f"tinyrig: {error}", file=sys.stderr)
    return error


# ---- what to do ----


def _check_words(arguments: argparse.Namespace, config: Config) -> None:
    if _foreign(arguments.board):
        return _check_foreign(arguments)
    models = arguments.model or (config.own_models and not (arguments.variant or arguments.dataset))
    if arguments.windows and not models and arguments.resume is None:
        raise UserError(
            "--windows needs --model",
            expected="--model FILE.tflite --windows FILE.npz",
            received="--windows alone",
            remedy="variants bring their own windows",
        )

    if arguments.labels and not arguments.windows and arguments.resume is None:
        raise UserError(
            "--labels needs --windows",
            expected="--windows x.npy --labels y.npy",
            received="--labels alone",
            remedy="name the windows that they belong to",
        )


def _foreign(board: str | None) -> bool:
    """Whether the board runs a firmware that somebody else built."""
    from tinyrig.core.boards import names_mlperf

    return names_mlperf(board or "")


def _check_foreign(arguments: argparse.Namespace) -> None:
    wrong = [f"--{name}" for name in ("engine", "resume", "energy") if getattr(arguments, name) is not None]
    if wrong:
        raise UserError(
            f"{wrong[0]} can't be used with a firmware that was built elsewhere",
            received=wrong[0],
            expected="--windows FILE.npz, and --model if known",
            remedy="leave it out; such a run always starts from the beginning",
        )
    if len(arguments.model or ()) > 1:
        raise UserError(
            "a firmware that was built elsewhere has one model",
            expected="one --model",
            received=", ".join(arguments.model),
            remedy="name the model that is on the board",
        )
    if not arguments.windows and not arguments.variant:
        raise UserError(
            "the board mlperf needs windows to run",
            expected="--windows FILE.npz [--model FILE.tflite]",
            received="none",
            remedy="see docs/mlperf.md for the form that each benchmark takes",
        )


def _resumed(arguments: argparse.Namespace, config: Config) -> StoredRun | None:
    """The run to resume, None for a new one."""
    if arguments.resume is None:
        return None
    from tinyrig.measure.resume import find_run
    from tinyrig.store.runs import Store

    with Store(config.results, must_exist=True) as store:
        return find_run(store, arguments.resume, arguments.board)


def _plan(arguments: argparse.Namespace, config: Config, earlier: RunPlan | None) -> RunPlan:
    """What is asked for. What is not named now is as it was when the `earlier` run was begun; what is named and differs is
    refused when that one is opened."""
    from tinyrig.core.plans import RunPlan
    from tinyrig.measure.variant import run_settings
    from tinyrig.measure.variants import Said, budgets_of, check_budgets

    earlier = earlier or RunPlan()
    before = earlier.settings or run_settings(config)
    said = Said(arguments.windows, arguments.labels, arguments.output, budgets_of(vars(arguments)))
    models = _models(arguments, config, said)
    own_windows = _foreign(arguments.board) or arguments.resume is not None  # else they go with the models
    if not models:
        _check_output(arguments.output, own_windows)
        check_budgets("variants", said.budgets, arguments.oracle or before.oracle)
    named = bool(arguments.model or arguments.variant)
    limit = before.limit if arguments.limit is None else arguments.limit
    return RunPlan(
        board=arguments.board or earlier.board or "virtual",
        dataset=arguments.dataset or earlier.dataset or config.dataset,
        variants=tuple(arguments.variant or ()) if named else earlier.variants,
        models=models or (() if named else earlier.models),
        windows=arguments.windows if own_windows else None,
        labels=arguments.labels if own_windows else None,
        output=arguments.output if own_windows else None,
        budgets=said.budgets or earlier.budgets,
        settings=run_settings(config, arguments.engine or before.engine, limit, arguments.oracle or before.oracle),
        nightly=None if named else earlier.nightly,
    )


def _check_output(output: str | None, resumed: bool) -> None:
    if output is not None and not resumed:
        raise UserError(
            "--output needs --model",
            expected="--model FILE.tflite --output NAME",
            received=f"--output {output} alone",
            remedy="built variants have one output",
        )


def _models(arguments: argparse.Namespace, config: Config, said: Said) -> tuple[AskedModel, ...]:
    """Those that are named; where nothing is, all of rig.toml's."""
    from tinyrig.measure.variants import asked_models

    anything = arguments.variant or arguments.dataset or arguments.resume is not None or _foreign(arguments.board)
    if arguments.model or (config.own_models and not anything):
        return asked_models(arguments.model or (), said, config, arguments.oracle)
    return ()


def _variants(plan: RunPlan, config: Config, deadline: Deadline) -> list[Variant]:
    from tinyrig.measure.variants import built_variants, own_variants

    if plan.models:
        return own_variants(plan.models)
    if _foreign(plan.board) and plan.windows and not plan.variants:
        from tinyrig.mlperf.bench import mlperf_variant

        built = [mlperf_variant(plan.windows)]
    else:
        built = built_variants(config, plan.variants, deadline)
    return [dataclasses.replace(variant, budgets=plan.budgets) for variant in built]


def _check_writable(path: Path | None) -> None:
    """Before any work is done for it."""
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(
            f"--json can't be written to {path}",
            expected="a file in a folder that exists",
            received=str(path),
            remedy="name another file",
        )


# ---- doing it ----


@dataclasses.dataclass(frozen=True)
class _Done:
    """The run as stored, what was computed of it by variant, and why variants could not be measured. `lost`: why it is not
    stored; then the run is as this process knows it."""

    result: Run
    evaluated: Mapping[str, Evaluation]
    failures: tuple[RigError, ...]
    lost: RigError | None = None


def _measure(plan: RunPlan, config: Config, resume: str | None, deadline: Deadline) -> _Done:
    """A variant that fails does not stop the others."""
    from tinyrig.core.boards import parse_board
    from tinyrig.host.progress import progress
    from tinyrig.host.signals import alarm
    from tinyrig.measure.run import measuring
    from tinyrig.tables.database import LostDatabase

    target = parse_board(plan.board, config.boards)
    variants, done = _variants(plan, config, deadline), None
    try:
        with (
            progress(len(variants)) as bar,
            alarm(deadline),
            measuring(target, config, plan, resume=resume, deadline=deadline) as open_run,
        ):
            try:
                open_run.check_finished(variants)
                for variant in variants:
                    _run_one(open_run, variant, bar)
                done = _done(open_run)
            except BaseException as error:
                if not isinstance(error, UserError) and not _foreign(plan.board):
                    _hint(open_run.run_id, config)
                raise
    except LostDatabase as lost:
        if done is None:
            raise
        return dataclasses.replace(done, lost=lost)
    if open_run.has_rig_fault and not _foreign(plan.board):
        _hint(open_run.run_id, config)
    return done


def _done(open_run: OpenRun) -> _Done:
    failures = tuple(open_run.failed.values())
    try:
        return _Done(open_run.result(), open_run.evaluated, failures)
    except InfraError as lost:
        return _Done(open_run.known(), open_run.evaluated, failures, lost)


def _read_back(done: _Done, config: Config) -> _Done:
    """ "Stored" is said of what was found again in the database at its path."""
    from tinyrig.store.runs import Store

    if done.lost is not None or not done.result.runs:
        return done
    try:
        with Store(config.results, must_exist=True) as store:
            again = store.load(done.result.run_id)
    except RigError as error:
        return dataclasses.replace(done, lost=_not_there(done.result.run_id, str(error)))
    if [(m.variant.name, m.samples) for m in again.runs] == [(m.variant.name, m.samples) for m in done.result.runs]:
        return done
    names = ", ".join(m.variant.name for m in again.runs) or "none"
    return dataclasses.replace(done, lost=_not_there(done.result.run_id, f"variants {names}"))


def _not_there(run_id: str, received: str) -> InfraError:
    return InfraError(
        f"run {run_id} can't be read back from the results database: it is not stored",
        expected="what was measured, in the file that was opened",
        received=received,
        remedy="find out who changes or deletes the database while a run is under way, then measure again",
    )


def _run_one(open_run: OpenRun, variant: Variant, bar: progress) -> None:
    """A fault of the rig or of this model leaves this variant unmeasured; any other mistake of the user's ends the command."""
    try:
        open_run.run(variant)
    except RigError as error:
        if isinstance(error, UserError) and not isinstance(error, ModelError):
            raise
        print(f"tinyrig: {variant.name}: not measured: {error}", file=sys.stderr)
    bar.step()


def _hint(run_id: str, config: Config) -> None:
    from tinyrig.measure.resume import go_on

    print(f"tinyrig: {go_on(config.results, f'tinyrig run --resume {run_id}', run=run_id)}", file=sys.stderr)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        remedy = "the run is stored all the same; `tinyrig run --resume RUN --json FILE` writes it without measuring again"
        raise HostError(f"--json can't be written to {path}", received=str(error), remedy=remedy) from error


def _verdict(result: Run, failures: Sequence[RigError], config: Config) -> int:
    """Each failed claim is named on stderr, and each budget that could not be judged; those of a run from before they were kept
    are judged now."""
    from tinyrig.analysis.evaluation import evaluate
    from tinyrig.core.records import ClaimStatus
    from tinyrig.measure.claims import budget_error, judge

    codes = {e.exit_code for e in failures}
    for run in result.runs:
        claims = run.claims or judge(run, evaluate(run), config)
        for claim in (c for c in claims if c.status == ClaimStatus.FAILED):
            print(f"tinyrig: claim failed: {run.variant.name}: {claim.name}: {claim.reason}", file=sys.stderr)
            codes.add(EXIT_CLAIM)
        if (error := budget_error(run, claims)) is not None:
            print(f"tinyrig: {error}", file=sys.stderr)
            codes.add(error.exit_code)
    return decisive(codes)
