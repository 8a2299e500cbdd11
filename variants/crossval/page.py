"""Results of cross-validations -> Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tabulate import tabulate

from tinyrig.variants.crossval.evaluate import CrossvalResult
from tinyrig.variants.data.datasets import Dataset


def best_of(results: Sequence[CrossvalResult]) -> CrossvalResult:
    """The most accurate on held-out windows; of equals the one with the fewest multiply-accumulates."""
    return max(results, key=lambda o: (o.mean, -o.macs))


def smallest_of(results: Sequence[CrossvalResult]) -> CrossvalResult:
    """The cheapest within one standard error of the best (Breiman et al. 1984, "1 SE rule"): what is better than it may be
    chance."""
    best = best_of(results)
    least = best.mean - best.spread / math.sqrt(len(best.test))
    return min((o for o in results if o.mean >= least), key=lambda o: (o.macs, o.tflite_bytes))


def table(results: Sequence[CrossvalResult]) -> str:
    """One line a configuration, the best first."""
    rows = [
        (str(o.network), o.parameters, o.macs, o.tflite_bytes, f"{_percent(o.train)}", f"{_percent(o.test)}")
        for o in sorted(results, key=lambda o: (-o.mean, o.macs))
    ]
    headers = ["network", "parameters", "MACs", ".tflite B", "training accuracy %", "test accuracy %"]
    return tabulate(rows, headers, tablefmt="github", colalign=("left", *["right"] * 5))


def _percent(accuracies: Sequence[float]) -> str:
    mean = sum(accuracies) / len(accuracies)
    spread = math.sqrt(sum((a - mean) ** 2 for a in accuracies) / (len(accuracies) - 1))
    return f"{mean:.2%} ± {spread:.2%}".replace("%", "")


def confusion(result: CrossvalResult, class_names: Sequence[str]) -> str:
    """Rows the true class, columns the predicted one; held-out windows of all folds."""
    lines = zip(class_names, result.confusion, strict=True)
    rows = [(name, *row, f"{row[i] / max(1, sum(row)):.1%}") for i, (name, row) in enumerate(lines)]
    return tabulate(rows, ["true \\ predicted", *class_names, "right"], tablefmt="github")


def page(results: Sequence[CrossvalResult], data: Dataset, epochs: int) -> str:
    """The whole report of one cross-validation."""
    best, smallest = best_of(results), smallest_of(results)
    synthetic = " (synthetic)" if data.synthetic else ""
    blocks = [
        f"# Cross-validation on {data.name}{synthetic}",
        f"{len(data.x)} windows, {best.method}, {epochs} epochs. Accuracy is mean ± standard deviation over {len(best.test)} "
        "folds; they share training windows, so the deviation is not a confidence interval.",
        table(results),
    ]
    if len(results) > 1:
        same = smallest.network == best.network
        words = "which is also the cheapest" if same else f"and `{smallest.network}` is the cheapest"
        blocks.append(f"`{best.network}` is the most accurate, {words} within one standard error of it.")
    shown = list({str(o.network): o for o in (best, smallest)}.values())
    for result in shown:
        blocks += [f"## Confusion matrix of `{result.network}`", confusion(result, data.class_names)]
    return "\n\n".join(blocks) + "\n"
