"""Repetitions of variants -> a table: means, intervals, and whether a difference from the baseline is more than noise."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinyrig.analysis.stats import Mean, holm, mean_of
from tinyrig.places.project import made
from tinyrig.variants.lab.repetitions import RepetitionPlan, RepetitionResult

SIGNIFICANCE = 0.05
_BASELINE = "simple"


def write(plan: RepetitionPlan, results: Sequence[RepetitionResult], folder: Path) -> str:
    """The table as Markdown and the results as CSV into `folder`; the table and the two paths, for the terminal."""
    made(folder)
    text = markdown(plan, results)
    page, raw = folder / f"{plan.stem}.md", folder / f"{plan.stem}.csv"
    page.write_text(text + "\n", "utf-8")
    with raw.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(RepetitionResult)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(result) for result in results)
    return f"{text}\n\n{page}\n{raw}"


def markdown(plan: RepetitionPlan, results: Sequence[RepetitionResult]) -> str:
    """A line a variant, in the order of the results, the baseline first."""
    from tabulate import tabulate

    by_name: dict[str, list[RepetitionResult]] = {}
    for result in results:
        by_name.setdefault(result.variant, []).append(result)
    baseline = _BASELINE if _BASELINE in by_name else next(iter(by_name))
    overlap = _overlap(plan, results)
    names = [baseline, *(name for name in by_name if name != baseline)]
    tests = [_difference(by_name[name], by_name[baseline], overlap) for name in names[1:]]
    corrected = holm([test.p_value for test in tests])
    lines = [_table_line(by_name[baseline], overlap, None, None)]
    lines += [_table_line(by_name[n], overlap, test, p) for n, test, p in zip(names[1:], tests, corrected, strict=True)]
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
    return f"{_title(plan, by_name[baseline])}\n\n{table}\n\n{_notes(plan, baseline, overlap)}"


def _table_line(results: list[RepetitionResult], overlap: float, test: Mean | None, p: float | None) -> list[str]:
    own = mean_of([100 * r.accuracy for r in results], overlap)
    # An accuracy has ends, Student's interval has none.
    interval = f"{max(own.low, 0):.2f}-{min(own.high, 100):.2f} %"
    against = ["-"] * 3 if test is None else [f"{test.mean:+.2f}", f"{test.low:+.2f} to {test.high:+.2f}", _p_text(p or 0.0)]
    reading = "baseline" if test is None else _reading(test, p or 0.0)
    return [
        f"`{results[0].variant}`",
        f"{own.mean:.2f} %",
        interval,
        *against,
        reading,
        _median(results, lambda r: r.tflite_bytes),
        _median(results, lambda r: r.compressed_bytes),
        _median(results, lambda r: r.macs),
    ]


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _reading(test: Mean, p: float) -> str:
    if p >= SIGNIFICANCE:
        return "within noise"
    return "better" if test.mean > 0 else "worse"


def _median(results: list[RepetitionResult], pick: Callable[[RepetitionResult], int | None]) -> str:
    values = [value for result in results if (value := pick(result)) is not None]
    return f"{np.median(values):,.0f}" if values else "-"


def _difference(results: list[RepetitionResult], baseline: list[RepetitionResult], overlap: float) -> Mean:
    """In points, of repetitions paired by seed and group."""
    before = {(r.seed, r.left_out): r.accuracy for r in baseline}
    return mean_of([100 * (r.accuracy - before[r.seed, r.left_out]) for r in results], overlap)


def _overlap(plan: RepetitionPlan, results: Sequence[RepetitionResult]) -> float:
    """stats.mean_of's: only the generated data is new with every seed."""
    if plan.seeds and plan.dataset == "glove":
        return 0.0
    return float(np.mean([r.windows / r.train_windows for r in results]))


def _title(plan: RepetitionPlan, results: list[RepetitionResult]) -> str:
    what = f"{len(results)} seeds" if plan.seeds else f"{len(results)} groups, each left out once"
    data = plan.dataset + (" (synthetic)" if plan.dataset == "glove" else "")
    short = f", every training cut to {plan.epochs} epochs" if plan.epochs else ""
    return f"# Variants over {what}: {data}{short}"


def _notes(plan: RepetitionPlan, baseline: str, overlap: float) -> str:
    shared = (
        "The repetitions share one data set, so intervals and tests are widened by its overlap (Nadeau and Bengio 2003)."
        if overlap
        else "Every seed generates its own data: trials, split and initial weights all differ."
    )
    return (
        "Accuracy of the .tflite on the host's reference kernels. Pairs of the same "
        f"{'seed' if plan.seeds else 'group'} are compared with {baseline}: paired t-test, p-values corrected for their "
        f"number (Holm), {SIGNIFICANCE:g} decides. `within noise` means that these repetitions show no difference, which does "
        f"not prove that there is none. {shared} Bytes and MACs are medians; coded weights: clustered or pruned weights as a "
        "codebook, Huffman-coded indices and gaps, which nothing on the board reads."
    )
