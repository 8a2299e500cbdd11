"""The newest results in the words of other programs: Bencher, github-action-benchmark, pytest-benchmark, Prometheus.

One entry for each variant on each board. What was not measured, or not verified, is left out: none of these formats has a word
for it.
"""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.analysis.metric_table import END_METRICS, ends
from tinyrig.store.export import Line, run_lines
from tinyrig.tables import schema

US_S, US_NS = 1e-6, 1e3


@dataclass(frozen=True)
class Latest:
    """The newest measurement of a variant on a board. `line` as export.run_lines has it; `seconds`: one value for each timed
    inference, empty where the raw samples were deleted or nothing was verified."""

    line: Line
    seconds: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.line['variant']} on {self.line['board']}"

    def value(self, metric: str) -> float | None:
        """The ends of a band only where there is one."""
        if metric in END_METRICS and ends("latency_us_median", self.line) is None:
            return None
        found = self.line.get(metric)
        return None if found is None else float(found)


def latest(db: sa.Connection, **which: str | None) -> list[Latest]:
    """`which` as for export.run_lines; in the order in which variants and boards were first met."""
    newest: dict[tuple[str, str, str], Line] = {}
    for line in run_lines(db, **which):
        newest[line["variant"], line["board"], line["board_id"]] = line
    return [Latest(line, _seconds(db, line)) for line in newest.values()]


def _seconds(db: sa.Connection, line: Line) -> tuple[float, ...]:
    if line.get("latency_us_median") is None or not line["clock_hz"]:
        return ()
    s, v, r = schema.SAMPLES.c, schema.VARIANT_RUNS.c, schema.RUNS.c
    query = select(s.cycles).join(schema.VARIANT_RUNS, v.id == s.variant_run_id).join(schema.RUNS, r.seq == v.run_seq)
    mine = (r.run_id == line["run_id"], v.variant == line["variant"], s.kind.in_(("window", "repeat")))
    return tuple(cycles / line["clock_hz"] for cycles in db.scalars(query.where(*mine).order_by(s.position)))


def text(form: str, entries: Iterable[Latest]) -> str:
    """`form` is one of WRITERS."""
    return WRITERS[form](list(entries))


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


# ---- Bencher Metric Format (bencher.dev/docs/reference/bencher-metric-format; latency is in nanoseconds there) ----

_BMF = {
    # measure: (metric, factor, metric of the lower and of the upper value)
    "latency": ("latency_us_median", US_NS, "latency_us_min", "latency_us_max"),
    "accuracy": ("accuracy", 1.0, "accuracy_ci95_low", "accuracy_ci95_high"),
    "energy-uj": ("energy_uj_median", 1.0, None, None),
    "ram-bytes": ("ram_model_total", 1.0, None, None),
    "flash-bytes": ("flash_model_total", 1.0, None, None),
    "file-size": ("tflite_bytes", 1.0, None, None),
}


def _bmf(entries: list[Latest]) -> str:
    document: dict[str, dict[str, dict[str, float]]] = {}
    for entry in entries:
        measures = {}
        for measure, (metric, factor, low, high) in _BMF.items():
            values = {"value": metric, "lower_value": low, "upper_value": high}
            found = {key: entry.value(name) for key, name in values.items() if name}
            if found["value"] is not None:
                measures[measure] = {key: value * factor for key, value in found.items() if value is not None}
        if measures:
            document[entry.name] = measures
    return _json(document)


# ---- github-action-benchmark, tool customSmallerIsBetter: one direction a file, so accuracy becomes an error rate ----

_SMALLER: dict[str, tuple[str, str, Callable[[float], float]]] = {
    # name: (metric, unit, how the value is named)
    "latency": ("latency_us_median", "us", float),
    "energy": ("energy_uj_median", "uJ", float),
    "RAM": ("ram_model_total", "bytes", float),
    "flash": ("flash_model_total", "bytes", float),
    "top-1 error": ("accuracy", "%", lambda accuracy: round(100 * (1 - accuracy), 4)),
}


def _github_action_benchmark(entries: list[Latest]) -> str:
    rows = []
    for entry in entries:
        for what, (metric, unit, tell) in _SMALLER.items():
            value = entry.value(metric)
            if value is None:
                continue
            row = {"name": f"{entry.name}: {what}", "unit": unit, "value": tell(value)}
            low, high = entry.value("latency_us_min"), entry.value("latency_us_max")
            if what == "latency" and low is not None and high is not None:
                row["range"] = f"{low:g}-{high:g}"
            band = ends(metric, entry.line)
            known = "" if band is None else f", band {band[0]:g}-{band[1]:g} {unit}"
            rows.append({**row, "extra": f"run {entry.line['run_id']}, {entry.line['timing']}{known}"})
    return _json(rows)


# ---- pytest-benchmark: what its own JSON holds, from the raw samples ----


def _pytest_benchmark(entries: list[Latest]) -> str:
    newest = max((entry.line["started"] for entry in entries), default=_now())
    document = {
        "machine_info": {"node": platform.node(), "machine": platform.machine(), "system": platform.system(), "cpu": {}},
        "commit_info": {"id": "unknown", "dirty": False},
        "benchmarks": [_benchmark(entry) for entry in entries if entry.seconds],
        "datetime": newest,
        "version": "4.0.0",
    }
    return _json(document)


def _benchmark(entry: Latest) -> dict[str, Any]:
    line = entry.line
    kept = ("run_id", "timing", *END_METRICS, "board_id", "accuracy", "ram_model_total", "flash_model_total", "tflite_sha256")
    return {
        "group": line["board"],
        "name": line["variant"],
        "fullname": f"tinyrig::{line['board']}::{line['variant']}",
        "params": None,
        "param": None,
        "extra_info": {name: entry.value(name) if name in END_METRICS else line.get(name) for name in kept},
        "options": {"timer": f"cycles of the board, {line['timing']}"},
        "stats": _stats(np.asarray(entry.seconds)),
    }


def _stats(seconds: np.ndarray) -> dict[str, float | int | str]:
    """As pytest-benchmark defines them: quartiles of the sorted values, outliers beyond 1.5 IQR and beyond one standard
    deviation."""
    values = np.sort(seconds)
    mean, median = float(values.mean()), float(np.median(values))
    stddev = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    q1, q3 = (float(q) for q in np.percentile(values, (25, 75)))
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    inside = values[(values >= low) & (values <= high)]
    far, wild = int(np.sum(np.abs(values - mean) > stddev)), len(values) - len(inside)
    return {
        "min": float(values[0]),
        "max": float(values[-1]),
        "mean": mean,
        "stddev": stddev,
        "rounds": len(values),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": wild,
        "stddev_outliers": far,
        "outliers": f"{far};{wild}",
        "ld15iqr": float(inside[0]),
        "hd15iqr": float(inside[-1]),
        "ops": 1 / mean if mean else 0.0,
        "total": float(values.sum()),
        "iterations": 1,
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


# ---- Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats), for node_exporter's textfile collector ----

_GAUGES: dict[str, tuple[str, str, float]] = {
    # name below tinyrig_: (metric, what it is, factor to the base unit)
    "latency_median_seconds": ("latency_us_median", "Median of one inference.", US_S),
    "latency_low_seconds": ("latency_us_low", "Low end of an estimate's band, about the median.", US_S),
    "latency_high_seconds": ("latency_us_high", "High end of an estimate's band, about the median.", US_S),
    "latency_p95_seconds": ("latency_us_p95", "95th percentile of one inference.", US_S),
    "latency_max_seconds": ("latency_us_max", "Longest inference.", US_S),
    "energy_median_joules": ("energy_uj_median", "Median of one inference.", 1e-6),
    "accuracy_ratio": ("accuracy", "Share of test windows whose top-1 is the label.", 1.0),
    "parity_mismatched_windows": ("parity_mismatched_windows", "Windows whose outputs differ from the oracle's.", 1.0),
    "ram_bytes": ("ram_model_total", "RAM that the model costs: arena, static data, stack.", 1.0),
    "flash_bytes": ("flash_model_total", "Flash that the model costs: weights and code.", 1.0),
    "model_file_bytes": ("tflite_bytes", "Size of the .tflite.", 1.0),
}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _prometheus(entries: list[Latest]) -> str:
    lines = []
    for name, (metric, what, factor) in _GAUGES.items():
        values = [(entry, value * factor) for entry in entries if (value := entry.value(metric)) is not None]
        lines += _gauge(name, what, values)
    lines += _gauge("run_timestamp_seconds", "When the run began.", [(entry, _seconds_of(entry)) for entry in entries])
    return "".join(f"{line}\n" for line in lines)


def _gauge(name: str, what: str, values: list[tuple[Latest, float]]) -> list[str]:
    if not values:
        return []
    head = [f"# HELP tinyrig_{name} {what}", f"# TYPE tinyrig_{name} gauge"]
    return [*head, *(f"tinyrig_{name}{_labels(entry.line)} {value!r}" for entry, value in values)]


def _labels(line: Mapping[str, Any]) -> str:
    found = {name: str(line[name]).translate(_ESCAPES) for name in ("variant", "board", "board_id", "timing")}
    return "{" + ",".join(f'{name}="{value}"' for name, value in found.items()) + "}"


def _seconds_of(entry: Latest) -> float:
    return datetime.datetime.fromisoformat(entry.line["started"]).timestamp()


WRITERS: dict[str, Callable[[list[Latest]], str]] = {
    "bmf": _bmf,
    "github-action-benchmark": _github_action_benchmark,
    "pytest-benchmark": _pytest_benchmark,
    "prometheus": _prometheus,
}
"""--format's names."""
