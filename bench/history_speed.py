"""How long do questions to a long history take? Prints seconds for each; nothing here is a claim.

python bench/history_speed.py [URL]      default: a SQLite file in a temporary folder
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.store import comparison, history
from tinyrig.store.runs import Store
from tinyrig.tests.fake_nights import Plan, fill, night_id

CURVES = ("latency_cycles_median", "latency_us_median", "accuracy", "ram_model_total", "flash_model_total", "cycles_per_mac")
"""What an HTML page draws: six metrics, all boards and variants."""


def timed(name: str, ask: Callable[[], Any]) -> None:
    """The better of two: the first one may find the file unread."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - started)
    print(f"{name:<58} {min(seconds):7.3f} s   {len(answer):>6} answers")


def measure(store: Store, plan: Plan) -> None:
    newest = history.nights(store)[0]
    comparable = history.series(store, "macs", board="virtual")[0].places[0].comparable
    timed("one metric of one variant and board", lambda: history.series(store, CURVES[0], "simple", "virtual"))
    timed("one metric of all", lambda: history.series(store, CURVES[0]))
    timed(f"{len(CURVES)} metrics of all, as the HTML page", lambda: history.all_series(store, CURVES))
    timed("all nights", lambda: history.nights(store))
    timed("all verdicts that found a change", lambda: history.moved_verdicts(store))
    timed("all verdicts of one run", lambda: history.verdicts(store, newest.runs[0]))
    timed("all wanted changes", lambda: history.accepted(store, wanted_only=True))
    timed("baseline of one variant and board, 20 runs", lambda: history.baseline_runs(store, "virtual", "simple", comparable))
    timed("values of one run", lambda: comparison.run_values(store, newest.runs[0]))
    timed("list of runs", store.runs)


def main() -> None:
    plan = Plan()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.sqlite"
        with Store(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{file}") as store:
            started = time.perf_counter()
            fill(store, plan)
            size = f", {file.stat().st_size / 1e6:.0f} MB" if file.exists() else ""
            print(
                f"{plan.nights} nights x {plan.variants} variants x {plan.boards} boards, to {night_id(plan.nights - 1)}: "
                f"made in {time.perf_counter() - started:.1f} s{size}"
            )
            measure(store, plan)


if __name__ == "__main__":
    main()
