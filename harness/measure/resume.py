"""Resuming a run that was interrupted: which run, and whether it is still the same one."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from tinyrig.core.boards import names_mlperf, parse_own_board
from tinyrig.core.errors import RigError, UserError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import BoardInfo, Image, Measurement, RunState
from tinyrig.host.locks import is_held
from tinyrig.store.runs import Store, StoredRun

_WHAT = {
    "model_sha256": "the model",
    "build_id": "the firmware image",
    "windows_sha256": "the test windows",
    "board": "the kind of board",
    "board_id": "the board",
    "engine": "the engine",
    "limit": "the number of windows (--limit)",
    "oracle": "the oracle",
    "repeats": "the setting `repeats`",
    "seed": "the setting `seed`",
    "optimise": "the setting `optimise`",
    "float_tolerance": "the setting `float_tolerance`",
    "accuracy_drop": "the setting `accuracy_drop`",
    "memory": "the setting `memory`",
}
"""Fields of a Subject and its settings, in the order in which differences are reported."""


def run_key(run_id: str) -> str:
    """Of the lock that a process holds on the run it makes."""
    return f"run {run_id}"


def check_same(kept: Mapping[str, Any], now: Mapping[str, Any], whose: str) -> None:
    """Raises UserError for the first thing that both know of and that differs: results of two things are never merged."""
    for key, what in _WHAT.items():
        if key in kept and key in now and kept[key] != now[key]:
            raise UserError(
                f"can't resume {whose}: {what} has changed",
                expected=f"{kept[key]}, as when the run was begun",
                received=str(now[key]),
                remedy="restore it, or start a new run without --resume",
            )


_ASKED = {
    "dataset": ("another dataset", "--dataset", ""),
    "variants": ("other variants", "--variant", "all built variants"),
    "models": ("another model", "--model", "built variants"),
    "windows": ("other windows", "--windows", "those that variants bring, or random ones"),
    "labels": ("other labels", "--labels", "those of the windows file"),
    "output": ("another output", "--output", "the one that fits the labels"),
    "budgets": ("other budgets", "budgets", "none"),
}
"""What a plan names -> in words, the option that names it, and what an empty one means."""


def _named(plan: RunPlan) -> dict[str, Any]:
    """By the keys of _ASKED."""
    windows = {plan.windows, *(model.windows for model in plan.models)}
    labels = {plan.labels, *(model.labels for model in plan.models)}
    outputs = {plan.output, *(model.output for model in plan.models)} - {None}
    budgets = {model.name: model.budgets for model in plan.models} | {"variants": plan.budgets}
    return {
        "dataset": plan.dataset,
        "variants": list(plan.variants),
        "models": [str(model.file.absolute()) for model in plan.models],
        "windows": sorted(str(path.absolute()) for path in windows if path),
        "labels": sorted(str(path.absolute()) for path in labels if path),
        "output": sorted(map(str, outputs)),
        "budgets": [f"{name} {key} {value}" for name, of in budgets.items() for key, value in of.to_json().items()],
    }


def check_asked(kept: RunPlan, asked: RunPlan, whose: str, entries: Mapping[str, Any] | None = None) -> None:
    """A resumed run is what it was begun with: raises UserError for the first thing that `asked` names and that differs.
    `entries`: rig.toml's [boards]."""
    if not kept.board:
        return  # of a run from before plans were kept
    before, now = _named(kept), _named(asked)
    for key, (what, option, unnamed) in _ASKED.items():
        was, named = before[key], now[key]
        if not named or (not was and not unnamed) or _same_things(was, named):
            continue
        raise UserError(
            f"can't resume {whose}: it was begun with {what}",
            expected=_listed(was) or unnamed,
            received=_listed(named),
            remedy=f"leave {option} out, or start a new run without --resume",
        )
    if asked.board and _other_board(kept.board, asked.board, entries):
        raise UserError(
            f"can't resume {whose}: it was begun on another board",
            expected=kept.board,
            received=asked.board,
            remedy="leave --board out, or start a new run without --resume",
        )


def _same_things(was: Any, named: Any) -> bool:
    """A list says what, not in which order."""
    if isinstance(was, list) and isinstance(named, list):
        return sorted(map(str, was)) == sorted(map(str, named))
    return bool(was == named)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _other_board(planned: str, board: str, entries: Mapping[str, Any] | None) -> bool:
    """Where both name one: the same board may come back at another port. Its id is checked when it answers."""
    try:
        there, here = parse_own_board(planned, entries), parse_own_board(board, entries)
    except UserError:
        return False  # a name that rig.toml no longer has
    return None not in (there.board, here.board) and (there.board, there.number) != (here.board, here.number)


def finished_facts(run: Measurement) -> dict[str, Any]:
    """What is checked of a finished measurement, as far as it was kept."""
    windows = run.settings.windows_sha256
    return {**image_facts(run.image), **board_facts(run.board), **({"windows_sha256": windows} if windows else {})}


def image_facts(image: Image) -> dict[str, Any]:
    return {"model_sha256": image.model_sha256, "build_id": image.build_id}


def board_facts(board: BoardInfo) -> dict[str, Any]:
    return {"board": board.name, "board_id": board.id}


def find_run(store: Store, wanted: str, board: str | None, bench: bool = False) -> StoredRun:
    """The run `wanted` (an id or its beginning), or the newest unfinished one of `board` that nobody is making.

    `bench`: one of built variants, because bench/ knows no others. Raises UserError.
    """
    runs = store.runs()
    if wanted:
        run_id = store.resolve(wanted)  # of whatever host: who names it knows
        return _of_built(_ours(next(r for r in runs if r.run_id == run_id)), bench)
    board = board or "virtual"
    candidates = [r for r in runs if not names_mlperf(r.plan.board)]
    candidates = [r for r in candidates if _unfinished(r) and _of_this_host(r) and _same_board(r, board)]
    candidates = [r for r in candidates if not (bench and r.plan.models)]
    free = next((r for r in candidates if not is_held(run_key(r.run_id))), None)
    if free is None:
        raise UserError(
            f"there is no run to resume on board {board}",
            expected=f"an interrupted one, in {store.url}",
            received=f"{len(candidates)} under way in other processes" if candidates else "none",
            remedy="leave out --resume to start a new one, or name a run: --resume RUN",
        )
    return free


def _ours(run: StoredRun) -> StoredRun:
    if names_mlperf(run.plan.board):
        raise UserError(
            f"run {run.run_id} can't be resumed",
            expected="a run of our own firmware",
            received=run.plan.board,
            remedy="measure again without --resume",
        )
    return run


def _of_built(run: StoredRun, bench: bool) -> StoredRun:
    if bench and run.plan.models:
        raise UserError(
            f"run {run.run_id} is not one of built variants",
            expected="a run of pytest bench/ or of tinyrig run without --model",
            received=f"a run of {_listed([model.file for model in run.plan.models])}",
            remedy=f"tinyrig run --resume {run.run_id}",
        )
    return run


def _unfinished(run: StoredRun) -> bool:
    """One that said it was interrupted and holds nothing failed at its first step: there is nothing to resume."""
    holds = bool(run.open_samples or run.variants or run.not_measured)
    return run.state == RunState.OPEN or (run.state == RunState.INTERRUPTED and holds)


def _of_this_host(run: StoredRun) -> bool:
    """Locks hold on one host: of a run that another one shares the database for, nobody here knows whether it is under way."""
    return run.plan.host in (None, platform.node())


def _same_board(run: StoredRun, board: str) -> bool:
    """By name where both have one: a board may come back at another port. Its id is checked when it answers."""
    planned = run.plan.board
    if planned == board:
        return True
    try:
        there, here = parse_own_board(planned).board, parse_own_board(board).board
    except UserError:
        return False
    return there is not None and there == here


# ---- what an interrupted command says ----


def go_on(results: str, command: str, *, run: str = "", night: str = "") -> str:
    """How to continue `run` or `night`, and whether anything of it is measured and kept, as far as the database says."""
    try:
        with Store(results, must_exist=True, busy_s=_SAY_S) as store:
            mine = [r for r in store.runs() if (run and r.run_id == run) or (night and r.plan.night == night)]
    except RigError:
        return f"continue with: {command}"  # what is kept can't be seen now
    if any(r.variants or r.open_samples for r in mine):
        return f"measured data is kept; continue with: {command}"
    return f"nothing was measured yet; continue with: {command}"


_SAY_S = 2.0
"""A database that another process holds is not waited for only to word a message."""
