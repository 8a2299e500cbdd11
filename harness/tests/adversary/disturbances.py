"""Files that are swapped, processes that are killed and signals, at random points of a run on the virtual board; then --resume.
Whatever happens, the numbers in the end are those of the undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.records import RunState
from tinyrig.tests import small_models, user_home
from tinyrig.tests.adversary import invariants
from tinyrig.tests.adversary.attack import Attack, Attacker, Place
from tinyrig.tests.adversary.command import Command, Outcome
from tinyrig.tests.processes import children

GOOD, CLAIM, USER, RIG = 0, 1, 2, 3
WORDS = ("run", *user_home.MODEL, "--no-report", "--json", "out.json")
RATES = ("0", "60000", "30000")
"""Of the line: a slow one makes the time of measuring the longer part."""
VIRTUAL = "tinyrig.virtual"


def _numbers(path: Path) -> dict[str, Any]:
    return user_home.numbers(path)


@cache
def whole() -> dict[str, dict[str, Any]]:
    """The undisturbed run's numbers, and those of the other model and windows, by model and windows. Also its seconds."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="tinyrig-whole-") as name:
        for model in (small_models.dense_int8(), small_models.dense_int8(seed=7)):
            for windows in (0, 1):
                folder = user_home.furnish(Path(name))
                (folder / "dense.tflite").write_bytes(model)
                (folder / "windows.npz").write_bytes(_windows(folder, windows))
                outcome = Command(folder, *WORDS).finish()
                assert outcome.code == GOOD, outcome.errors
                entry = _numbers(folder / "out.json")
                found[entry["runs"][0]["tflite_sha256"] + str(windows)] = entry
                (folder / "results.sqlite").unlink()
    return found


def _windows(folder: Path, number: int) -> bytes:
    """The home's own, or others with the same labels."""
    path = folder / "windows.npz"
    if number == 0:
        return path.read_bytes()
    with np.load(path) as arrays:
        changed = {**arrays, "x": arrays["x"][::-1] * np.float32(1.5)}
    np.savez(folder / "others.npz", **changed)
    return (folder / "others.npz").read_bytes()


@dataclass(frozen=True)
class Scene:
    """`command` runs in `folder`; `seconds` of it have passed."""

    place: Place
    folder: Path
    command: Command


@dataclass(frozen=True)
class Done:
    """What was done, the exit codes that may follow, and whether a run that was cut off must still be there to be resumed."""

    said: str
    codes: tuple[int, ...]
    resumable: bool = True


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(".part")
    part.write_bytes(data)
    part.replace(path)


# Files


def swap_input(scene: Scene) -> Done:
    """Model or windows: another good one, garbage, half of it, none."""
    name, way = scene.place.pick(("dense.tflite", "windows.npz")), scene.place.pick(("other", "garbage", "half", "gone"))
    path = scene.folder / name
    if way == "gone":
        path.unlink()
    else:
        other = small_models.dense_int8(seed=7) if name == "dense.tflite" else _windows(scene.folder, 1)
        _replace(path, {"other": other, "garbage": b"garbage", "half": path.read_bytes()[: path.stat().st_size // 2]}[way])
    return Done(f"{name}: {way}", (GOOD, USER), resumable=False)


def swap_settings(scene: Scene) -> Done:
    """A rig.toml that was not there, or is none."""
    text = scene.place.pick((b"repeats = 3\n", b"accuracy_drop = 9\n", b"\xff\xfe", b"[", b"seed = 5\noracle = 'none'\n"))
    _replace(scene.folder / "rig.toml", text)
    return Done(f"rig.toml {text!r}", (GOOD, USER), resumable=False)


def swap_results(scene: Scene) -> Done:
    """The results database: deleted, replaced by an empty one or by text, its tables dropped."""
    way, path = scene.place.pick(("gone", "empty", "text", "tables", "copy")), scene.folder / "results.sqlite"
    if not path.exists():
        return Done(f"database: {way}, but it was not there yet", (GOOD,))
    if way == "tables":
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db, contextlib.suppress(sqlite3.OperationalError):
            for table in ("journal_samples", "metrics", "samples"):
                db.execute(f"DROP TABLE {table}")
    elif way == "gone":
        for file in scene.folder.glob("results.sqlite*"):
            file.unlink()
    elif way == "copy":
        shutil.copy(path, scene.folder / ".copy")
        (scene.folder / ".copy").replace(path)
    else:
        _replace(path, b"" if way == "empty" else b"no database at all\n" * 100)
    return Done(f"database: {way}", (GOOD, RIG), resumable=False)


# Kills


def kill_command(scene: Scene) -> Done:
    scene.command.signal(signal.SIGKILL)
    return Done("the command killed", (GOOD, -signal.SIGKILL))


def _kill_helper(scene: Scene, said: str, wanted: Callable[[int], bool], number: int = signal.SIGKILL) -> Done:
    found = [pid for pid in scene.command.helpers() if wanted(pid)]
    for pid in found:
        scene.command.signal(number, pid)
    return Done(f"{said} got {signal.Signals(number).name} ({len(found)})", (GOOD, RIG) if found else (GOOD,))


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def kill_board(scene: Scene) -> Done:
    return _kill_helper(scene, "the virtual board", lambda pid: VIRTUAL in _words(pid))


def kill_oracle(scene: Scene) -> Done:
    """Forked processes look like the command itself. Most of the time there is none: one is waited for."""
    own = _words(scene.command.pid)
    while not any(_words(pid) == own for pid in scene.command.helpers()) and scene.command.sleep(0.003):
        pass
    scene.command.sleep(float(scene.place.rng.uniform(0, 0.05)))
    return _kill_helper(scene, "the oracle", lambda pid: _words(pid) == own)


# Signals


def end_signal(scene: Scene) -> Done:
    """To the command alone, or as a terminal does to the whole group; once or twice."""
    number = scene.place.pick((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    group, twice = scene.place.rng.random() < 0.5, scene.place.rng.random() < 0.2
    for _ in range(1 + twice):
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(scene.command.pid, number)
        scene.command.sleep(0.05 * twice)
    whom = "the group" if group else "the command"
    return Done(f"{number.name} to {whom}{', twice' * twice}", (GOOD, 128 + number))


def _stop(scene: Scene, pids: list[int], said: str) -> Done:
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            scene.command.signal(number, pid)
        scene.command.sleep(float(scene.place.rng.uniform(0.05, 1.0)) if number == signal.SIGSTOP else 0.0)
    return Done(f"{said} ({len(pids)}) stopped and continued", (GOOD,))


def stop_all(scene: Scene) -> Done:
    """As Ctrl-Z and fg."""
    return _stop(scene, [scene.command.pid, *scene.command.helpers()], "all")


def stop_command(scene: Scene) -> Done:
    return _stop(scene, [scene.command.pid], "the command")


def stop_helpers(scene: Scene) -> Done:
    return _stop(scene, scene.command.helpers(), "the helpers")


def signal_helper(scene: Scene) -> Done:
    """One that was not meant for it."""
    number = scene.place.pick((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    return _kill_helper(scene, "a helper", lambda pid: pid in children(scene.command.pid), number)


Disturbance = Callable[[Scene], Done]
SWAPS_AND_KILLS: tuple[tuple[Disturbance, int], ...] = (
    (swap_input, 4),
    (swap_settings, 1),
    (swap_results, 3),
    (kill_command, 3),
    (kill_board, 2),
    (kill_oracle, 3),
)
SIGNALS: tuple[tuple[Disturbance, int], ...] = (
    (end_signal, 4),
    (stop_all, 2),
    (stop_command, 1),
    (stop_helpers, 2),
    (signal_helper, 2),
)
"""Both with their shares."""


def swaps_and_kills() -> Attacker:
    return _attacker(SWAPS_AND_KILLS)


def signals() -> Attacker:
    return _attacker(SIGNALS)


def _attacker(table: tuple[tuple[Disturbance, int], ...]) -> Attacker:
    right = whole()
    with tempfile.TemporaryDirectory() as name:  # again, now that the images are built: how long it takes
        command = Command(user_home.furnish(Path(name)), *WORDS)
        command.finish()
        seconds = command.seconds

    def attack(place: Place) -> Attack:
        return disturb(place, place.pick([item for item, share in table for _ in range(share)]), seconds, right)

    return attack


def disturb(place: Place, disturbance: Disturbance, seconds: float, right: dict[str, dict[str, Any]]) -> Attack:
    folder, after = user_home.furnish(place.folder), float(place.rng.uniform(0.02, 0.9 * seconds))
    command = Command(folder, *WORDS, TINYRIG_LINE_RATE=place.pick(RATES))
    if not command.sleep(after):
        command.finish()
        return Attack(f"{disturbance.__name__} after {after:.2f} s: it had ended before")
    done = disturbance(Scene(place, folder, command))
    outcome = command.finish()
    faults = [*invariants.broken(outcome, done.codes), *_numbers_right(folder, outcome, right)]
    if done.resumable:
        faults += _resumed(folder, outcome, right)
    return Attack(f"{disturbance.__name__} after {after:.2f} s: {done.said}: exit {outcome.code}", tuple(faults))


def _numbers_right(folder: Path, outcome: Outcome, right: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What was said is the undisturbed run's of that very model and windows, and what was said to be stored is there."""
    path = folder / "out.json"
    yield from invariants.said_wrongly(path)
    if outcome.code != GOOD:
        return
    if not path.exists():
        yield "exit code 0, but no --json"
        return
    run_id, said = json.loads(path.read_text())["run_id"], _numbers(path)
    if not any(_same(said, entry) for entry in right.values()):
        yield "numbers of no model and windows that there were"
    if not _is_stored(folder / "results.sqlite", run_id):
        yield f"exit code 0, but run {run_id} is not in the database"


def _same(said: dict[str, Any], right: dict[str, Any]) -> bool:
    """Toolchain, versions and all; the settings may have been swapped before they were read, which changes claims and repeats."""
    left, known = ([run | {"claims": None, "latency": None} for run in document["runs"]] for document in (said, right))
    return left == known


def _is_stored(path: Path, run_id: str) -> bool:
    query = "SELECT count(*) FROM runs JOIN variant_runs ON run_seq = seq WHERE run_id = ?"
    try:
        with contextlib.closing(sqlite3.connect(path)) as db:
            return bool(db.execute(query, (run_id,)).fetchone()[0])
    except sqlite3.DatabaseError:
        return False


def _resumed(folder: Path, outcome: Outcome, right: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The database is whole, and `--resume` ends with the undisturbed run's numbers."""
    path = folder / "results.sqlite"
    yield from invariants.stored_wrongly(path)
    if outcome.code == GOOD:
        return
    run_id, state = _run(path)
    if run_id is None:
        return
    if state == RunState.FINISHED and outcome.code != -signal.SIGKILL:
        yield "a run that was cut off is called finished: it can't be resumed"
        return
    again = Command(folder, "run", "--resume", run_id, "--no-report", "--json", "out.json").finish()
    yield from (f"resumed: {fault}" for fault in invariants.broken(again, (GOOD,)))
    if again.code == GOOD:
        yield from (f"resumed: {fault}" for fault in _numbers_right(folder, again, right))
    yield from (f"resumed: {fault}" for fault in invariants.stored_wrongly(path))


def _run(path: Path) -> tuple[str | None, str | None]:
    """Id and state of the only run; None where it was cut off before it was stored."""
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
        return db.execute("SELECT run_id, state FROM runs").fetchone() or (None, None)
    return None, None
