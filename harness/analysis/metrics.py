"""Raw samples -> values. Everything here is pure and can be recomputed from a stored run.

Latency is taken over the samples of kind "window" (every test window once) and "repeat" (one window again and again) together;
"profile" and "stack" samples are instrumented and never count. Outputs that were not verified against an oracle yield no timing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyrig.analysis import energy_metrics, mlperf_metrics, stats
from tinyrig.analysis.verification import withheld
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MEASURED, Measurement, OpInfo, Sample


def timed_cycles(run: Measurement) -> np.ndarray:
    """Cycles of all window and repeat samples, float64 [samples], verified or not."""
    return np.asarray([s.cycles for s in run.samples if s.kind in ("window", "repeat")], np.float64)


def latency(run: Measurement) -> dict[str, float | None] | None:
    """Cycles and microseconds of one inference with the input in place; None when withheld or never timed. Where instructions
    were counted they stand under `cycles_median`, and there are no microseconds."""
    cycles = timed_cycles(run)
    if withheld(run) or not cycles.size:
        return None
    if mlperf_metrics.is_foreign(run):
        return mlperf_metrics.latency(run)
    if run.board.timing == INSTRUCTIONS:
        no_us = dict.fromkeys(("us_median", "us_low", "us_high", "layout_spread", "us_p95", "us_p99", "us_min", "us_max"))
        return {"cycles_median": float(np.median(cycles)), **no_us, "samples": int(cycles.size)}
    us = cycles * 1e6 / run.board.clock_hz
    low, high = _ends(run, float(np.median(us)))
    return {
        "cycles_median": float(np.median(cycles)),
        "us_median": float(np.median(us)),
        "us_low": low,
        "us_high": high,
        "layout_spread": layout_spread(run),
        "us_p95": stats.percentile(us, 95),
        "us_p99": stats.percentile(us, 99),
        "us_min": float(us.min()),
        "us_max": float(us.max()),
        "samples": int(us.size),
    }


def band_of(samples: Sequence[Sample], spans: Sequence[Sequence[int]], overhead: int) -> dict[str, float] | None:
    """Median cycles of an inference at both ends, `low` and `high`. `spans`: (default, low, high) between two reads of the
    counter; `overhead`: what the board has subtracted. None where no timed sample is among them."""
    found = {default - overhead: (low - overhead, high - overhead) for default, low, high, *_ in spans}
    timed = [s.cycles for s in samples if s.kind in ("window", "repeat")]
    ends = np.asarray([found[cycles] for cycles in timed if cycles in found], np.float64)
    if not len(ends):
        return None
    share = np.asarray([cycles for cycles in timed if cycles in found], np.float64)
    low, high = np.median(ends / share[:, None], axis=0) * float(np.median(timed))
    return {"low": float(low), "high": float(high)}


def spread_band(samples: Sequence[Sample], spread: float) -> dict[str, float]:
    """The median less and plus a share of it: the band of estimates behind a calibrated memory system."""
    median = float(np.median([s.cycles for s in samples if s.kind in ("window", "repeat")]))
    return {"low": median * (1 - spread), "high": median * (1 + spread)}


def with_layouts(band: Mapping[str, float], middle: float, seen: Sequence[int], overhead: int) -> dict[str, float]:
    """The band with its high end at the worst of all layouts, and with `layout_best` and `layout_worst`: cycles by the default
    parameters at the best and at the worst of them.

    `middle`: the median by the default ones. `seen`: one inference's (default, low, high), and for each other layout (default,
    high), all by the counter; `overhead`: what the board subtracts. Cycles hardly depend on the input, so that one inference's
    ratios are taken for all."""
    default, _, high, *others = (cycles - overhead for cycles in seen)
    defaults, highs = (default, *others[::2]), (high, *others[1::2])
    return {
        **band,
        "high": band["high"] * max(highs) / high,
        "layout_best": middle * min(defaults) / default,
        "layout_worst": middle * max(defaults) / default,
    }


def layout_spread(run: Measurement) -> float | None:
    """How far the worst layout of the same code lies above the best, as a share of the median; None where only one was looked
    at."""
    band = run.settings.band or {}
    median = float(np.median(cycles)) if (cycles := timed_cycles(run)).size else 0.0
    if run.board.timing != ESTIMATED or "layout_worst" not in band or "layout_best" not in band or not median:
        return None
    return (band["layout_worst"] - band["layout_best"]) / median


def _ends(run: Measurement, us_median: float) -> tuple[float | None, float | None]:
    """Microseconds at the low and the high end. Both are the median where it was measured, None where an estimate has no band."""
    if run.board.timing == MEASURED:
        return us_median, us_median
    band = run.settings.band
    if run.board.timing != ESTIMATED or not band:
        return None, None
    return band["low"] * 1e6 / run.board.clock_hz, band["high"] * 1e6 / run.board.clock_hz


def throughput(run: Measurement) -> dict[str, Any] | None:
    """Of a foreign firmware by its benchmark's rule; None when withheld or never measured."""
    return _verified(run, mlperf_metrics.throughput(run))


def energy(run: Measurement) -> dict[str, Any] | None:
    """Of one inference, with a power meter; None when withheld or never measured."""
    return _verified(run, energy_metrics.energy(run))


def _verified(run: Measurement, found: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if found is None or withheld(run) else found


def ram(run: Measurement) -> dict[str, int | None] | None:
    """Bytes; stack is the highest mark of all samples, None (and no total) when no sample measured it. None: not known."""
    f = run.image.footprint
    if f is None:
        return None
    marks = [s.stack_bytes for s in run.samples if s.stack_bytes is not None]
    stack = max(marks) if marks else None
    total = None if stack is None else f.ram_arena + f.ram_static + stack
    return {"arena": f.ram_arena, "static": f.ram_static, "stack": stack, "model_total": total, "rig": f.ram_rig}


def flash(run: Measurement) -> dict[str, int] | None:
    """Bytes by section arithmetic. None: not known."""
    f = run.image.footprint
    return (
        None
        if f is None
        else {
            "weights": f.flash_weights,
            "engine": f.flash_engine,
            "model_total": f.flash_model,
            "rig": f.flash_rig,
            "total": f.flash_total,
        }
    )


def ops(run: Measurement) -> list[dict[str, Any]]:
    """Every step: the median of its cycles over the profile samples (None when withheld or not profiled), its MACs, cycles
    for each of them (None without any), and its share of all cycles."""
    rows = [s.op_cycles for s in run.samples if s.kind == "profile" and len(s.op_cycles) == len(run.image.ops)]
    if not rows or withheld(run):
        return [_op(op, None, None) for op in run.image.ops]
    cycles = np.median(np.asarray(rows, np.float64), axis=0)
    return [_op(op, float(c), float(cycles.sum())) for op, c in zip(run.image.ops, cycles, strict=True)]


def _op(op: OpInfo, cycles: float | None, total: float | None) -> dict[str, Any]:
    return {
        "index": op.index,
        "op": op.op,
        "name": op.name,
        "cycles": cycles,
        "macs": op.macs,
        "cycles_per_mac": cycles / op.macs if cycles is not None and op.macs else None,
        "share": cycles / total if cycles is not None and total else None,
    }


def total_macs(run: Measurement) -> int | None:
    """Multiply-accumulates of one inference: as counted by the builder, else by the compiler; None when neither did."""
    if run.variant.macs is not None:
        return run.variant.macs
    return sum(op.macs for op in run.image.ops) or None
