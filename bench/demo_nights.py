"""Thirty nights in a minute: `python bench/demo_nights.py`. Each night is a `tinyrig nightly` on the virtual board, in a folder
and a results database of their own, with changes and faults injected on known nights; exit 1 when a night gets another verdict or
exit code than it should.

What is injected is real: an engine that turns a loop more often (+1 % cycles, not a byte more), a table that nobody needs
(flash), a .tflite with damaged weights (accuracy), a board whose flash does not hold what is written (rig), a truncated .tflite.
Only the dates are made up, so that 30 nights are 30 days; time limits run on the real clock.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.cli import main as tinyrig
from tinyrig.core.config import ROOT
from tinyrig.nightly.summary import family
from tinyrig.tests import small_models
from tinyrig.workload.oracle import ORACLES

FIRST = datetime.datetime(2026, 1, 1, 1, tzinfo=datetime.UTC)
MODELS = ("gesture", "sound")
WINDOWS = 60
TURNS = 100
"""Of the idle loop, as long as nothing is injected."""
MORE_TURNS = 7
"""+1 % of the cycles."""
BAD_FLASH = "flash-bad-write"
BAD_LINE = "line-flip:1e-4,line-drop:1e-4"


@dataclass(frozen=True)
class World:
    """What the night finds: turns of the idle loop, bytes of the needless table, whether the first model's weights are damaged or
    its file is truncated, what the virtual board injects."""

    turns: int = TURNS
    table_bytes: int = 0
    damaged: bool = False
    truncated: bool = False
    faults: str = ""


@dataclass(frozen=True)
class Night:
    """`expect`: (variant, what, status), for `not measured` (variant, "", status). `then_accept`: afterwards somebody accepts."""

    what: str
    world: World = World()
    exit_code: int = 0
    expect: frozenset[tuple[str, str, str]] = frozenset()
    then_accept: bool = False


def both(what: str, status: str) -> frozenset[tuple[str, str, str]]:
    return frozenset((name, what, status) for name in MODELS)


GOOD = World()
GROWN = World(table_bytes=1024)
FASTER = World(turns=TURNS // 2, table_bytes=1024)
LESS_RIGHT = frozenset({("gesture", "accuracy", "worse"), ("gesture", "outputs", "changed"), ("gesture", "latency", "better")})
"""Other logits: expf in softmax takes another way through its code, here a shorter one."""
ONLY_ONE = frozenset({("gesture", "", "not measured")})

SPECIAL = {
    5: Night("a noisy line, survived", World(faults=BAD_LINE)),
    8: Night("+1 % cycles", World(TURNS + MORE_TURNS), 1, both("latency", "worse")),
    9: Night("+1 % cycles, not accepted", World(TURNS + MORE_TURNS), 1, both("latency", "worse")),
    10: Night("taken back"),
    12: Night("the board's flash fails", World(faults=BAD_FLASH), 3, both("", "not measured")),
    13: Night("board repaired"),
    15: Night("flash grows by a table", GROWN, 1, both("flash", "worse")),
    16: Night("still there; then accepted", GROWN, 1, both("flash", "worse"), True),
    17: Night("accepted", GROWN),
    20: Night("damaged weights", World(table_bytes=1024, damaged=True), 1, LESS_RIGHT),
    21: Night(
        "damaged, and the board's flash fails",
        World(table_bytes=1024, damaged=True, faults=BAD_FLASH),
        3,
        both("", "not measured"),
    ),
    22: Night("damaged weights", World(table_bytes=1024, damaged=True), 1, LESS_RIGHT),
    23: Night("weights mended", GROWN),
    25: Night("a truncated .tflite", World(table_bytes=1024, truncated=True), 2, ONLY_ONE),
    26: Night(
        "truncated, and +1 % cycles",
        World(TURNS + MORE_TURNS, 1024, truncated=True),
        1,
        ONLY_ONE | {("sound", "latency", "worse")},
    ),
    28: Night("faster; then accepted", FASTER, 0, both("latency", "better"), True),
    29: Night("accepted", FASTER),
    30: Night("+1 % against the new level", World(FASTER.turns + MORE_TURNS - 1, 1024), 1, both("latency", "worse")),
}


def night(number: int) -> Night:
    grown, faster = number > 16, number > 28
    return SPECIAL.get(number, Night("nothing", FASTER if faster else GROWN if grown else GOOD))


# ---- the folder ----


def furnish(folder: Path) -> None:
    """Labelled windows, on which the first model is right in nine of ten, and the models as they should be."""
    rng = np.random.default_rng(5)
    x = rng.normal(0, 2, (WINDOWS, small_models.FEATURES)).astype(np.float32)
    oracle = ORACLES["tflm"](small_models.dense_float(0))
    labels = np.array([int(np.argmax(oracle.run([window[None]])[0])) for window in x])
    labels[::10] = (labels[::10] + 1) % small_models.CLASSES
    np.savez(folder / "windows.npz", x=x, y=labels, class_names=np.array(list("abcd")))
    shutil.copytree(ROOT / "firmware" / "examples" / "own_engine", folder / "engine")


def arrange(folder: Path, world: World) -> None:
    """The folder as this night finds it."""
    for seed, name in enumerate(MODELS):
        (folder / f"{name}.tflite").write_bytes(small_models.dense_float(seed))
    first, data = folder / f"{MODELS[0]}.tflite", small_models.dense_float(0)
    if world.damaged:
        first.write_bytes(damage(data))
    if world.truncated:
        first.write_bytes(data[: len(data) // 2])
    write_engine(folder / "engine" / "own_engine.c", world)


def damage(data: bytes) -> bytes:
    """The sign of the first class's weights is lost, as by a converter with a bug."""
    rng = np.random.default_rng(0)
    row = rng.normal(0, 0.3, (small_models.CLASSES, small_models.FEATURES)).astype("<f4")[0].tobytes()
    assert data.count(row) == 1
    return data.replace(row, (-np.frombuffer(row, "<f4")).tobytes())


_INVOKE = "int engine_invoke(void)\n{\n"


def write_engine(path: Path, world: World) -> None:
    """The example's engine with an idle loop, whose turns change no byte of code, and a table that is read and not needed."""
    table = f"static const uint8_t table[{world.table_bytes}] = {{1}};\n" if world.table_bytes else ""
    text = (ROOT / "firmware" / "examples" / "own_engine" / path.name).read_text()
    idle = f"static const volatile uint32_t idle_turns = {world.turns};\n{table}"
    loop = '    for (uint32_t i = idle_turns; i > 0; i--)\n        __asm__ volatile("");\n'
    assert text.count(_INVOKE) == 1
    text = text.replace(_INVOKE, idle + _INVOKE + loop)
    if table:  # in engine_init, which is not timed
        init = "int engine_init(void)\n{\n"
        assert text.count(init) == 1
        text = text.replace(init, "static void look(void);\n\n" + init + "    look();\n")
        text += '\nstatic void look(void) {\n    __asm__ volatile("" : : "r"(table));\n}\n'
    path.write_text(text)


# ---- a night ----


@contextlib.contextmanager
def dated(moment: datetime.datetime) -> Iterator[None]:
    """Within, what is stored as the date of a run, a night or an acceptance is `moment`."""

    class Fixed(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return moment

    fake = types.SimpleNamespace(datetime=Fixed, UTC=datetime.UTC, timedelta=datetime.timedelta)
    with contextlib.ExitStack() as stack:
        for module in ("measure.keeper", "nightly.plan", "history_command"):
            stack.enter_context(patch(f"tinyrig.{module}.datetime", fake))
        yield


@dataclass(frozen=True)
class Got:
    exit_code: int
    found: frozenset[tuple[str, str, str]]
    summary: str
    run_id: str
    latency_percent: float | None


def spend(folder: Path, number: int, report: bool) -> Got:
    """Night `number` through the command line."""
    os.environ["TINYRIG_FAULTS"] = night(number).world.faults
    arrange(folder, night(number).world)
    out, log = io.StringIO(), io.StringIO()
    words = [
        "nightly",
        "--model",
        *(f"{name}.tflite" for name in MODELS),
        "--windows",
        "windows.npz",
        "--engine",
        "./engine",
        "--json",
        "night.json",
        *([] if report else ["--no-report"]),
    ]
    Path("night.json").unlink(missing_ok=True)
    with dated(FIRST + datetime.timedelta(days=number - 1)), contextlib.redirect_stdout(out), contextlib.redirect_stderr(log):
        code = tinyrig(words)
    (folder / f"night-{number:02d}.log").write_text(log.getvalue() + out.getvalue())
    document = json.loads(Path("night.json").read_text()) if Path("night.json").exists() else {"results": [], "runs": []}
    return Got(
        code,
        findings(document),
        out.getvalue().splitlines()[-1],
        next((r["run_id"] for r in document["runs"]), ""),
        latency_change(document),
    )


def findings(document: dict) -> frozenset[tuple[str, str, str]]:
    """A compressed file's size changes with any byte of the model, so it is left out."""
    found = set()
    for result in document["results"]:
        found |= {(result["variant"], "", "not measured") for _ in result["not_measured"]}
        moved = [v for v in result["verdicts"] if v["status"] in ("better", "worse", "changed") and v["metric"] != "flash_total"]
        found |= {(result["variant"], family(v["metric"]), v["status"]) for v in moved if v["metric"] != "zip_bytes"}
    return frozenset(found)


def latency_change(document: dict) -> float | None:
    changes = [
        v["difference_percent"]
        for result in document["results"]
        for v in result["verdicts"]
        if v["metric"] == "latency_cycles_median" and v["difference_percent"]
    ]
    return changes[0] if changes else None


def one_percent(expected: Night, got: Got) -> bool:
    return "+1 %" not in expected.what or 0.9 <= (got.latency_percent or 0.0) <= 1.1


def accept(run_id: str, number: int) -> None:
    moment = FIRST + datetime.timedelta(days=number - 1, hours=8)
    with dated(moment), contextlib.redirect_stdout(io.StringIO()):
        if tinyrig(["accept", run_id, "-m", f"night {number}: {night(number).what}"]):
            raise SystemExit(f"night {number} could not be accepted")


# ---- all of them ----


def words(found: frozenset[tuple[str, str, str]]) -> str:
    return "; ".join(" ".join(part for part in one if part) for one in sorted(found)) or "nothing moved"


def spend_all(folder: Path, nights: int, report: bool = False) -> int:
    """Prints the table; returns how many nights differ from what they should be."""
    from tabulate import tabulate

    rows, wrong = [], 0
    for number in range(1, nights + 1):
        expected, got = night(number), spend(folder, number, report)
        good = (got.exit_code, got.found) == (expected.exit_code, expected.expect) and one_percent(expected, got)
        wrong += not good
        if expected.then_accept:
            accept(got.run_id, number)
        rows.append(
            [
                number,
                expected.what,
                f"{words(expected.expect)}, exit {expected.exit_code}",
                f"{words(got.found)}, exit {got.exit_code}" if not good else "the same",
                "" if good else "WRONG",
            ]
        )
        print(f"{number:2d} {'ok   ' if good else 'WRONG'} {got.summary}", file=sys.stderr, flush=True)
    print(tabulate(rows, headers=["night", "injected", "expected", "got", ""], tablefmt="github"))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=30, help="only the first N")
    parser.add_argument("--folder", type=Path, help="keep everything in this new folder: results.sqlite, a log for each night")
    parser.add_argument("--report", action="store_true", help="also write each night's Markdown summary (reports/out/nights/)")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tinyrig-nights-") as temporary:
        folder = (options.folder or Path(temporary) / "nights").absolute()
        folder.mkdir(parents=True)
        os.environ |= {
            "TINYRIG_RESULTS": f"sqlite:///{folder / 'results.sqlite'}",
            "TINYRIG_LOCKS": str(folder / "locks"),
            "TINYRIG_LOGS_FILE": str(folder / "nightly.log"),
            # Behind a cache any change of the image moves latencies a little: here a change does only what it is injected for.
            "TINYRIG_MEMORY": "none",
        }
        furnish(folder)
        with contextlib.chdir(folder):
            # the user's own rig.toml says nothing here
            (folder / "rig.toml").write_text(f'[nightly]\npage = "{folder / "nights.html"}"\n')
            wrong = spend_all(folder, options.nights, options.report)
    seconds = time.monotonic() - started
    print(f"\n{options.nights} nights in {seconds:.0f} s, {wrong} with another verdict or exit code than expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
