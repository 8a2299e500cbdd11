"""Resuming a night that was cut off: which one, what was asked for, and which runs each board has of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from tinyrig.core.errors import UserError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Night, RunState
from tinyrig.host.locks import is_held
from tinyrig.nightly.plan import NightPlan
from tinyrig.store.history import nights
from tinyrig.store.night_cells import one_night
from tinyrig.store.runs import Store, StoredRun


def night_key(night_id: str) -> str:
    """Of the lock that a process holds on the night it makes."""
    return f"night {night_id}"


@dataclass(frozen=True)
class Resumed:
    """`runs`: for each board those it has, the first run first. `dataset`: whose variants are measured."""

    night: Night
    plan: NightPlan
    dataset: str
    runs: dict[str, tuple[str, ...]]


def find_night(store: Store, wanted: str) -> Resumed:
    """The night `wanted` (an id or its beginning), the newest for an empty text. Raises UserError where there is nothing to
    resume."""
    night = one_night(store, wanted, "leave out --resume for a new night")
    runs = _runs(store, night)
    if not is_unfinished(night, runs):
        raise UserError(
            f"night {night.night_id} has nothing to resume",
            expected="one in which something was cut off",
            received=night.summary or "a finished night",
            remedy="leave out --resume for a new night",
        )
    planned = next((run.plan for run in runs if run.plan.nightly), None)
    if planned is None:
        raise UserError(
            f"night {night.night_id} was cut off before anything was measured",
            expected="a run that was begun",
            received="none",
            remedy="leave out --resume for a new night",
        )
    return Resumed(night, _plan(night, planned), planned.dataset or "", _by_board(runs))


def cut_off_before(store: Store) -> str:
    """What must be said of the newest night when another one begins: it was cut off, and how to continue it. Empty: nothing."""
    night = next(iter(nights(store)), None)
    if night is None or is_held(night_key(night.night_id)):
        return ""
    runs = _runs(store, night)
    if night.finished is not None and not (night.cut_off and runs):
        return ""  # what ended it before it had begun to measure was reported then
    if any(run.plan.host not in (None, platform.node()) for run in runs):
        return ""  # locks hold on one host: nobody here knows whether it is under way there
    kept = f"{len(runs)} of its runs {'is' if len(runs) == 1 else 'are'} kept"
    how = f"; to continue it: tinyrig nightly --resume {night.night_id}" if runs else ""
    return f"the night of {night.started} was cut off, and says nothing about what it did not judge; {kept}{how}"


def is_unfinished(night: Night, runs: list[StoredRun]) -> bool:
    """A run that is not finished is one in which the rig failed or a process was killed."""
    return night.finished is None or night.cut_off or any(run.state != RunState.FINISHED for run in runs)


def _runs(store: Store, night: Night) -> list[StoredRun]:
    """The night's, first runs before reruns."""
    known = {run.run_id: run for run in store.runs()}
    order = sorted(zip(night.reruns, night.runs, strict=True), key=lambda pair: pair[0])
    return [known[run_id] for _, run_id in order if run_id in known]


def _by_board(runs: list[StoredRun]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for run in runs:
        board = run.plan.board
        found[board] = (*found.get(board, ()), run.run_id)
    return found


def _plan(night: Night, planned: RunPlan) -> NightPlan:
    more = planned.nightly
    assert more is not None  # find_night() looked for one
    return NightPlan(night.boards, planned.variants, planned.models, planned.budgets, more.limit, more.oracle, more.engine)
