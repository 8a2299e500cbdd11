"""The Optuna study of a search: its storage, what was tried, which trials were cut off, and the Pareto front."""

from __future__ import annotations

import dataclasses
import os
import socket
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import HostError, InfraError, UserError
from tinyrig.places.remedies import extra
from tinyrig.search.candidate import CandidateResult
from tinyrig.search.plan import SearchPlan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

OBJECTIVES = {"accuracy": "maximize", "latency_us": "minimize", "ram_bytes": "minimize", "flash_bytes": "minimize"}
NAME, REASON, STAGE, WORKER, PLAN = "name", "reason", "stage", "worker", "plan"
MEASURED, EXCESS, LIMITS = "measured", "excess", "limits"
OWNERLESS_S = 60.0
"""A trial gets its owner right after it is made; one that still has none was cut off there."""
BEAT_S, GRACE_S = 20, 180
"""A trial under way gives a sign of life so often; whoever sees one that gave none for so long, of whatever host, ends it."""


def optuna() -> Any:
    """The package, quiet. Raises HostError where it is missing."""
    try:
        import optuna
    except ImportError as error:
        raise HostError("Optuna is missing", received=str(error), remedy=extra("search")) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # its version is pinned
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")  # see beat()
    return optuna


def storage_url(storage: str | None, folder: Path) -> str:
    """The user's SQLAlchemy URL, or a SQLite file in the study's folder."""
    return storage or f"sqlite:///{folder / 'study.db'}"


def open_study(name: str, url: str, plan: SearchPlan, resume: bool, startup: int) -> Study:
    """The study, made where it is new and resumed only where its plan is the same; the first `startup` trials are random.

    Raises UserError (exists and wasn't asked for, another plan, bad URL) and HostError (the storage can't be opened).
    """
    package = optuna()
    storage = _storage(url)
    exists = name in package.get_all_study_names(storage)
    if exists and not resume:
        raise UserError(
            f"a search named {name} exists",
            expected="a new name, or --resume",
            received=name,
            remedy=f"continue it: tinyrig search --study {name} --resume; or choose another --study",
        )
    tried = len(package.load_study(study_name=name, storage=storage).trials) if exists else 0
    seed = plan.seed + tried  # not the same candidates once more
    sampler = package.samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True)
    study: Study = package.create_study(
        storage=storage, sampler=sampler, study_name=name, directions=list(OBJECTIVES.values()), load_if_exists=True
    )
    _check_plan(study, plan)
    return study


def _check_plan(study: Study, plan: SearchPlan) -> None:
    """Of a resumed study that it is the same, of a new one that it is kept."""
    known, now = study.user_attrs.get(PLAN), plan.stored()
    if known is None:
        study.set_metric_names(list(OBJECTIVES))
        study.set_user_attr(PLAN, now)
    elif differences := [f"{k}: {known.get(k)!r} then, {v!r} now" for k, v in now.items() if known.get(k) != v]:
        raise UserError(
            f"the search {study.study_name} was started with other settings",
            expected="the same data, seed, epochs and budgets",
            received="; ".join(differences),
            remedy="leave those options as they were, or choose another --study",
        )


def violation(values: Mapping[str, Any], min_accuracy: float | None) -> float:
    """How far a measured candidate is below the floor, for the sampler: above 0 what can't stand on the front."""
    if is_above_floor(values, min_accuracy):
        return 0.0
    return float(max(1e-9, floor_of(values, min_accuracy) - values["accuracy"]))


def floor_of(values: Mapping[str, Any], min_accuracy: float | None) -> float:
    """The accuracy (0 to 1) asked of a measured candidate: `min_accuracy` in percent, else that of always naming one class."""
    return float(values.get("chance", 0.0)) if min_accuracy is None else min_accuracy / 100


def is_above_floor(values: Mapping[str, Any], min_accuracy: float | None) -> bool:
    """At least what was asked for; and better than chance where nothing was."""
    floor, accuracy = floor_of(values, min_accuracy), float(values["accuracy"])
    return accuracy >= floor if min_accuracy is not None else accuracy > floor or not floor


def known_plan(name: str, url: str) -> dict[str, Any] | None:
    """What a study was begun with; None where there is no such study."""
    package = optuna()
    storage = _storage(url)
    if name not in package.get_all_study_names(storage):
        return None
    return dict(package.load_study(study_name=name, storage=storage).user_attrs.get(PLAN) or {})


def _storage(url: str) -> RDBStorage:
    package = optuna()
    url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
        opened: RDBStorage = package.storages.RDBStorage(
            url, engine_kwargs=options, heartbeat_interval=BEAT_S, grace_period=GRACE_S
        )
        return opened
    except Exception as error:  # whatever the database's driver raises
        raise HostError(
            "the search's storage can't be opened",
            expected="a SQLAlchemy URL of SQLite or PostgreSQL",
            received=f"{type(error).__name__}: {error}"[:500],
            remedy="check --storage; PostgreSQL needs tinyrig[postgres]",
        ) from error


@contextmanager
def watched() -> Iterator[None]:
    """Raises HostError where the storage is lost on the way."""
    from sqlalchemy.exc import SQLAlchemyError

    lost = SQLAlchemyError, optuna().exceptions.StorageInternalError  # now: what interrupts may have interrupted an import
    try:
        yield
    except lost as error:
        raise HostError(
            "the search's storage was lost",
            expected="a database that stays reachable",
            received=f"{type(error.__cause__ or error).__name__}: {error.__cause__ or error}"[:500],
            remedy="when it is back, continue with --resume: finished trials are kept",
        ) from error


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def begin(trial: Trial, name: str) -> None:
    trial.set_user_attr(NAME, name)


def beat(study: Study, trials: Iterable[Trial]) -> None:
    """The sign of life of trials under way, which Optuna gives by itself only where it runs them too."""
    storage: Any = study._storage  # Optuna's only way to it
    for trial in trials:
        storage.record_heartbeat(trial._trial_id)


def end_cut_off(study: Study) -> int:
    """Ends the trials that a dead process of this host left running, and those of any host that has given no sign of life; their
    number."""
    package = optuna()
    running = study.get_trials(deepcopy=False, states=[package.trial.TrialState.RUNNING])
    package.storages.fail_stale_trials(study)
    for trial in filter(_is_dead, running):
        study.tell(trial.number, state=package.trial.TrialState.FAIL, skip_if_finished=True)
    after = study.get_trials(deepcopy=False, states=[package.trial.TrialState.RUNNING])
    return len({t.number for t in running} - {t.number for t in after})


def _is_dead(trial: FrozenTrial) -> bool:
    host, _, pid = str(trial.user_attrs.get(WORKER, ":")).rpartition(":")
    if not pid:
        return trial.datetime_start is not None and (datetime.now() - trial.datetime_start).total_seconds() > OWNERLESS_S
    if not pid.isdigit() or host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that say something: measured, or given up for a reason."""
    states = optuna().trial.TrialState
    return study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED])


@contextmanager
def _unless_ended() -> Iterator[None]:
    """What this process was too silent about is no longer its own: another has ended it and tries something in its place."""
    with suppress(optuna().exceptions.UpdateFinishedTrialError):
        yield


def tell_measured(study: Study, trial: Trial, found: CandidateResult) -> None:
    values = dataclasses.asdict(found)
    with _unless_ended():
        trial.set_constraint(LIMITS, violation(values, study.user_attrs[PLAN].get("min_accuracy")))
        trial.set_user_attr(MEASURED, values)
        study.tell(trial, [values[name] for name in OBJECTIVES], skip_if_finished=True)


def next_trial(study: Study, count: int) -> Trial | None:
    """A new trial; None where `count` are finished or under way, on any host that shares the study."""
    optuna().storages.fail_stale_trials(study)
    if _begun(study, None) >= count:
        return None
    trial = study.ask()
    trial.set_user_attr(WORKER, worker_name())
    beat(study, [trial])
    if _begun(study, trial.number) < count:
        return trial
    study.tell(trial, state=optuna().trial.TrialState.FAIL)  # another host was faster
    return None


def _begun(study: Study, before: int | None) -> int:
    states = optuna().trial.TrialState
    trials = study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED, states.RUNNING])
    return sum(before is None or t.number < before for t in trials)


def tell_given_up(study: Study, trial: Trial, stage: str, reason: str, excess: float = 1.0) -> None:
    """`excess`: how far it is beyond its limits, which the sampler learns."""
    with _unless_ended():
        trial.set_user_attr(EXCESS, excess)
        trial.set_constraint(LIMITS, excess)
        trial.set_user_attr(STAGE, stage)
        trial.set_user_attr(REASON, reason)
        study.tell(trial, state=optuna().trial.TrialState.PRUNED, skip_if_finished=True)


def tell_failed(study: Study, trial: Trial, reason: str) -> None:
    """The rig's fault: nothing is known of the candidate."""
    with _unless_ended():
        trial.set_user_attr(REASON, reason)
        study.tell(trial, state=optuna().trial.TrialState.FAIL, skip_if_finished=True)


def entries(study: Study) -> list[dict[str, Any]]:
    """Each finished trial: number, name, state, and what was measured or why not."""
    found = []
    for trial in sorted(finished(study), key=lambda t: t.number):
        attrs = trial.user_attrs
        found.append(
            {
                "number": trial.number,
                "name": attrs.get(NAME, ""),
                "state": trial.state.name.lower(),
                "seconds": trial.duration.total_seconds() if trial.duration else None,
                "stage": attrs.get(STAGE),
                "reason": attrs.get(REASON),
                "excess": attrs.get(EXCESS, 1.0),
                **(attrs.get(MEASURED) or {}),
            }
        )
    return found


def same(study: Study, name: str) -> dict[str, Any] | None:
    """The finished trial, of any host, of this candidate."""
    return next((e for e in entries(study) if e["name"] == name), None)


def front(found: Iterable[Mapping[str, Any]], min_accuracy: float | None = None) -> list[Mapping[str, Any]]:
    """The measured ones above the floor that none other dominates, most accurate first; of equals in all objectives the first."""
    complete = [e for e in found if e["state"] == "complete" and is_above_floor(e, min_accuracy)]
    unique = list({tuple(e[name] for name in OBJECTIVES): e for e in reversed(complete)}.values())
    kept = [e for e in unique if not any(dominates(other, e) for other in unique)]
    return sorted(kept, key=lambda e: (-e["accuracy"], e["latency_us"]))


def dominates(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    gains = [(a[n] - b[n]) * (1 if direction == "maximize" else -1) for n, direction in OBJECTIVES.items()]
    return all(g >= 0 for g in gains) and any(g > 0 for g in gains)


def check_board(found: Iterable[Mapping[str, Any]]) -> None:
    """Raises InfraError where trials were measured on boards whose numbers can't be compared."""
    kinds = sorted({f"{e['board']} ({e['timing']})" for e in found if e["state"] == "complete"})
    if len(kinds) > 1:
        raise InfraError(
            "this search has trials of different boards",
            expected="one kind of board",
            received=", ".join(kinds),
            remedy="start a separate search for each",
        )
