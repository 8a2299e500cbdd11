"""Every metric by name: its unit, which way is better, and whether it repeats to the digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinyrig.core.records import INSTRUCTIONS

NO_TIME = "instructions were counted, which give no time"


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
    "f1": Metric("fraction", "higher", True, _ratio),
    "cell_accuracy": Metric("fraction", "higher", True, _percent),
    "mae": Metric("target's unit", "lower", True, _small),
    "rmse": Metric("target's unit", "lower", True, _small),
    "r2": Metric("fraction", "higher", True, _ratio),
    "reconstruction_error": Metric("squared unit", "lower", True, _small),
    "parity_compared": Metric("windows", None, True, _count),
    "parity_mismatched_windows": Metric("windows", "lower", True, _count),
    "parity_max_abs_diff": Metric("LSB or real units", "lower", True, _small),
    "parity_top1_changed": Metric("windows", "lower", True, _count),
    "latency_cycles_median": Metric("cycles", "lower", False, _count),
    "latency_us_median": Metric("us", "lower", False, _us),
    "latency_us_low": Metric("us", "lower", False, _us),
    "latency_us_high": Metric("us", "lower", False, _us),
    "latency_layout_spread": Metric("fraction", "lower", False, _percent),
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


# ---- the band of an estimate ----

Ends = tuple[float, float]
"""A value at the low and at the high end of an estimate's band."""
END_METRICS = ("latency_us_low", "latency_us_high")
BANDED = ("latency_us_median", "latency_cycles_median", "cycles_per_mac")
"""The metrics that have a band where END_METRICS are known: all three are the same cycles in other units."""


def ends(metric: str, values: Mapping[str, float | None]) -> Ends | None:
    """The metric at both ends. None where nothing is known of a band: measured, counted in instructions, or stored without."""
    value, median = values.get(metric), values.get("latency_us_median")
    low, high = (values.get(name) for name in END_METRICS)
    if metric not in BANDED or value is None or not median or low is None or high is None or low == high:
        return None
    return value * low / median, value * high / median


def banded(form: Callable[[float], str], value: float, band: Ends | None) -> str:
    """`1.158 (1.142-1.280)`: the value, and in brackets both ends where there are any."""
    return form(value) if band is None else f"{form(value)} ({form(band[0])}-{form(band[1])})"
