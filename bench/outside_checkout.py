"""tinyrig as a stranger meets it: `python bench/outside_checkout.py` builds the wheel, installs it into a new environment and
plays a user's first day in a folder that has nothing to do with this checkout; exit 1 where something ends otherwise than it
should.

The folder holds a package `reports`, one `harness` and a queue.py of the user's own, which must change nothing. Caches are empty,
so the times printed are those of a first day. Nothing but pip's index is needed beside Python and the Arm compiler.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.tests import small_models
from tinyrig.workload.oracle import ORACLES

ROOT = Path(__file__).resolve().parents[1]
MODEL = ("--model", "gesture.tflite", "--windows", "gesture.npz")
MOST_MB = 605
MOST_FIRST_S, MOST_RUN_S = 90.0, 20.0
"""From an empty environment to the first verified number, and the run in it; only --times holds them against these limits: a
loaded machine is slower."""
OURS = {"reports", "harness", "queue.py", "gesture.tflite", "gesture.npz"}
WINDOWS = 40


@dataclass
class Day:
    """What happened. `wrong`: every expectation that did not come true."""

    folder: Path
    bin: Path
    environment: dict[str, str]
    wrong: list[str] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)

    def expect(self, what: str, holds: object) -> None:
        print(f"  {'ok   ' if holds else 'WRONG'} {what}", flush=True)
        if not holds:
            self.wrong.append(what)

    def call(self, *words: str, code: int, path: str | None = None) -> str:
        """What a command says on both streams; it must end with this exit code and without a traceback."""
        started = time.monotonic()
        done = subprocess.run(
            [self.bin / words[0], *words[1:]],
            cwd=self.folder,
            env=self.environment | ({"PATH": path} if path is not None else {}),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        seconds, said = time.monotonic() - started, done.stdout + done.stderr
        self.times.append((" ".join(words), seconds))
        print(f"$ {' '.join(words)}   -> {done.returncode}, {seconds:.1f} s", flush=True)
        self.expect(f"exit code {code}", done.returncode == code)
        self.expect("no traceback", "Traceback" not in said)
        if done.returncode != code or "Traceback" in said:
            print("\n".join(f"    | {line}" for line in said.splitlines()[-30:]))
        return said

    def json(self, name: str) -> dict:
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.folder / name).read_text())
        return {}

    def junit(self, name: str) -> dict[str, int]:
        """(tests, failures, errors) of a JUnit file, zeros where it can't be read."""
        found = dict.fromkeys(("tests", "failures", "errors"), 0)
        with contextlib.suppress(OSError, ElementTree.ParseError):
            for suite in ElementTree.parse(self.folder / name).getroot().iter("testsuite"):
                found = {key: count + int(suite.get(key, 0)) for key, count in found.items()}
        return found


# ---- the installation ----


def build_wheel(folder: Path) -> Path:
    """From the sdist, so that what that one lacks is missed."""
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
    return wheel


def install(wheel: Path, folder: Path) -> float:
    """A new environment with the wheel in it; seconds that it took."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", wheel], check=True)
    return time.monotonic() - started


def megabytes(folder: Path) -> float:
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if not p.is_symlink()) / 1e6


def installed_files(environment: Path) -> dict[str, str]:
    """tinyrig's own, by content; what Python compiles beside them is Python's affair."""
    (folder,) = environment.glob("lib/python*/site-packages/tinyrig")
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# ---- the user's folder ----


def furnish(folder: Path) -> None:
    for name in ("reports", "harness"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('a package of the user is imported')\n")
    (folder / "queue.py").write_text("raise SystemExit('a file of the user is imported')\n")
    model = small_models.dense_float()
    x = np.random.default_rng(3).normal(0, 2, (WINDOWS, small_models.FEATURES)).astype(np.float32)
    (folder / "gesture.tflite").write_bytes(model)
    np.savez(folder / "gesture.npz", x=x, y=labels(model, x), class_names=np.array(list("abcd")))
    subprocess.run(["git", "init", "-q", folder], check=True)


def labels(model: bytes, x: np.ndarray) -> np.ndarray:
    """Those that the model is right about for nine windows of ten."""
    oracle = ORACLES["tflm"](model)
    found = np.array([int(np.argmax(oracle.run([window[None]])[0])) for window in x])
    found[::10] = (found[::10] + 1) % small_models.CLASSES
    return found


def untracked(folder: Path) -> set[str]:
    done = subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=folder, capture_output=True, text=True, check=True)
    return {line[3:] for line in done.stdout.splitlines()}


# ---- the day ----


def first_number(day: Day) -> None:
    said = day.call("tinyrig", "run", *MODEL, "--json", "first.json", code=0)
    runs = day.json("first.json").get("runs", [{}])
    day.expect("a verified latency", runs[0].get("latency") and runs[0]["parity"]["mismatched_windows"] == 0)
    day.expect("the table says so", "verified" in said)


def beginning(day: Day) -> None:
    day.expect("a version", day.call("tinyrig", "--version", code=0).startswith("tinyrig "))
    said = day.call("tinyrig", "init", code=0)
    written = ("rig.toml", "tests/test_model_on_board.py", ".github/workflows/tinyrig.yml")
    day.expect("three files and the next command", all(f"{name}: written" in said for name in written) and "next: " in said)
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
        model = tomllib.loads((day.folder / "rig.toml").read_text())["models"]["gesture"]
        day.expect("the model and its windows are found", model == {"file": "gesture.tflite", "windows": "gesture.npz"})
    day.expect("init again changes nothing", day.call("tinyrig", "init", code=0).count("left as it is") == 3)


def checking(day: Day) -> None:
    day.call("tinyrig", "check", "gesture.tflite", "--json", "check.json", code=0)
    day.expect("check's JSON says it runs", day.json("check.json").get("models", [{}])[0].get("runs") is True)
    (day.folder / "page.tflite").write_text("<!DOCTYPE html><html>not found</html>")
    day.call("tinyrig", "check", "page.tflite", code=2)
    (day.folder / "page.tflite").unlink()


def budgets(day: Day) -> None:
    generous = ("--min-accuracy", "50%", "--max-latency", "5ms", "--max-ram", "64KiB", "--max-flash", "256KiB")
    day.call("tinyrig", "run", *MODEL, *generous, "--json", "good.json", "--junit", "good.xml", code=0)
    names = {claim["name"] for run in day.json("good.json").get("runs", []) for claim in run["claims"]}
    day.expect("each budget is a claim", len(names) >= 6)
    found = day.junit("good.xml")
    day.expect("JUnit: a case for each claim, no failure", found["tests"] >= 6 and found["failures"] == found["errors"] == 0)
    said = day.call("tinyrig", "run", *MODEL, "--max-latency", "1us", "--junit", "bad.xml", code=1)
    day.expect("what was exceeded is named", "latency" in said and "1" in said)
    day.expect("JUnit: one failure", day.junit("bad.xml")["failures"] == 1)
    day.call("tinyrig", "run", "--max-latency", "5 apples", *MODEL, code=2)


def comment(day: Day) -> None:
    """What a pull request that makes the model slower would be told, by the two results at hand."""
    changed = day.json("good.json")
    for run in changed.get("runs", []):
        run["latency"]["us_median"] *= 2
    (day.folder / "slower.json").write_text(json.dumps(changed))
    words = ("python", "-P", "-m", "tinyrig.reports.changes")
    day.expect("nothing changed, nothing said", day.call(*words, "good.json", "--base", "first.json", code=0) == "")
    said = day.call(*words, "slower.json", "--base", "first.json", code=0)
    day.expect("a comment that is found again, with both values", said.startswith("<!-- tinyrig -->") and "(+100.0 %)" in said)


def own_tests(day: Day) -> None:
    test = "tests/test_model_on_board.py"
    day.call("pytest", "-q", test, "--junitxml=pytest.xml", code=0)
    day.expect("JUnit: one test passed", day.junit("pytest.xml") == {"tests": 1, "failures": 0, "errors": 0})
    rig = day.folder / "rig.toml"
    text = rig.read_text() if rig.exists() else ""
    rig.write_text(text.replace('# max_latency = "5ms"', 'max_latency = "1us"'))
    day.call("pytest", "-q", test, "--junitxml=pytest.xml", code=1)
    day.expect("JUnit: one failure", day.junit("pytest.xml")["failures"] == 1)
    rig.write_text(text)
    day.call("pytest", "-q", test, "--board=/dev/no-such-port", "--junitxml=pytest.xml", code=3)
    day.expect(
        "JUnit: a rig that failed is an error", day.junit("pytest.xml")["failures"] == 0 < day.junit("pytest.xml")["errors"]
    )


def nights(day: Day) -> None:
    for _ in range(2):
        day.call("tinyrig", "nightly", "--json", "night.json", "--junit", "night.xml", code=0)
    model = day.folder / "gesture.tflite"
    good = model.read_bytes()
    model.write_bytes(small_models.dense_float(seed=1))
    said = day.call("tinyrig", "nightly", "--json", "night.json", "--junit", "night.xml", code=1)
    day.expect("the night names what got worse", "worse" in said and "accuracy" in said)
    day.expect("JUnit: failures", day.junit("night.xml")["failures"] >= 1)
    day.expect("a page of all nights", (day.folder / ".tinyrig" / "reports" / "nights.html").is_file())
    model.write_bytes(good)
    day.call("tinyrig", "nightly", code=0)


def lacking(day: Day) -> None:
    said = day.call("tinyrig", "variants", code=3)
    day.expect("the extra is named", "pip install 'tinyrig[variants]'" in said)
    (models := day.folder / "other").mkdir()
    (models / "new.tflite").write_bytes(small_models.dense_int8(seed=9))
    said = day.call("tinyrig", "run", "--model", "other/new.tflite", "--no-report", code=3, path=str(day.bin))
    day.expect("the Arm compiler's command is named", "the Arm compiler is missing" in said and "install" in said)
    shutil.rmtree(models)


STEPS: Sequence[Callable[[Day], None]] = (first_number, beginning, checking, budgets, comment, own_tests, nights, lacking)


def leftovers(day: Day, before: dict[str, str], environment: Path) -> None:
    day.expect("nothing is written beside the installed code", installed_files(environment) == before)
    found = {name for name in untracked(day.folder) if not name.endswith((".json", ".xml", ".pyc"))}
    known = {"rig.toml", "tests/test_model_on_board.py", ".github/workflows/tinyrig.yml", "gesture.tflite", "gesture.npz"}
    known |= {"queue.py", "reports/__init__.py", "harness/__init__.py"}
    day.expect(f"git sees only the user's files{'' if found == known else f': {sorted(found - known)}'}", found == known)


@contextlib.contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    if kept:
        kept.mkdir(parents=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tinyrig-outside-") as folder:
        yield Path(folder).resolve()


def main() -> int:
    parser = argparse.ArgumentParser(description="Install tinyrig as a stranger would, and play a user's first day.")
    parser.add_argument("--folder", type=Path, help="keep everything in this new folder")
    parser.add_argument("--times", action="store_true", help="also hold the times against their limits, on a quiet machine")
    arguments = parser.parse_args()
    with workplace(arguments.folder) as place:
        started = time.monotonic()
        wheel = build_wheel(place / "dist")
        with zipfile.ZipFile(wheel) as contents:
            tests = [name for name in contents.namelist() if "/tests/" in name]
        seconds, environment = install(wheel, place / "venv"), place / "venv"
        disk, before = megabytes(environment), installed_files(environment)
        print(f"installed in {seconds:.1f} s, {disk:.0f} MB on disk, with Python and pip")
        home = {"HOME": str(place / "home"), "XDG_CACHE_HOME": str(place / "cache")}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TINYRIG_", "PYTHON", "VIRTUAL_ENV"))}
        path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        day = Day(place / "project", environment / "bin", inherited | home | {"PATH": path})
        for folder in (day.folder, place / "home"):
            folder.mkdir()
        furnish(day.folder)
        day.expect("no tests in the wheel", not tests)
        day.expect(f"at most {MOST_MB} MB on disk", disk <= MOST_MB)
        for step in STEPS:
            step(day)
        leftovers(day, before, environment)
        run_s = day.times[0][1]
        if arguments.times:
            day.expect(f"a first number within {MOST_FIRST_S:g} s", seconds + run_s <= MOST_FIRST_S)
            day.expect(f"of which the run at most {MOST_RUN_S:g} s", run_s <= MOST_RUN_S)
        print(f"\nfirst verified number: {seconds:.1f} s of installing + {run_s:.1f} s of the run; {disk:.0f} MB on disk")
        print(f"all of it: {time.monotonic() - started:.0f} s; {len(day.wrong)} wrong")
        for what in day.wrong:
            print(f"WRONG: {what}")
        return 1 if day.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
