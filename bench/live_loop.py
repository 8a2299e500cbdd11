"""The paper's whole loop on a board's sensors: record, train, deploy, decide live; and where the board's real time ends.

    python bench/live_loop.py [--trials 10] [--seconds 60] [--speed 10] [--capacity] [-o FOLDER]

Claims, for all four variants: every live decision is the host's and the one of the same window streamed; no sample is dropped
and no deadline missed at the paper's rate. Exit status 1 where one fails, as tinyrig's where a command does. `--capacity` looks
for the rate at which each variant, deciding at every sample or every tenth, first drops a sample or misses a deadline. The logs
and `capacity.md` are in the folder then."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VARIANTS = ("simple", "pruned", "reshaped", "pqt")
CLASSES = [f"{size} {shape}" for size in ("large", "small") for shape in ("cuboid", "cube", "sphere", "pyramid")]
RATE_HZ, STEPS, HOP = 20.0, 59, 10
RATES = (50, 100, 150, 200, 250, 300, 350, 400, 450, 500)
"""Hz; reading the glove alone takes 2.1 ms at 400 kHz."""


def tinyrig(*words: object, cwd: Path) -> int:
    """Exit status of one command."""
    return subprocess.run([sys.executable, "-m", "tinyrig.cli", *map(str, words)], cwd=cwd, check=False).returncode


def needed(*words: object, cwd: Path) -> None:
    """Ends the script where the command fails."""
    if status := tinyrig(*words, cwd=cwd):
        sys.exit(status)


def live(folder: Path, variant: str, *words: object) -> dict[str, Any]:
    """The log of one session. A claim that fails is in it."""
    log = folder / f"live-{variant}.json"
    log.unlink(missing_ok=True)
    status = tinyrig("-q", "live", "--dataset", "data", "--variant", variant, "--verify", "--json", log, *words, cwd=folder)
    if not log.exists():
        sys.exit(status or 3)
    document: dict[str, Any] = json.loads(log.read_text("utf-8"))
    return document


def in_time(found: dict[str, Any]) -> bool:
    """No drop, no missed deadline, nothing lost on the line."""
    return not any(
        found["counts"][k] for k in ("dropped_samples", "missed_deadlines", "frames_not_fetched", "decisions_not_fetched")
    )


def capacity(folder: Path, variant: str, hop: int) -> list[dict[str, Any]]:
    """A row for each rate up to the first at which the board falls behind."""
    rows = []
    for rate in RATES:
        found = live(folder, variant, "--rate", rate, "--hop", hop, "--seconds", max(1.0, 2 * STEPS / rate), "--no-self-test")
        rows.append({"rate": rate, "in_time": in_time(found), **found["counts"], **(found["times"] or {})})
        if not rows[-1]["in_time"]:
            break
    return rows


def table(found: dict[str, dict[str, Any]], limits: dict[str, dict[int, list[dict[str, Any]]]]) -> str:
    """As Markdown."""
    head = "| variant | drops | missed | jitter, worst | load | decision, median | worst | inference |"
    lines = [f"At {RATE_HZ:g} Hz, a decision every {HOP} samples:", "", head, "|:--|--:|--:|--:|--:|--:|--:|--:|"]
    for name, log in found.items():
        counts, clock, times = log["counts"], log["clock"], log["times"]
        timed = (
            f"{times['load']:.2%} | {times['decision_latency_median_us'] / 1000:.2f} ms | "
            f"{times['decision_latency_worst_us'] / 1000:.2f} ms | {times['inference_median_us'] / 1000:.2f} ms"
            if times
            else "not verified | | |"
        )
        missed = f"{counts['dropped_samples']} | {counts['missed_deadlines']}"
        lines.append(f"| {name} | {missed} | {clock['jitter_worst_us']:.0f} us | {timed} |")
    if limits:
        lines += ["", "The highest rate of " + ", ".join(map(str, RATES)) + " Hz that is kept, and the first that is not:", ""]
        lines += ["| variant | decision every | kept | not kept |", "|:--|--:|--:|--:|"]
    for name, hops in limits.items():
        for hop, rows in hops.items():
            kept = [r["rate"] for r in rows if r["in_time"]]
            lost = [r for r in rows if not r["in_time"]]
            why = (
                f"{lost[0]['rate']} Hz: {lost[0]['dropped_samples']} drops, {lost[0]['missed_deadlines']} missed"
                if lost
                else "none"
            )
            lines.append(f"| {name} | {hop} samples | {max(kept, default=0)} Hz | {why} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--capacity", action="store_true")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    folder = (options.out or Path(tempfile.mkdtemp(prefix="tinyrig-live-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rig.toml").touch()
    for label in CLASSES:
        words = ("--label", label, "--trials", options.trials, "--seconds", STEPS / RATE_HZ, "--resume", "--yes")
        needed("-q", "record", *words, "--speed", options.speed, "-o", "data", cwd=folder)
    needed("variants", "--dataset", "data", *VARIANTS, cwd=folder)
    needed("-q", "run", "--dataset", "data", "--limit", 8, "--variant", *VARIANTS, cwd=folder)
    words = ("--hop", HOP, "--seconds", options.seconds, "--speed", options.speed, "--replay", "--play-seed", 5)
    found = {name: live(folder, name, *words) for name in VARIANTS}
    failed = [name for name, log in found.items() if not (in_time(log) and log["verified"]["passed"])]
    limits = {name: {hop: capacity(folder, name, hop) for hop in (1, HOP)} for name in VARIANTS} if options.capacity else {}
    text = table(found, limits)
    (folder / "capacity.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n{'FAILED: ' + ', '.join(failed) if failed else 'all claims passed'}; {folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
