"""Repetitions of variants -> a table: means, intervals, and whether a difference from the baseline is more than noise."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyrig.analysis.stats import Mean, holm, mean_of
from tinyrig.variants.lab.repeat import Request, Row

SIGNIFICANCE = 0.05
_BASELINE = "simple"
_COLUMNS = (
    "variant",
    "seed",
    "left_out",
    "correct",
    "windows",
    "accuracy",
    "train_windows",
    "tflite_bytes",
    "zip_bytes",
    "compressed_bytes",
    "weight_bytes",
    "macs",
    "flops",
    "sparsity",
    "key",
    "tflite_sha256",
)


def write(request: Request, rows: Sequence[Row], folder: Path) -> str:
    """The table as Markdown and the rows as CSV into `folder`; the table and the two places, for the terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(request, rows)
    page, raw = folder / f"{request.stem}.md", folder / f"{request.stem}.csv"
    page.write_text(text + "\n", "utf-8")
    with raw.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return f"{text}\n\n{page}\n{raw}"


def markdown(request: Request, rows: Sequence[Row]) -> str:
    """A line a variant, in the order of the rows, the baseline first."""
    from tabulate import tabulate

    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row["variant"], []).append(row)
    baseline = _BASELINE if _BASELINE in by_name else next(iter(by_name))
    overlap = _overlap(request, rows)
    names = [baseline, *(name for name in by_name if name != baseline)]
    tests = [_difference(by_name[name], by_name[baseline], overlap) for name in names[1:]]
    corrected = holm([test.p_value for test in tests])
    lines = [_line(by_name[baseline], overlap, None, None)]
    lines += [_line(by_name[n], overlap, test, p) for n, test, p in zip(names[1:], tests, corrected, strict=True)]
    headers = [
        "variant",
        "top-1, mean",
        "95 % interval",
        f"against {baseline}, points",
        "95 % interval",
        "p, Holm",
        "reading",
        "file B",
        "coded weights B",
        "MACs",
    ]
    table = tabulate(lines, headers, "pipe", disable_numparse=True, colalign=("left", *["right"] * 5, "left", *["right"] * 3))
    return f"{_title(request, by_name[baseline])}\n\n{table}\n\n{_notes(request, baseline, overlap)}"


def _line(rows: list[Row], overlap: float, test: Mean | None, p: float | None) -> list[str]:
    own = mean_of([100 * row["accuracy"] for row in rows], overlap)
    # An accuracy has ends, Student's interval has none.
    interval = f"{max(own.low, 0):.2f}-{min(own.high, 100):.2f} %"
    against = ["-"] * 3 if test is None else [f"{test.mean:+.2f}", f"{test.low:+.2f} to {test.high:+.2f}", _p(p or 0.0)]
    reading = "baseline" if test is None else _reading(test, p or 0.0)
    return [
        f"`{rows[0]['variant']}`",
        f"{own.mean:.2f} %",
        interval,
        *against,
        reading,
        *(_middle(rows, key) for key in ("tflite_bytes", "compressed_bytes", "macs")),
    ]


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _reading(test: Mean, p: float) -> str:
    if p >= SIGNIFICANCE:
        return "within noise"
    return "better" if test.mean > 0 else "worse"


def _middle(rows: list[Row], key: str) -> str:
    values = [row[key] for row in rows if row[key] is not None]
    return f"{np.median(values):,.0f}" if values else "-"


def _difference(rows: list[Row], baseline: list[Row], overlap: float) -> Mean:
    """In points, of repetitions paired by seed and group."""
    before = {(row["seed"], row["left_out"]): row["accuracy"] for row in baseline}
    return mean_of([100 * (row["accuracy"] - before[row["seed"], row["left_out"]]) for row in rows], overlap)


def _overlap(request: Request, rows: Sequence[Row]) -> float:
    """stats.mean_of's: only the generated data are new with every seed."""
    if request.seeds and request.dataset == "glove":
        return 0.0
    return float(np.mean([row["windows"] / row["train_windows"] for row in rows]))


def _title(request: Request, rows: list[Row]) -> str:
    what = f"{len(rows)} seeds" if request.seeds else f"{len(rows)} groups, each left out once"
    data = request.dataset + (" (synthetic)" if request.dataset == "glove" else "")
    short = f", every training cut to {request.epochs} epochs" if request.epochs else ""
    return f"# Variants over {what}: {data}{short}"


def _notes(request: Request, baseline: str, overlap: float) -> str:
    shared = (
        "The repetitions share one data set, so intervals and tests are widened by its overlap (Nadeau and Bengio 2003)."
        if overlap
        else "Every seed generates data of its own: trials, split and initial weights differ together."
    )
    return (
        "Accuracy of the .tflite on the host's reference kernels. Pairs of the same "
        f"{'seed' if request.seeds else 'group'} are compared with {baseline}: paired t-test, p-values corrected for their "
        f"number (Holm), {SIGNIFICANCE:g} decides. `within noise` means that these repetitions don't show a difference, which "
        f"is no proof that there is none. {shared} Bytes and MACs are medians; coded weights: clustered or pruned weights as a "
        "codebook, Huffman-coded indices and gaps, which nothing on the board reads."
    )
