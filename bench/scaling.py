"""How many boards one host serves: `python bench/scaling.py`. The same variant on 1, 2, 4 and 8 virtual boards at once, their
lines throttled to a real baud rate, through the very processes of `tinyrig nightly`; a results database of its own.

Efficiency is the windows per second of n boards over n times those of one board. CPU time is split: the harness's own (the
boards' processes and this one) and that of the virtual boards, which real boards would not take. A virtual board needs the host
to keep time, so where both together fill the cores a loss is not the harness's alone. The last column goes by CPU time alone,
which other load on the host disturbs little: at how many boards of full pace the harness would fill the cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tabulate import tabulate

from tinyrig.core.config import Config, Logs, load_config
from tinyrig.core.records import Variant
from tinyrig.measure.variant import steps
from tinyrig.measure.variants import built_variants
from tinyrig.nightly.board_worker import SAY, STEP
from tinyrig.nightly.fleet import NightFleet
from tinyrig.nightly.log import NightLog
from tinyrig.nightly.plan import BegunNight, NightPlan
from tinyrig.store.decisions import begin_night
from tinyrig.store.runs import Store


class Timed(NightFleet):
    """Notes when the boards began to stream and when they had finished."""

    began, ended = 0.0, 0.0

    def _hear(self, board: str, kind: str, value: Any) -> None:
        now = time.monotonic()
        if kind == SAY and "streaming" in value:
            self.began = self.began or now
        elif kind == STEP:
            self.ended = now
        super()._hear(board, kind, value)


@dataclass(frozen=True)
class Figure:
    """`windows`: inferences of all boards, each a window sent, run and answered. Seconds of wall time and of CPU time."""

    boards: int
    windows: int
    wall_s: float
    harness_s: float
    boards_s: float
    exit_code: int

    @property
    def rate(self) -> float:
        return self.windows / self.wall_s


def measure(count: int, variants: list[Variant], config: Config, limit: int) -> Figure:
    plan = NightPlan(tuple(f"virtual#{n}" for n in range(1, count + 1)), limit=limit)
    begun = BegunNight(plan, config, f"scaling-{count}-{limit}", "2026-01-01T00:00:00+00:00")
    with Store(config.results) as store:
        begin_night(store, begun.night_id, begun.started, plan.boards)
    before = own_s()
    with NightLog(Logs(file="")) as log:
        night = Timed(begun, variants, log)
        result = night.run()
    harness = own_s() - before + sum(own for own, _ in night.usage.values())
    windows = count * len(variants) * (len(steps(limit, config.repeats)) + 1)  # one warm-up
    return Figure(
        count, windows, night.ended - night.began, harness, sum(more for _, more in night.usage.values()), result.exit_code
    )


def own_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def table(figures: list[Figure]) -> str:
    cores = os.cpu_count() or 1
    one = figures[0].rate / figures[0].boards
    rows = [
        [
            f.boards,
            f"{f.wall_s:.1f}",
            f"{f.rate:.1f}",
            f"{f.rate / f.boards:.2f}",
            f"{100 * f.rate / f.boards / one:.1f} %",
            f"{1e3 * f.harness_s / f.windows:.2f}",
            f"{100 * f.harness_s / f.wall_s / cores:.1f} %",
            f"{1e3 * f.boards_s / f.windows:.2f}",
            f"{100 * f.boards_s / f.wall_s / cores:.1f} %",
            f"{cores / (one * f.harness_s / f.windows):.0f}",
        ]
        for f in figures
    ]
    head = [
        "boards",
        "wall s",
        "windows/s",
        "per board",
        "efficiency",
        "harness CPU ms/window",
        f"share of {cores} cores",
        "virtual boards' CPU ms/window",
        f"share of {cores} cores",
        "boards that the harness' CPU allows",
    ]
    return tabulate(rows, headers=head, tablefmt="github", disable_numparse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--boards",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8],
        metavar="N",
        help="numbers of boards; the first is the reference for the efficiency",
    )
    parser.add_argument("--line-rate", type=int, default=1_000_000, metavar="BAUD", help="of each board's line (1000000)")
    parser.add_argument("--variant", nargs="+", default=["simple"], metavar="NAME")
    parser.add_argument("--windows", type=int, default=240, metavar="N", help="test windows of each variant")
    parser.add_argument(
        "--least", type=float, default=0.0, metavar="PERCENT", help="exit 1 if the last efficiency is below this percentage"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tinyrig-scaling-") as folder:
        config = replace(load_config(), results=f"sqlite:///{folder}/results.sqlite", line_rate=0, faults=())
        variants = built_variants(config, options.variant)
        measure(1, variants, config, 1)  # builds the images, which is not what is measured here
        config = replace(config, line_rate=options.line_rate)
        figures = [measure(n, variants, config, options.windows) for n in options.boards]
    what = f"{', '.join(options.variant)}, {options.windows} windows, {config.repeats} repeats, {options.line_rate} baud"
    print(f"{what}; load of this host at the end {os.getloadavg()[0]:.1f}")
    print(table(figures))
    low = 100 * (figures[-1].rate / figures[-1].boards) / (figures[0].rate / figures[0].boards) < options.least
    return 1 if low or any(f.exit_code for f in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
