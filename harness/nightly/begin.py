"""A night begins: what is asked for, checked and stored, or one that was cut off, to be resumed. And how it ends early."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tinyrig.board.resolve import identity
from tinyrig.budget.budgets import Budgets
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_RIG, InfraError, RigError, UserError
from tinyrig.core.plans import AskedModel
from tinyrig.core.records import Variant
from tinyrig.host.locks import Locks
from tinyrig.measure.variants import (
    Said,
    asked_model,
    asked_models,
    budgets_of,
    built_variants,
    check_budgets,
    checked_models,
    own_variants,
)
from tinyrig.nightly.plan import BegunNight, NightPlan, iso, new_night_id, utc_now
from tinyrig.nightly.resume import cut_off_before, find_night, night_key
from tinyrig.store.decisions import begin_night, end_night
from tinyrig.store.runs import Store


@dataclass(frozen=True)
class NightRequest:
    """What the command line says, by the names of its options; None: nothing."""

    board: Sequence[str] | None = None
    variant: Sequence[str] | None = None
    model: Sequence[str] | None = None
    windows: Path | None = None
    labels: Path | None = None
    output: str | None = None
    limit: int | None = None
    oracle: str | None = None
    engine: str | None = None
    min_accuracy: str | None = None
    max_accuracy_drop: str | None = None
    max_latency: str | None = None
    max_ram: str | None = None
    max_flash: str | None = None


def begin(request: NightRequest, config: Config, locks: Locks) -> BegunNight:
    """A new night, locked, so that nobody resumes it meanwhile. Raises UserError before anything is measured."""
    plan = night_plan(request, config)
    started = utc_now()
    with Store(config.results) as store:
        night = BegunNight(plan, config, new_night_id(started), iso(started), cut_off_before=cut_off_before(store))
        locks.take(night_key(night.night_id), f"night {night.night_id}", InfraError)
        begin_night(store, night.night_id, night.started, plan.boards)
    return night


def resume(wanted: str, request: NightRequest, config: Config, locks: Locks) -> BegunNight:
    """The night `wanted` (an id or its beginning; empty: the newest), as it was asked for: raises UserError for any wish."""
    given = [f"--{f.name.replace('_', '-')}" for f in fields(request) if getattr(request, f.name) is not None]
    if given:
        raise UserError(
            "a resumed night keeps its settings",
            expected="--resume alone",
            received=", ".join(given),
            remedy="leave that out, or start a new night without --resume",
        )
    with Store(config.results, must_exist=True) as store:
        found = find_night(store, wanted)
        locks.take(night_key(found.night.night_id), f"night {found.night.night_id}", InfraError)
    config = replace(config, dataset=found.dataset)
    _check_boards(found.plan.boards, config)
    return BegunNight(found.plan, config, found.night.night_id, found.night.started, found.runs)


def night_plan(request: NightRequest, config: Config) -> NightPlan:
    """Command line, else rig.toml. Raises UserError for what can't be used."""
    night = config.nightly
    boards = tuple(dict.fromkeys(request.board or night.boards or tuple(config.boards) or ("virtual",)))
    _check_boards(boards, config)
    budgets = budgets_of(vars(request))
    models = _models(request, config, budgets)
    if request.windows and not models:
        raise UserError(
            "windows need models",
            expected="--model FILE.tflite --windows FILE.npz",
            received="windows alone",
            remedy="variants bring their own windows",
        )
    variants = () if models else tuple(request.variant or night.variants)
    if not models:
        check_budgets("all variants", budgets, request.oracle or config.oracle)
    return NightPlan(boards, variants, models, budgets, request.limit, request.oracle, request.engine or "tinyrig")


def _models(request: NightRequest, config: Config, budgets: Budgets) -> tuple[AskedModel, ...]:
    """Those of the command line, else of [nightly], else all of [models]; none where variants are asked for."""
    night, said = config.nightly, Said(request.windows, request.labels, request.output, budgets)
    if request.variant:
        return ()
    if request.model:
        return asked_models(request.model, said, config, request.oracle)
    if night.variants or not (night.models or config.own_models):
        return ()
    found = [asked_model(word, said, config) for word in night.models or config.own_models]
    shared = Path(night.windows) if night.windows else None
    found = [replace(model, windows=model.windows or shared) for model in found]
    return checked_models(found, request.oracle or config.oracle)


def _check_boards(boards: Sequence[str], config: Config) -> None:
    """Raises UserError for one that is not known, and for one that is named twice: their histories would be one."""
    seen: dict[str, str] = {}
    for board in boards:
        for what in identity(parse_board(board, config.boards), config):
            if what in seen:
                raise UserError(
                    f"{seen[what]} and {board} are one board",
                    expected="each board once",
                    received=f"{what} for both",
                    remedy='leave one out; several virtual boards differ by their numbers: virtual#1, or kind = "virtual#1"',
                )
            seen[what] = board


def night_variants(plan: NightPlan, config: Config) -> list[Variant]:
    """What is measured; built variants that are missing are built. Raises UserError."""
    if plan.models:
        return own_variants(plan.models)
    built = built_variants(config, plan.variants, Deadline("run_s", config.limits.run_s))
    return [replace(variant, budgets=plan.budgets) for variant in built]


def end_cut_off(night: BegunNight, error: BaseException) -> str:
    """Stores that the night was cut off by `error`, where that can be stored; how to continue it, empty where nothing is there to
    be resumed."""
    code = error.exit_code if isinstance(error, RigError) else EXIT_RIG
    summary = f"cut off: {type(error).__name__}: {error}"[:500]
    with suppress(RigError), Store(night.config.results) as store:
        end_night(store, night.night_id, iso(utc_now()), code, summary, cut_off=True)
        find_night(store, night.night_id)
        return f"tinyrig nightly --resume {night.night_id}"
    return ""
