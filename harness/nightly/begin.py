"""A night begins: what is asked for, checked and stored, or one that was cut off, to be resumed. And how it ends early."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tinyrig.board.resolve import identity
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_RIG, InfraError, RigError, UserError
from tinyrig.core.records import Variant
from tinyrig.host.locks import Locks
from tinyrig.measure.variants import built_variants, model_variants
from tinyrig.nightly.plan import BegunNight, NightPlan, iso, new_night_id, utc_now
from tinyrig.nightly.resume import cut_off_before, find_night, night_key
from tinyrig.store.decisions import begin_night, end_night
from tinyrig.store.runs import Store


@dataclass(frozen=True)
class NightRequest:
    """What the command line says, by the names of its options; None: nothing."""

    board: Sequence[str] | None = None
    variant: Sequence[str] | None = None
    model: Sequence[Path] | None = None
    windows: Path | None = None
    limit: int | None = None
    oracle: str | None = None
    engine: str | None = None


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
    given = [f"--{f.name}" for f in fields(request) if getattr(request, f.name) is not None]
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
    named = bool(request.variant or request.model)
    models = tuple(request.model or ()) if named else tuple(map(Path, night.models))
    windows = request.windows or (Path(night.windows) if night.windows and not named else None)
    if windows and not models:
        raise UserError(
            "windows need models",
            expected="--model FILE.tflite --windows FILE.npz",
            received="windows alone",
            remedy="variants bring their own windows",
        )
    variants = tuple(request.variant or (() if named else night.variants))
    engine = request.engine or "tinyrig"
    return NightPlan(boards, variants, models, windows if models else None, request.limit, request.oracle, engine)


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
    """What is measured; built variants that are missing are built. Raises UserError for two models of one name."""
    if not plan.models:
        return built_variants(config, plan.variants, Deadline("run_s", config.limits.run_s))
    found = model_variants(plan.models, plan.windows)
    twice = [v.name for i, v in enumerate(found) if v.name in [w.name for w in found[:i]]]
    if twice:
        raise UserError(
            "two models have the same name",
            expected="a different file name for each",
            received=twice[0],
            remedy="rename one: a variant's history goes by its name",
        )
    return found


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
