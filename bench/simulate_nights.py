"""How often do the verdicts raise a false alarm, and what do they find? Nights of simulated boards, judged as real ones are.

    python bench/simulate_nights.py                       print the tables (about a minute)
    python bench/simulate_nights.py --docs docs/verdicts.md   and put them into the page, between its markers

Not a claim about a board and no pytest file: a short version is harness/nightly/tests/test_simulated_nights.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.simulated_board import MIXED_SD, MS, POLICY, Board, Rig, percentile95, run_medians, student3, two_levels
from tinyrig.analysis import drift, stats
from tinyrig.analysis.stats import Timer
from tinyrig.analysis.verdicts import (
    NOISY,
    Baseline,
    Policy,
    Tonight,
    find_drift,
    judge_drift,
    judge_with_reruns,
    limits,
    samples_needed,
    side,
    vote,
)

METRIC = "latency_us_median"
TRIAL_EVERY = 6
"""Nights between two trials of a changed firmware; a trial leaves no trace in the history."""
MARKERS = ("<!-- figures of bench/simulate_nights.py -->", "<!-- end of figures -->")


@dataclass
class Tally:
    """What `simulate` counted. `found` and `at_limit` are (found, trials): +1 %, and each night's own `detectable`."""

    nights: int = 0
    alarms: int = 0
    reruns: int = 0
    found: list[int] = field(default_factory=lambda: [0, 0])
    at_limit: list[int] = field(default_factory=lambda: [0, 0])
    thresholds: list[float] = field(default_factory=list)
    detectables: list[float] = field(default_factory=list)


def simulate(board: Board, seed: int) -> Tally:
    """Nights without change, every alarm a false one; beside them, trials of a change on its first night."""
    policy, rig, tally = board.policy, Rig(board, np.random.default_rng(seed)), Tally()
    history = []
    for _ in range(board.earlier):
        rig.next_night()
        history.append(rig.run())
    for night in range(board.nights):
        rig.next_night()
        base = stats.spread(np.stack(history[-policy.max_runs :], axis=-1))
        limit = limits(base, board.samples, board.timer, policy)
        value = _quiet_night(rig, base.centre, limit.threshold, tally, policy)
        # A run that raised an alarm is not accepted: the night before replaces it.
        history.append(np.where(np.isnan(value), history[-1], value))
        if night % TRIAL_EVERY == 0:
            _trial(rig, base, limit, night, tally, policy)
        tally.thresholds.append(float(np.median(limit.threshold / base.centre)))
        tally.detectables.append(float(np.median(limit.detectable / base.centre)))
    tally.nights = board.boards * board.nights
    return tally


def _quiet_night(rig: Rig, centre: np.ndarray, threshold: np.ndarray, tally: Tally, policy: Policy) -> np.ndarray:
    """The night's value of every board, NaN where an alarm was raised."""
    value = rig.run()
    suspects = np.flatnonzero(side(value, centre, threshold))
    if not len(suspects):
        return value
    tally.reruns += len(suspects)
    runs = [value[suspects], *(rig.run(which=suspects) for _ in range(2 * policy.votes - 2))]
    for i, values in zip(suspects, np.stack(runs, axis=-1), strict=True):
        alarm = _verdict(values, centre[i], threshold[i], policy)
        tally.alarms += alarm != 0
        value[i] = np.nan if alarm else np.median(values)
    return value


def _trial(rig: Rig, base: stats.Spread, limit: object, night: int, tally: Tally, policy: Policy) -> None:
    at_limit = bool(night // TRIAL_EVERY % 2)
    # A reading of a locked timer is a whole tick; its share must be taken from the true level.
    change = limit.detectable / rig.level if at_limit else 0.01
    runs = np.stack([rig.run(change) for _ in range(2 * policy.votes - 1)], axis=-1)
    up = sum(_verdict(v, c, t, policy) > 0 for v, c, t in zip(runs, base.centre, limit.threshold, strict=True))
    count = tally.at_limit if at_limit else tally.found
    count[0] += up
    count[1] += len(runs)


def _verdict(values: np.ndarray, centre: float, threshold: float, policy: Policy) -> int:
    """The side on which a night ends, taking no more runs than the procedure asks for."""
    sides = side(values, centre, threshold)
    for taken in range(1, len(sides) + 1):
        result, decided = vote(sides[:taken], policy.votes)
        if decided:
            return result
    raise AssertionError("a vote ends")


# ---- drift ----


def false_drifts(board: Board, seed: int, policy: Policy = POLICY) -> tuple[int, int]:
    """(alarms, nights) of the change-point search on histories without change. Values are drawn as run medians; odd runs
    stay in (the rerun would take them out). An alarm counts as accepted: its history starts again."""
    rng, alarms = np.random.default_rng(seed), 0
    for _ in range(board.boards):
        values = run_medians(board, rng, board.nights)
        start = 0
        for night in range(2 * drift.MIN_NIGHTS - 1, board.nights):
            found, least = find_drift(values[start : night + 1], board.samples, board.timer, policy)
            if found.nights and abs(found.change) > least:
                alarms, start = alarms + 1, night
    return alarms, board.boards * board.nights


def drift_nights(board: Board, slope: float, seed: int, quiet: int = 60, limit: int = 400) -> np.ndarray:
    """Nights of drift until the first alarm, by the verdict of the night or by the search, for each board; every board runs
    the whole interface on `quiet` nights without change first. `limit` stands for not found."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(board.boards):
        values = run_medians(board, rng, quiet + limit)
        ramp = board.latency * slope * np.maximum(0, np.arange(quiet + limit) - quiet + 1)
        rows.append(next((n for n in range(1, limit) if _drifted(values + ramp, quiet + n, rng, board)), limit))
    return np.asarray(rows)


def _drifted(values: np.ndarray, tonight: int, rng: np.random.Generator, board: Board) -> bool:
    """Whether the alarm of night `tonight` stands; a rerun adds the noise of another run."""
    first = Tonight((values[tonight - 1],), {}, board.samples, board.timer)
    history = Baseline(METRIC, tuple(values[: tonight - 1]), {})

    def rerun() -> Tonight:
        return replace(first, values=(values[tonight - 1] + board.latency * board.sd * float(board.draw(rng, (1,))[0]),))

    if judge_with_reruns(history, first, NOISY, rerun, POLICY).moved:
        return True
    judgement = judge_drift(history, first, POLICY)
    if judgement.needs_confirmation:
        judgement = judge_drift(history, replace(first, values=first.values + rerun().values), POLICY)
    return judgement.moved


# ---- tables ----


def share(count: int, trials: int, per: float = 1.0) -> str:
    """A proportion with its 95 % Clopper-Pearson interval; nights share their histories, so the interval is a little narrow."""
    from scipy.stats import binomtest

    interval = binomtest(count, trials).proportion_ci(0.95, "exact")
    digits = 2 if per == 100 else 3
    return f"{per * count / trials:.{digits}f} ({per * interval.low:.{digits}f}-{per * interval.high:.{digits}f})"


_TICK = 1 * MS
RANDOM, LOCKED = Timer(_TICK, True), Timer(_TICK, False)
BOARDS = (
    Board("median, sd 0.02 %", 2e-4),
    Board("median, sd 0.05 %", 5e-4),
    Board("median, sd 0.08 %", 8e-4),
    Board("median, each board another sd of 0.02-0.08 %", MIXED_SD),
    Board("95th percentile, same boards", MIXED_SD, read=percentile95),
    Board("median, sd 0.08 %, only nights with 10 to 19 earlier runs", 8e-4, boards=2000, nights=10),
)
HARDER = (
    Board("heavy tails (Student's t, 3 degrees)", MIXED_SD, draw=student3, boards=50),
    Board("two levels, 3 of 10 nights on the second", MIXED_SD, draw=two_levels, boards=50),
    Board("each night resembles the last (correlation 0.5)", MIXED_SD, memory=0.5, boards=50),
    Board("5 % of the runs off", MIXED_SD, odd_runs=0.05, boards=50),
    Board("5 % of the runs off, three of five runs must agree", MIXED_SD, odd_runs=0.05, policy=Policy(votes=3), boards=50),
    Board("reruns repeat all of the night's noise", MIXED_SD, night=1.0, boards=50),
    Board("1 % of the nights off, reruns and all", MIXED_SD, odd_nights=0.01, boards=50),
)


def ticking(ms: float, samples: int | None, timer: Timer, **changes: int) -> Board:
    how = "random phase" if timer.random_phase else "locked phase"
    board = Board(f"{ms:g} ms, {samples:,} samples, {how}", MIXED_SD, ms * MS, samples, timer, boards=50)
    return replace(board, **changes)


def enough(ms: float) -> int | None:
    """Samples that find +1 % with a 1 ms tick on the noisiest of the boards."""
    return samples_needed(ms, 1.0, 0.01, MIXED_SD[1], POLICY)


TICKING = (
    ticking(4, 270, RANDOM),
    ticking(4, enough(4), RANDOM, boards=20, nights=300, earlier=POLICY.max_runs),
    ticking(9, enough(9), RANDOM, boards=20, nights=500, earlier=POLICY.max_runs),
    ticking(20, enough(20), RANDOM, earlier=POLICY.max_runs),
    ticking(50, 270, RANDOM),
    ticking(410, 270, RANDOM),
    ticking(4, 270, LOCKED),
    ticking(100, 270, LOCKED),
    ticking(300, 270, LOCKED),
    ticking(410, 270, LOCKED),
)
HEADER = (
    "board",
    "nights",
    "false alarms in 1,000 nights",
    "nights with reruns in 1,000",
    "threshold %",
    "detectable %",
    "+1 % found the first night, %",
    "`detectable` found, %",
)


def verdict_table(boards: Sequence[Board], seed: int) -> str:
    return _markdown(HEADER, _rows(_verdict_row, boards, seed))


def _verdict_row(board: Board, seed: int) -> tuple[str, ...]:
    t = simulate(board, seed)
    return (
        board.name,
        f"{t.nights:,}",
        share(t.alarms, t.nights, 1000),
        f"{1000 * t.reruns / t.nights:.1f}",
        f"{100 * np.median(t.thresholds):.2f}",
        f"{100 * np.median(t.detectables):.2f}",
        share(*t.found, 100),
        share(*t.at_limit, 100),
    )


def _rows(row: Callable[..., tuple[str, ...]], cases: Sequence[object], seed: int) -> list[tuple[str, ...]]:
    """The rows in order, each with a seed of its own, on all cores."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(row, cases, range(seed, seed + len(cases))))


def naive_table(seed: int) -> str:
    """What simpler rules make of 20,000 nights of the middle board."""
    board = Board("", 5e-4, boards=20)
    rng = np.random.default_rng(seed)
    rig, runs, ranks = Rig(board, rng), [], []
    from scipy.stats import mannwhitneyu

    last = None
    for night in range(board.nights):
        rig.next_night()
        raw = rig.samples(rig.level * (1 + rig.sd * rng.standard_normal(board.boards) + rig.off(board.odd_runs)))
        runs.append(np.median(raw, axis=-1))
        if last is not None and night < 100:
            ranks.append(mannwhitneyu(raw, last, axis=-1).pvalue < 1e-3)
        last = raw
    x = np.stack(runs, axis=-1)
    three = [np.abs(x[:, i] - x[:, i - 20 : i].mean(1)) > 3 * x[:, i - 20 : i].std(1, ddof=1) for i in range(20, x.shape[1])]
    half = np.abs(np.diff(x, axis=1) / x[:, :-1]) > 0.005
    rows = [
        ("rank test of the raw samples against last night's, p < 0.001", np.mean(ranks)),
        ("beyond 3 standard deviations of the last 20 runs, no rerun", np.mean(three)),
        ("0.5 % off last night, no rerun", np.mean(half)),
    ]
    return _markdown(("rule", "false alarms in 1,000 nights"), [(name, f"{1000 * v:.1f}") for name, v in rows])


def drift_table(seed: int) -> str:
    cases = [(board, slope) for board in BOARDS[:3] for slope in (2e-4, 1e-4, 5e-5)]
    header = ("board", "drift a night", "found after nights (median)", "95th percentile", "% drifted by then", "not found in 400")
    return _markdown(header, _rows(_drift_row, cases, seed))


def _drift_row(case: tuple[Board, float], seed: int) -> tuple[str, ...]:
    board, slope = case
    n = drift_nights(board, slope, seed)
    return (
        board.name,
        f"+{100 * slope:g} %",
        f"{np.median(n):.0f}",
        f"{np.percentile(n, 95):.0f}",
        f"{100 * slope * np.median(n):.2f}",
        f"{np.sum(n >= 400)} of {len(n)}",
    )


HISTORIES = (
    Board("sd 0.02-0.08 %", MIXED_SD),
    Board("sd 0.08 %", 8e-4, boards=30),
    Board("sd 0.02-0.08 %, correlation 0.3 with the night before", MIXED_SD, memory=0.3, boards=30),
    Board("sd 0.02-0.08 %, correlation 0.5 with the night before", MIXED_SD, memory=0.5, boards=30),
)


def false_drift_table(seed: int) -> str:
    header = ("history", "nights", "false drift alarms in 1,000 nights")
    return _markdown(header, _rows(_false_drift_row, HISTORIES, seed))


def _false_drift_row(board: Board, seed: int) -> tuple[str, ...]:
    alarms, nights = false_drifts(board, seed)
    return board.name, f"{nights:,}", share(alarms, nights, 1000)


def _markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    from tabulate import tabulate

    return tabulate(list(rows), tuple(header), "github", disable_numparse=True)


def report(seed: int) -> str:
    tables = (
        ("Verdict of the night, timer of 1 cycle", lambda: verdict_table(BOARDS, seed)),
        ("Harder noise than reported of real boards", lambda: verdict_table(HARDER, seed + 100)),
        ("A timer that ticks in 1 ms", lambda: verdict_table(TICKING, seed + 200)),
        ("Simpler rules, for comparison", lambda: naive_table(seed + 300)),
        ("Drift: false alarms of the change-point search", lambda: false_drift_table(seed + 400)),
        ("Drift: when it is found", lambda: drift_table(seed + 500)),
    )
    parts = []
    for title, table in tables:
        start = time.perf_counter()
        parts.append(f"### {title}\n\n{table()}\n")
        print(f"{parts[-1]}\n({time.perf_counter() - start:.0f} s)\n", flush=True)
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--docs", type=Path, help="page whose figures are replaced")
    args = parser.parse_args()
    start = time.perf_counter()
    text = report(args.seed)
    print(f"seed {args.seed}, {time.perf_counter() - start:.0f} s")
    if args.docs:
        page = args.docs.read_text()
        before, rest = page.split(MARKERS[0])
        after = rest.split(MARKERS[1])[1]
        args.docs.write_text(f"{before}{MARKERS[0]}\n\n{text}\n{MARKERS[1]}{after}")


if __name__ == "__main__":
    main()
