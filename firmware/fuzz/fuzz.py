"""`make fuzz`: runs both libFuzzer targets for a bounded time and says how many executions they made and what they found.

    python -m tinyrig.firmware.fuzz.fuzz [--seconds N] [--keep]

`--keep` adds to the corpus in the repository what reached new code, minimised.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tinyrig.firmware.fuzz import build
from tinyrig.firmware.fuzz.build import CORPUS, LOOP, ROOT, WIRE

FOLDER = ROOT / "build/fuzz"
TARGETS = {"wire": WIRE, "loop": LOOP}
OPTIONS = ("-print_final_stats=1", "-use_value_profile=1", "-max_len=2048", "-timeout=10", "-rss_limit_mb=1024")
KEEP_BYTES = 1024
"""Longer inputs than this are not kept in the repository."""


def run(name: str, seconds: int) -> bool:
    """Fuzzes one target; whether nothing was found."""
    program = build.fuzzer(TARGETS[name], FOLDER)
    found, corpus = FOLDER / f"{name}-found", FOLDER / f"{name}-corpus"
    for folder in (found, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={found}/", *OPTIONS]
    start = time.monotonic()
    done = subprocess.run([program, *options, corpus, CORPUS / name], capture_output=True, text=True, check=False)
    _report(name, done, time.monotonic() - start, program)
    return done.returncode == 0


def _report(name: str, done: subprocess.CompletedProcess[str], seconds: float, program: Path) -> None:
    units = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    features = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr) or [("?", "?", "?")]
    print(
        f"fuzz: {name}: {units[1] if units else '?'} executions in {seconds:.0f} s, {features[-1][0]} edges, "
        f"{features[-1][2]} inputs, {'nothing found' if done.returncode == 0 else 'FOUND AN ERROR'}",
        flush=True,
    )
    if done.returncode:
        print(done.stderr[-6000:], file=sys.stderr)
        print(f"fuzz: run it again with: {program} FILE (the file is named above)", file=sys.stderr)


def keep(name: str) -> None:
    """Minimises what this run collected and adds to the repository's corpus the inputs that the seeds don't cover."""
    program, merged = build.fuzzer(TARGETS[name], FOLDER), FOLDER / f"{name}-merged"
    for old in (CORPUS / name).glob("found-*"):
        old.unlink()
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(CORPUS / name, merged)
    options = ["-merge=1", "-use_counters=0", f"-max_len={KEEP_BYTES}"]  # new code, not other counts of the same
    subprocess.run([program, *options, merged, FOLDER / f"{name}-corpus"], capture_output=True, check=True)
    for file in sorted(merged.iterdir()):
        if not file.name.startswith("seed-"):
            shutil.copyfile(file, CORPUS / name / f"found-{file.name[:12]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add what is new to firmware/fuzz/corpus")
    arguments = parser.parse_args()
    if not shutil.which("clang"):
        print("fuzz: clang is missing; `make fuzz` installs it", file=sys.stderr)
        return 3
    good = [run(name, arguments.seconds) for name in TARGETS]
    if arguments.keep and all(good):
        for name in TARGETS:
            keep(name)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
