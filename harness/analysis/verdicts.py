"""Is tonight's value of one metric, on one board and variant, still that of the last accepted runs?

Pure: values in, judgement out; who asks reads them from the store. docs/verdicts.md has the procedure in plain words and the
false-alarm and detection figures that bench/simulate_nights.py measures with these very functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, sqrt
from typing import Any

import numpy as np

from tinyrig.analysis import drift, stats
from tinyrig.analysis.metric_table import METRICS
from tinyrig.analysis.metrics import total_macs
from tinyrig.analysis.outputs import top1_hits
from tinyrig.analysis.provenance import METADATA_WORDS, differing_keys
from tinyrig.analysis.stats import FINE, Spread, Timer
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MOVED, Measurement, VerdictStatus

EXACT = "exact"
"""Any difference counts."""
NOISY = "noisy"
"""A difference counts beyond a threshold learnt from the board's own noise, and after a rerun."""
PAIRED = "paired"
"""Hits window by window, by McNemar's test."""

OUTPUTS = "outputs"
"""The hash of all output tensors; not in METRICS, it is no number."""
GATES: dict[str, str] = {
    "accuracy": PAIRED,
    OUTPUTS: EXACT,
    **dict.fromkeys(("auc", "f1", "cell_accuracy", "mae", "rmse", "r2", "reconstruction_error"), EXACT),
    "parity_mismatched_windows": EXACT,
    "parity_top1_changed": EXACT,
    "latency_cycles_median": NOISY,
    "latency_us_median": NOISY,
    "latency_us_p95": NOISY,
    "cycles_per_mac": NOISY,
    "ram_arena": EXACT,
    "ram_static": EXACT,
    "ram_stack": EXACT,
    "ram_model_total": EXACT,
    "ram_rig": EXACT,
    "flash_weights": EXACT,
    "flash_engine": EXACT,
    "flash_model_total": EXACT,
    "flash_rig": EXACT,
    "flash_total": EXACT,
    "tflite_bytes": EXACT,
    "zip_bytes": EXACT,
    "flops": EXACT,
    "macs": EXACT,
}
"""How each metric is judged. Those not named are shown and never judged: p99, minimum and maximum of the latency hang on a few
interrupted samples; counts of windows and samples are the user's settings; intervals follow from their metric."""


def gate(metric: str, timing: str) -> str | None:
    """How this metric is judged on a board with this kind of timing; estimated cycles and instructions repeat exactly. None: only
    shown, or no such value."""
    if timing == INSTRUCTIONS and metric.startswith("latency_us"):
        return None
    kind = GATES.get(metric)
    return EXACT if kind == NOISY and timing in (ESTIMATED, INSTRUCTIONS) else kind


@dataclass(frozen=True)
class Policy:
    """`alpha`: chance that one run without change lies beyond the threshold, two-sided; 0.0005 keeps nights below 1 false
    alarm in 1,000 even if a rerun repeats the noise of the first run. `min_change`: the least share of the baseline worth an
    alarm. `min_runs` accepted runs are needed to know the noise: with 8 of them the noisiest boards miss one +1 % in twenty,
    with 10 fewer than one in a hundred; the last `max_runs` are used. `accuracy_alpha`: McNemar's level. `votes`: runs of one
    night that must agree."""

    alpha: float = 5e-4
    min_change: float = 1e-3
    min_runs: int = 10
    max_runs: int = 20
    accuracy_alpha: float = 1e-3
    votes: int = 2
    drift_penalty: float = drift.PENALTY


@dataclass(frozen=True)
class Baseline:
    """The last accepted runs of one metric, oldest first. `values` are numbers, hashes, or for accuracy each window's hit (bool
    [windows]); `metadata` is metrics.checked_metadata of the last of them, with more keys where more must agree."""

    metric: str
    values: tuple[Any, ...]
    metadata: Mapping[str, Any]
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tonight:
    """The runs of this night in the order they were made, one value each, None where not measured; `why_not` says why.
    `samples` is the number of timed samples behind each value, `timer` what the board's counter resolves."""

    values: tuple[Any, ...]
    metadata: Mapping[str, Any]
    samples: int = 1
    timer: Timer = FINE
    why_not: str = ""


@dataclass(frozen=True)
class Judgement:
    """One metric of one board and variant. Differences are tonight minus baseline, in the metric's unit and in % of the
    baseline. `detectable`: the smallest change that this night finds with 99 % probability. `p_value` None where no chance is
    involved; `rank_p_value` is a second opinion without any assumption on the noise, from two runs of a night on.
    With `needs_confirmation` nothing is decided: measure once more and ask again."""

    metric: str
    status: VerdictStatus
    reason: str = ""
    baseline: Any = None
    value: Any = None
    difference: float | None = None
    difference_percent: float | None = None
    threshold: float | None = None
    detectable: float | None = None
    detectable_percent: float | None = None
    p_value: float | None = None
    rank_p_value: float | None = None
    runs: int = 0
    baseline_runs: int = 0
    needs_confirmation: bool = False
    drift_nights: int | None = None

    @property
    def moved(self) -> bool:
        """A difference that stands: better, worse or changed, and confirmed where that is asked for."""
        return self.status in MOVED and not self.needs_confirmation


# ---- what is compared ----


def timer_of(metric: str, run: Measurement) -> Timer:
    """What the board's timer resolves, in the unit of a noisy metric. Nothing says that an inference begins at a random moment
    within a step, so two readings differ by whole steps or not at all."""
    board = run.board
    if GATES.get(metric) != NOISY or not board.timer_hz or not board.clock_hz:
        return FINE
    if METRICS[metric].unit == "us":
        return Timer(1e6 / board.timer_hz)
    cycles = board.clock_hz / board.timer_hz
    return Timer(cycles / (total_macs(run) or inf) if metric == "cycles_per_mac" else cycles)


def hits(run: Measurement) -> tuple[bool, ...] | None:
    """Whether each window's top-1 class is its label, as accuracy is judged; None without labels."""
    found = top1_hits(run)
    return None if found is None else tuple(bool(hit) for hit in found)


def differing(baseline: Mapping[str, Any], tonight: Mapping[str, Any]) -> str:
    """The checked metadata that differ, in words; empty when the runs are comparable."""
    names = differing_keys(baseline, tonight)
    return "; ".join(
        f"{METADATA_WORDS.get(n, n)}: {baseline.get(n)!r} in the baseline, {tonight.get(n)!r} tonight" for n in names
    )


# ---- judgements ----


def judge(baseline: Baseline, tonight: Tonight, kind: str, policy: Policy = Policy()) -> Judgement:
    """The judgement of `baseline.metric`, judged as `kind` (see gate). Raises ValueError for a kind not known."""
    if not tonight.values or any(v is None for v in tonight.values):
        return Judgement(baseline.metric, VerdictStatus.NOT_MEASURED, tonight.why_not or "no value tonight")
    if not baseline.values:
        return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, "no accepted run yet", runs=len(tonight.values))
    differences = differing(baseline.metadata, tonight.metadata)
    if differences:
        return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, differences, runs=len(tonight.values))
    if kind not in _JUDGES:
        raise ValueError(f"a metric is judged as {', '.join(_JUDGES)}, not {kind!r}")
    return _JUDGES[kind](baseline, tonight, policy)


def judge_with_reruns(
    baseline: Baseline, tonight: Tonight, kind: str, rerun: Callable[[], Tonight], policy: Policy = Policy()
) -> Judgement:
    """`judge`, measuring again for as long as the judgement asks for it, twice at most. What `rerun` raises passes through."""
    judgement = judge(baseline, tonight, kind, policy)
    while judgement.needs_confirmation:
        more = rerun()
        differences = differing(tonight.metadata, more.metadata)
        if differences:
            return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, f"the rerun: {differences}", runs=judgement.runs + 1)
        tonight = replace(tonight, values=tonight.values + more.values, why_not=more.why_not)
        judgement = judge(baseline, tonight, kind, policy)
    return judgement


def _exact(baseline: Baseline, tonight: Tonight, policy: Policy) -> Judgement:
    if any(v != tonight.values[0] for v in tonight.values):
        reason = "an exact metric, yet its values differ between the runs of one night: " + ", ".join(map(str, tonight.values))
        return Judgement(baseline.metric, VerdictStatus.CHANGED, reason, baseline.values[-1], runs=len(tonight.values))
    before, value = baseline.values[-1], tonight.values[-1]
    number = all(isinstance(v, int | float | np.number) for v in (before, value))
    difference = value - before if number else None
    status = VerdictStatus.SAME if value == before else _direction(baseline.metric, float(difference or 0))
    return Judgement(
        baseline.metric,
        status,
        baseline=before,
        value=value,
        difference=difference,
        difference_percent=_percent(difference, before),
        threshold=0.0 if number else None,
        runs=len(tonight.values),
        baseline_runs=len(baseline.values),
    )


def _paired(baseline: Baseline, tonight: Tonight, policy: Policy) -> Judgement:
    before, now = np.asarray(baseline.values[-1], bool), np.asarray(tonight.values[-1], bool)
    if before.shape != now.shape or not before.size:
        reason = f"windows: {before.size} in the baseline, {now.size} tonight"
        return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, reason, runs=len(tonight.values))
    test = stats.mcnemar_exact(before, now)
    net = test.only_second - test.only_first
    least = stats.mcnemar_least(min(test.only_first, test.only_second), policy.accuracy_alpha) / before.size
    accuracy = float(before.mean())
    return Judgement(
        baseline.metric,
        _direction(baseline.metric, net) if test.p_value <= policy.accuracy_alpha else VerdictStatus.SAME,
        f"{test.only_first} windows lost, {test.only_second} won",
        accuracy,
        float(now.mean()),
        net / before.size,
        _percent(net / before.size, accuracy),
        least,
        least,
        _percent(least, accuracy),
        test.p_value,
        None,
        len(tonight.values),
        len(baseline.values),
    )


def _noisy(baseline: Baseline, tonight: Tonight, policy: Policy) -> Judgement:
    earlier = np.asarray(baseline.values[-policy.max_runs :], np.float64)
    values = np.asarray(tonight.values, np.float64)
    if len(earlier) < max(3, policy.min_runs):
        reason = f"{len(earlier)} accepted runs, {max(3, policy.min_runs)} are needed to know the noise"
        return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, reason, value=float(np.median(values)), runs=len(values))
    base = stats.spread(earlier)
    centre, limit = float(base.centre), limits(base, tonight.samples, tonight.timer, policy)
    difference = float(np.median(values)) - centre
    sign, decided = vote(side(values, centre, float(limit.threshold)), policy.votes)
    return Judgement(
        baseline.metric,
        _direction(baseline.metric, sign) if sign else VerdictStatus.SAME,
        "",
        centre,
        float(np.median(values)),
        difference,
        _percent(difference, centre),
        float(limit.threshold),
        float(limit.detectable),
        _percent(float(limit.detectable), centre),
        _chance(difference, float(limit.error), base.freedom),
        rank_p_value(earlier, values),
        len(values),
        len(earlier),
        not decided,
    )


_JUDGES: dict[str, Callable[[Baseline, Tonight, Policy], Judgement]] = {EXACT: _exact, PAIRED: _paired, NOISY: _noisy}


# ---- noisy metrics: the parts, on numbers or arrays alike, so that the simulation runs this code ----


@dataclass(frozen=True)
class Limits:
    """`error` is the standard deviation of one new run about the centre; `threshold` and `detectable` as in Judgement."""

    error: np.ndarray | float
    threshold: np.ndarray | float
    detectable: np.ndarray | float


def limits(base: Spread, samples: int, timer: Timer, policy: Policy = Policy()) -> Limits:
    """Threshold and smallest detectable change of one run of `samples` samples against `base`.

    A new run scatters about the centre of K by scale * sqrt(1 + 1/K); the threshold is where Student's t leaves `alpha` on both
    sides. Dithered ticks scatter a run by at most tick / (2 sqrt(samples)), whatever the earlier runs happened to show; ticks
    without dither can not tell less than one tick, and up to two more before a change surely shows.
    """
    size = np.abs(base.centre)
    dither = np.where(timer.dithers(size), timer.tick / (2 * sqrt(max(1, samples))), 0.0)
    error = np.maximum(base.scale, dither) * sqrt(1 + 1 / base.runs)
    whole = 0.0 if timer.random_phase else timer.tick
    least = np.maximum(policy.min_change * size, whole)
    threshold = np.maximum(stats.student_ratio(policy.alpha, base.freedom) * error, least)
    return Limits(error, threshold, threshold + stats.student_ratio(2 * _MISS, base.freedom) * error + 2 * whole)


_MISS = 0.003
"""Chance that a run with the smallest detectable change stays within the threshold by noise. The night then misses it
with little more; the rest to 1 % is for runs that are off the other way."""


def samples_needed(latency: float, tick: float, change: float, noise: float = 0.0, policy: Policy = Policy()) -> int | None:
    """How many samples a run needs for a timer of random phase to find a relative `change` of `latency` with 99 % probability
    after `policy.max_runs` runs whose medians scatter by the share `noise`; None when the noise alone hides the change."""
    freedom = policy.max_runs - 2 * int(stats.TRIM * policy.max_runs) - 1
    ratio = stats.student_ratio(policy.alpha, freedom) + stats.student_ratio(2 * _MISS, freedom)
    allowed = (change / ratio) ** 2 / (1 + 1 / policy.max_runs) - noise**2
    return ceil((tick / (2 * latency)) ** 2 / allowed) if allowed > 0 else None


def side(values: np.ndarray, centre: Any, threshold: Any) -> np.ndarray:
    """-1, 0 or 1 for each value: below, within or above centre +- threshold."""
    difference = np.asarray(values) - centre
    return np.where(np.abs(difference) > threshold, np.sign(difference), 0).astype(int)


def vote(sides: Sequence[int] | np.ndarray, votes: int = 2) -> tuple[int, bool]:
    """(side, decided) from the sides of a night's runs in order: a first run within the threshold ends it; else as many
    as `votes` must agree, out of 2 * votes - 1 at most, and without agreement nothing has changed."""
    sides = [int(s) for s in sides]
    if sides[0] == 0:
        return 0, True
    for candidate in (1, -1, 0):
        if sides.count(candidate) >= votes:
            return candidate, True
    return (sides[0] if len(sides) == 1 else 0), len(sides) >= 2 * votes - 1


def rank_p_value(earlier: np.ndarray, values: np.ndarray) -> float | None:
    """Two-sided Mann-Whitney p of tonight's runs against the earlier ones, exact without ties; None for a single run, for which
    it could not fall below 2 / (K + 1)."""
    if len(values) < 2:
        return None
    from scipy.stats import mannwhitneyu

    p = float(mannwhitneyu(values, earlier, alternative="two-sided").pvalue)
    return p if isfinite(p) else 1.0


def _chance(difference: float, error: float, freedom: int) -> float:
    if error:
        return float(stats.student_p(difference / error, freedom))
    return 1.0 if difference == 0 else 0.0


# ---- drift ----


def judge_drift(history: Baseline, tonight: Tonight, policy: Policy = Policy()) -> Judgement:
    """Whether the level has crept away since the last accepted change: `history.values` are the nights since then, oldest
    first, tonight not among them. An alarm stands when it stands with the median of two or more runs of tonight."""
    if not tonight.values or any(v is None for v in tonight.values):
        return Judgement(history.metric, VerdictStatus.NOT_MEASURED, tonight.why_not or "no value tonight")
    differences = differing(history.metadata, tonight.metadata)
    if differences:
        return Judgement(history.metric, VerdictStatus.NOT_COMPARABLE, differences, runs=len(tonight.values))
    values = np.asarray([*history.values, float(np.median(tonight.values))], np.float64)
    if len(values) < 2 * drift.MIN_NIGHTS:
        reason = f"{len(values)} nights since the last accepted change, {2 * drift.MIN_NIGHTS} are needed to see a drift"
        return Judgement(history.metric, VerdictStatus.NOT_COMPARABLE, reason, runs=len(tonight.values))
    found, least = find_drift(values, tonight.samples, tonight.timer, policy)
    sign = int(np.sign(found.change)) if found.nights and abs(found.change) > least else 0
    return Judgement(
        history.metric,
        _direction(history.metric, sign) if sign else VerdictStatus.SAME,
        "",
        found.before,
        found.after,
        found.change,
        _percent(found.change, found.before),
        least,
        runs=len(tonight.values),
        baseline_runs=len(history.values),
        needs_confirmation=bool(sign) and len(tonight.values) < policy.votes,
        drift_nights=found.nights,
    )


NOISE_FLOOR = 0.1
"""Share of the least change of interest below which the noise of a night is never assumed to lie."""


def find_drift(values: np.ndarray, samples: int, timer: Timer, policy: Policy = Policy()) -> tuple[drift.Drift, float]:
    """The last change point and the least change that counts, in the unit of the values."""
    size = abs(float(np.median(values)))
    dither = timer.tick / (2 * sqrt(max(1, samples))) if timer.dithers(size) else 0.0
    least = max(policy.min_change * size, 0.0 if timer.random_phase else timer.tick)
    return drift.find(values, floor=max(NOISE_FLOOR * least, dither), penalty=policy.drift_penalty), least


# ---- shared ----


def _direction(metric: str, difference: float) -> VerdictStatus:
    better = METRICS[metric].better if metric in METRICS else None
    if better is None:
        return VerdictStatus.CHANGED
    return VerdictStatus.BETTER if (difference < 0) == (better == "lower") else VerdictStatus.WORSE


def _percent(difference: Any, base: Any) -> float | None:
    return 100.0 * float(difference) / abs(float(base)) if difference is not None and base else None
