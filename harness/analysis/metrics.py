"""Raw samples -> values. Everything here is pure and can be recomputed from a stored run.

Accuracies and intervals are fractions (0 to 1). Latency is taken over the samples of kind "window" (every test window once)
and "repeat" (one window again and again) together, "profile" and "stack" samples are instrumented and never count.
Outputs that were not verified against an oracle yield no timing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any

import numpy as np

from tinyrig.analysis import energy_metrics, mlperf_metrics, stats
from tinyrig.core.errors import InfraError
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MEASURED, Measurement, OpInfo, Parity, Sample

FLOAT_TOLERANCE = 1e-5
"""Largest float difference to the oracle: absolute up to outputs of magnitude 1, relative to the largest output above.
A run's setting `float_tolerance` replaces it."""

TIMING_NOTES = {
    ESTIMATED: "estimated cycles of the virtual board's Cortex-M4F timing model: zero wait states, the nRF52840's flash wait "
    "states and cache are not modelled, floating-point timing has no silicon check",
    MEASURED: "cycles of the board's own counter (DWT CYCCNT), the timer's overhead taken off",
    INSTRUCTIONS: "instructions that an emulator executed, counted one by one, the timer's overhead taken off: neither cycles "
    "nor time",
}
NO_TIME = "instructions were counted, which tell no time"
ORACLE_NOTES = {
    "tflm": "tflite-micro: TFLM's reference kernels, run on the host",
    "litert-ref": "LiteRT interpreter with the BUILTIN_REF op resolver, run on the host",
}


def unit(timing: str) -> str:
    """What a counter of this kind counts."""
    return "instructions" if timing == INSTRUCTIONS else "cycles"


def counted(timing: str) -> str:
    """The same with where it comes from: `estimated cycles`, `measured cycles`, `instructions`."""
    return "instructions" if timing == INSTRUCTIONS else f"{timing} cycles"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _interval(value: tuple[float, float]) -> str:
    return f"{100 * value[0]:.2f}-{100 * value[1]:.2f} %"


def _us(value: float) -> str:
    return f"{value:,.1f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _small(value: float) -> str:
    return f"{value:.3g}"


@dataclass(frozen=True)
class Metric:
    """`better` is "lower", "higher" or None (no direction); `exact` values repeat to the digit on one board and image,
    others are noisy on a physical board; `format` turns a value (never None) into text without its unit, percent excepted."""

    unit: str
    better: str | None
    exact: bool
    format: Callable[[Any], str]


METRICS: dict[str, Metric] = {
    "windows": Metric("windows", None, True, _count),
    "accuracy": Metric("fraction", "higher", True, _percent),
    "accuracy_ci95": Metric("fraction", None, True, _interval),
    "host_accuracy": Metric("fraction", "higher", True, _percent),
    "auc": Metric("fraction", "higher", True, _ratio),
    "parity_compared": Metric("windows", None, True, _count),
    "parity_mismatched_windows": Metric("windows", "lower", True, _count),
    "parity_max_abs_diff": Metric("LSB or real units", "lower", True, _small),
    "parity_top1_changed": Metric("windows", "lower", True, _count),
    "latency_cycles_median": Metric("cycles", "lower", False, _count),
    "latency_us_median": Metric("us", "lower", False, _us),
    "latency_us_p95": Metric("us", "lower", False, _us),
    "latency_us_p99": Metric("us", "lower", False, _us),
    "latency_us_min": Metric("us", "lower", False, _us),
    "latency_us_max": Metric("us", "lower", False, _us),
    "latency_samples": Metric("samples", None, True, _count),
    "energy_uj_median": Metric("uJ", "lower", False, _us),
    "throughput": Metric("inferences/s", "higher", False, _ratio),
    "cycles_per_mac": Metric("cycles/MAC", "lower", False, _ratio),
    "ram_arena": Metric("bytes", "lower", True, _count),
    "ram_static": Metric("bytes", "lower", True, _count),
    "ram_stack": Metric("bytes", "lower", True, _count),
    "ram_model_total": Metric("bytes", "lower", True, _count),
    "ram_rig": Metric("bytes", None, True, _count),
    "flash_weights": Metric("bytes", "lower", True, _count),
    "flash_engine": Metric("bytes", "lower", True, _count),
    "flash_model_total": Metric("bytes", "lower", True, _count),
    "flash_rig": Metric("bytes", None, True, _count),
    "flash_total": Metric("bytes", None, True, _count),
    "tflite_bytes": Metric("bytes", "lower", True, _count),
    "zip_bytes": Metric("bytes", "lower", True, _count),
    "flops": Metric("FLOP", "lower", True, _count),
    "macs": Metric("MAC", "lower", True, _count),
}


# ---- outputs ----


def window_samples(run: Measurement) -> list[Sample]:
    """One sample per test window, by window index; a window that was streamed again counts with its last answer."""
    return [s for _, s in sorted({s.index: s for s in run.samples if s.kind == "window"}.items())]


def first_outputs(run: Measurement) -> np.ndarray:
    """The first output tensor of every window, dequantised: float32 [windows, elements]. Raises InfraError if bytes lack."""
    spec = run.image.outputs[0]
    rows = [s.outputs[: spec.nbytes] for s in window_samples(run)]
    short = next((i for i, row in enumerate(rows) if len(row) != spec.nbytes), None)
    if short is not None:
        raise InfraError(
            f"{run.variant.name}: the sample of window {short} does not hold output tensor {spec.name!r}",
            expected=f"{spec.nbytes} bytes",
            received=f"{len(rows[short])} bytes",
            remedy="stream this variant again",
        )
    raw = np.frombuffer(b"".join(rows), np.dtype(spec.dtype).newbyteorder("<"))
    return spec.dequantize(raw).reshape(len(rows), spec.size)


def predictions(run: Measurement) -> np.ndarray | None:
    """Top-1 class of every window, int64 [windows]: argmax of the first output. None for one-element outputs."""
    if not run.image.outputs or run.image.outputs[0].size < 2:
        return None
    return np.asarray(np.argmax(first_outputs(run), axis=1))


def top1_hits(run: Measurement) -> np.ndarray | None:
    """Whether the top-1 class equals the label, bool [windows] by window index; None without labels or classes.

    Raises InfraError when a window has no label among them.
    """
    samples, predicted = window_samples(run), predictions(run)
    if run.labels is None or predicted is None or not samples:
        return None
    if samples[-1].index >= len(run.labels):
        raise InfraError(
            f"{run.variant.name}: window {samples[-1].index} has no label",
            expected="a label for every window",
            received=f"{len(run.labels)} labels",
            remedy="stream this variant again",
        )
    return np.asarray(predicted == np.asarray([run.labels[s.index] for s in samples]))


def accuracy(run: Measurement) -> tuple[float | None, tuple[float, float] | None]:
    """(fraction right, Wilson 95 % interval); both None without labels."""
    hits = top1_hits(run)
    if hits is None:
        return None, None
    return float(np.mean(hits)), stats.wilson(int(np.sum(hits)), len(hits))


def auc(run: Measurement) -> float | None:
    """Area under the ROC curve where the output is a single score and labels are 0 and 1."""
    found = _auc(run)
    return None if found is None else found[0]


def _auc(run: Measurement) -> tuple[float, float] | None:
    samples = window_samples(run)
    if run.labels is None or not samples or not run.image.outputs or run.image.outputs[0].size != 1:
        return None
    labels = [run.labels[s.index] for s in samples if s.index < len(run.labels)]
    return mlperf_metrics.auc(first_outputs(run)[:, 0], labels) if len(labels) == len(samples) else None


# ---- verification ----


def withheld(run: Measurement) -> str | None:
    """Why this run yields no timing, or None when its outputs are verified."""
    if run.parity is None and mlperf_metrics.is_foreign(run):
        return mlperf_metrics.unproven(run.image.outputs[0].size, accuracy(run)[1], _auc(run))
    if run.parity is None:
        return "unverified: no oracle compared the outputs"
    total = len({s.index for s in run.samples if s.kind == "window"})
    if not total or run.parity.compared < total:
        return f"unverified: the oracle compared {run.parity.compared} of {total} windows"
    reason = _disagreement(run, run.parity)
    return f"parity failed: {reason}; an unverified output yields no timing" if reason else _unsteady(run)


def _disagreement(run: Measurement, parity: Parity) -> str | None:
    if parity.mismatched_windows:
        return f"{parity.mismatched_windows} of {parity.compared} windows differ from {parity.oracle}"
    if parity.top1_changed:
        return f"top-1 changed in {parity.top1_changed} of {parity.compared} windows against {parity.oracle}"
    if all(np.issubdtype(np.dtype(spec.dtype), np.integer) for spec in run.image.outputs):
        return None
    # Written so that a NaN difference fails. A window's own magnitude decided its mismatch; this is the outer limit.
    allowed = float_tolerance(run) * max(1.0, _magnitude(run))
    return (
        None
        if parity.max_abs_diff <= allowed
        else (f"outputs differ from {parity.oracle} by {parity.max_abs_diff:.3g}, allowed {allowed:.3g}")
    )


def float_tolerance(run: Measurement) -> float:
    """The tolerance this run was compared with, real units."""
    return float(run.settings.get("float_tolerance", FLOAT_TOLERANCE))


def _magnitude(run: Measurement) -> float:
    """Largest finite magnitude of the first output over all windows."""
    values = np.abs(first_outputs(run))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def _unsteady(run: Measurement) -> str | None:
    repeats = {s.outputs for s in run.samples if s.kind == "repeat" and s.outputs}
    return f"unverified: repeats of one window gave {len(repeats)} different outputs" if len(repeats) > 1 else None


# ---- groups of values; their keys are those of `--json` ----


def parity(run: Measurement) -> dict[str, Any] | None:
    """The parity record, None without an oracle; a difference that is not finite becomes None."""
    p = run.parity
    return (
        None
        if p is None
        else {
            "oracle": p.oracle,
            "compared": p.compared,
            "mismatched_windows": p.mismatched_windows,
            "max_abs_diff": float(p.max_abs_diff) if isfinite(p.max_abs_diff) else None,
            "top1_changed": p.top1_changed,
            "first_mismatch": p.first_mismatch,
        }
    )


def timed_cycles(run: Measurement) -> np.ndarray:
    """Cycles of all window and repeat samples, float64 [samples], verified or not."""
    return np.asarray([s.cycles for s in run.samples if s.kind in ("window", "repeat")], np.float64)


def latency(run: Measurement) -> dict[str, float | None] | None:
    """Cycles and microseconds of one inference with the input in place; None when withheld or never timed. Where instructions
    were counted they stand under `cycles_median`, and no microseconds are told."""
    cycles = timed_cycles(run)
    if withheld(run) or not cycles.size:
        return None
    if mlperf_metrics.is_foreign(run):
        return mlperf_metrics.latency(run)
    if run.board.timing == INSTRUCTIONS:
        no_us = dict.fromkeys(("us_median", "us_p95", "us_p99", "us_min", "us_max"))
        return {"cycles_median": float(np.median(cycles)), **no_us, "samples": int(cycles.size)}
    us = cycles * 1e6 / run.board.clock_hz
    return {
        "cycles_median": float(np.median(cycles)),
        "us_median": float(np.median(us)),
        "us_p95": stats.percentile(us, 95),
        "us_p99": stats.percentile(us, 99),
        "us_min": float(us.min()),
        "us_max": float(us.max()),
        "samples": int(us.size),
    }


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


def metric_values(run: Measurement) -> dict[str, Any]:
    """Every name of METRICS -> value, None where it was not measured or is withheld."""
    value, interval = accuracy(run)
    groups = {"parity": parity(run), "latency": latency(run), "ram": ram(run), "flash": flash(run)}
    flat = {f"{group}_{key}": v for group, values in groups.items() for key, v in (values or {}).items()}
    macs, cycles = total_macs(run), flat.get("latency_cycles_median")
    v = run.variant
    flat |= {
        "windows": len(window_samples(run)),
        "accuracy": value,
        "accuracy_ci95": interval,
        "host_accuracy": v.host_accuracy,
        "auc": auc(run),
        "throughput": (throughput(run) or {}).get("median"),
        "energy_uj_median": (energy(run) or {}).get("uj_median"),
        "tflite_bytes": v.tflite_bytes,
        "zip_bytes": v.zip_bytes,
        "flops": v.flops,
        "macs": macs,
        "cycles_per_mac": cycles / macs if cycles is not None and macs else None,
    }
    return {name: flat.get(name) for name in METRICS}


# ---- what a run belongs to ----


def checked_metadata(run: Measurement) -> dict[str, Any]:
    """What must agree before two runs stand in one table or are compared. A timer that counts every cycle is not named, as in
    runs from before it was kept: their history goes on."""
    tool, board = run.image.toolchain, run.board
    coarse = {"timer_hz": board.timer_hz} if board.timer_hz not in (None, board.clock_hz) else {}
    return {
        "board": board.name,
        "clock_hz": board.clock_hz,
        "timing": board.timing,
        "compiler": tool.cc,
        "flags": tool.flags,
        **coarse,
    }


def comparable_metadata(run: Measurement) -> dict[str, Any]:
    """What must agree before the values of two runs of one variant are compared: the checked metadata, the engine and the test
    windows (their number and labels; their bytes follow the model's own quantisation)."""
    labels = None if run.labels is None else sha256(json.dumps([int(n) for n in run.labels]).encode()).hexdigest()[:16]
    windows = len({s.index for s in run.samples if s.kind == "window"})
    return {**checked_metadata(run), "engine": run.image.engine, "windows": windows, "labels": labels}


def metadata_hash(metadata: Mapping[str, Any]) -> str:
    """SHA-256 as hex: equal for equal metadata."""
    return sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def outputs_hash(run: Measurement) -> str:
    """SHA-256 of the output bytes of all windows in their order, each with its index."""
    digest = sha256()
    for sample in window_samples(run):
        digest.update(f"{sample.index}:{len(sample.outputs)}:".encode() + sample.outputs)
    return digest.hexdigest()


def link(run: Measurement) -> dict[str, Any] | None:
    """What the line cost: counts, bytes, seconds of recovering; with the faults that were injected on purpose and how often. Of a
    resumed run it tells the last attempt only.
    None for a run that was stored without."""
    counts = run.settings.get("link")
    if not isinstance(counts, dict):
        return None
    return counts | {"injected_faults": run.settings.get("injected_faults", []), "injected": run.settings.get("injected", {})}


def timing_note(run: Measurement) -> str:
    """What the timing comes from, in words."""
    return mlperf_metrics.TIMING_NOTE if mlperf_metrics.is_foreign(run) else TIMING_NOTES.get(run.board.timing, run.board.timing)


def oracle_note(run: Measurement) -> str:
    """Which reference the outputs were held against, in words."""
    if run.parity is None:
        return "none: outputs were not compared with a reference"
    return ORACLE_NOTES.get(run.parity.oracle, run.parity.oracle)
