"""`python -m tinyrig.reports.search.page search.json`: what a search found -> Markdown and a plot; the front is printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tinyrig.analysis.metric_table import Ends, banded
from tinyrig.core.config import load_config
from tinyrig.core.errors import EXIT_GOOD, EXIT_USER, UserError
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.places.project import made
from tinyrig.reports.text import count

Trial = Mapping[str, Any]
"""A candidate as search.json has it."""
LOG_RATIO = 5
"""Costs that span less are easier to read on a linear axis."""
_AXES = (("latency_us", "latency, us ({timing})"), ("ram_bytes", "RAM of the model, B"), ("flash_bytes", "flash of the model, B"))


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0 good, 2 the file can't be used; 128 and the number of the signal that ended it."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyrig.reports.search.page", description="Write the page and the plot of a search; print its front."
    )
    parser.add_argument("file", type=Path, metavar="search.json")
    parser.add_argument("--out", type=Path, help="output folder (default: .tinyrig/reports/search-NAME)")
    args = parser.parse_args(argv)
    try:
        with ending():
            document = _read_search(args.file)
            folder = args.out or Path(load_config().folders.reports) / f"search-{document['study']}"
            made(folder)
            (folder / "search.md").write_text(page(document), "utf-8")
            plot(document, folder / "pareto.png")
    except KeyboardInterrupt as interruption:
        return exit_status(interruption)
    except (UserError, OSError) as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return EXIT_USER
    words = (counts(document), front_table(document), *_notes(front(document)), floor_words(document), str(folder / "search.md"))
    print("\n\n".join(filter(None, words)))
    return EXIT_GOOD


def _read_search(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["schema"] != 1 or not {"study", "plan", "trials", "front"} <= document.keys():
            raise ValueError("another schema")
        return dict(document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        expected = "search.json as tinyrig search writes it"
        raise UserError(f"{path}: not a search", expected=expected, received=str(error), remedy="search again") from error


def measured(document: Mapping[str, Any]) -> list[Trial]:
    return [e for e in document["trials"] if e["state"] == "complete"]


def front(document: Mapping[str, Any]) -> list[Trial]:
    by_number = {e["number"]: e for e in document["trials"]}
    return [by_number[n] for n in document["front"]]


def below_floor(document: Mapping[str, Any]) -> list[Trial]:
    """Measured, and not accurate enough for the front."""
    return [e for e in measured(document) if e["number"] in set(document.get("below_floor", ()))]


def floor_words(document: Mapping[str, Any]) -> str:
    """What the front requires, and how many candidates do not meet it."""
    asked, out = document["plan"].get("min_accuracy"), len(below_floor(document))
    floor = f"at least {asked:g} % accurate" if asked is not None else "better than always naming the most frequent class"
    below = f"{count(out, 'measured candidate')} {'is' if out == 1 else 'are'} not"
    return f"Candidates on the front are {floor}; {below}." if out or asked is not None else ""


def counts(document: Mapping[str, Any]) -> str:
    """How many candidates were measured, and how many were given up at which stage."""
    given_up = Counter(e["stage"] for e in document["trials"] if e["state"] != "complete")
    words = [f"{len(measured(document))} measured", *(f"{n} given up: {stage}" for stage, n in sorted(given_up.items()))]
    return f"{len(document['trials'])} candidates: " + ", ".join(words)


def front_table(document: Mapping[str, Any]) -> str:
    """The Pareto front, most accurate first."""
    found = front(document)
    if not found:
        return "no candidate could be measured" if not measured(document) else "no candidate is accurate enough"
    timing = found[0]["timing"]
    rows = [
        (
            e["number"],
            e["name"],
            f"{e['accuracy']:.2%}",
            banded("{:,.1f}".format, e["latency_us"], _ends(e)),
            *(f"{e[key]:,}" for key in ("ram_bytes", "flash_bytes", "macs")),
        )
        for e in found
    ]
    headers = ["trial", "candidate", "validation accuracy", f"latency us ({timing})", "RAM B", "flash B", "MACs"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=("right", "left", *["right"] * 5))


def _ends(e: Trial) -> Ends | None:
    """Of its latency; None where it has no band, or is of a search from before bands were kept."""
    low, high = e.get("latency_us_low"), e.get("latency_us_high")
    return None if low is None or high is None else (low, high)


def _notes(found: Sequence[Trial]) -> list[str]:
    """What the latencies were checked against."""
    return [f"Latencies: {note}." for note in dict.fromkeys(e.get("timing_note") for e in found) if note]


def page(document: Mapping[str, Any]) -> str:
    """The whole Markdown page."""
    plan, found = document["plan"], front(document)
    options = f"--dataset {plan['dataset']} --seed {plan['seed']}" + (f" --epochs {plan['epochs']}" if plan["epochs"] else "")
    example = found[0]["name"] if found else "NAME"
    windows = f"{found[0]['windows']} validation windows" if found else "validation windows"
    limits = [f"{name.removeprefix('max_')} {plan[name]:,}" for name in ("max_ram", "max_flash", "max_latency") if plan.get(name)]
    blocks = [
        f"# Search {document['study']}",
        f"{counts(document)}. Data: {plan['dataset']}, seed {plan['seed']}. "
        + (f"Hard limits: {', '.join(limits)}." if limits else "No hard limits."),
        "## Pareto front",
        f"No other candidate is as good in accuracy, latency, RAM and flash, and better in one of them. Accuracy is on {windows} "
        "that training has not seen but the choice has, so it flatters the chosen candidates. The test part was not used. "
        + floor_words(document),
        front_table(document),
        *_notes(found),
        "![accuracy against latency, RAM and flash](pareto.png)",
        "## Repeat a candidate",
        "Each candidate is a variant. These commands train it on all but the test part and measure it with the test windows.",
        f"    F=$(tinyrig variants '{example}' {options} --folder-only)\n"
        f'    tinyrig run --model "$F/{example}.tflite" --windows "$F/windows.npz"',
        "## Given up",
        _given_up(document),
    ]
    return "\n\n".join(blocks) + "\n"


def _given_up(document: Mapping[str, Any]) -> str:
    rows = [(e["number"], e["name"], e["stage"], e["reason"]) for e in document["trials"] if e["state"] != "complete"]
    return tabulate(rows, ["trial", "candidate", "stage", "why"], tablefmt="github") if rows else "None."


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Accuracy against each cost; the front in colour, with its numbers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    complete, best = measured(document), front(document)
    low = lowest(complete, best)
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4.2), sharey=True, layout="constrained")
    for axes, (key, label) in zip(panels, _AXES, strict=True):
        _draw_panel(axes, complete, best, key, low)
        axes.set_xlabel(label.format(timing=best[0]["timing"] if best else "none"))
    panels[0].set_ylabel("validation accuracy, %")
    beyond = sum(100 * e["accuracy"] < low for e in complete)
    figure.suptitle(
        f"{document['study']}: {len(complete)} measured candidates, {len(best)} on the front"
        + (f"; {beyond} below {low:.0f} % at the lower edge" if beyond else "")
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def lowest(complete: Sequence[Trial], best: Sequence[Trial]) -> float:
    """Where the accuracy axis begins, in percent: the front fills it, and few poor candidates do not squeeze it."""
    wanted = [100 * e["accuracy"] for e in best or complete]
    if not wanted:
        return 0.0
    span = max(max(wanted) - min(wanted), 5.0)
    return max(0.0, float(min(wanted) - 0.5 * span))


def _draw_panel(axes: Any, complete: Sequence[Trial], best: Sequence[Trial], key: str, low: float) -> None:
    inside, beyond = ([e for e in complete if (100 * e["accuracy"] >= low) is within] for within in (True, False))
    axes.scatter([e[key] for e in inside], [100 * e["accuracy"] for e in inside], s=18, color="0.7", label="not on the front")
    if beyond:
        axes.scatter([e[key] for e in beyond], [low] * len(beyond), s=18, marker="v", color="0.7", clip_on=False)
    axes.scatter([e[key] for e in best], [100 * e["accuracy"] for e in best], s=30, color="tab:blue", label="front")
    if key == "latency_us":
        _draw_bands(axes, best)
    for e in best:
        axes.annotate(str(e["number"]), (e[key], 100 * e["accuracy"]), xytext=(3, 3), textcoords="offset points", fontsize=7)
    costs = [e[key] for e in complete]
    if costs and max(costs) > LOG_RATIO * min(costs):
        axes.set_xscale("log")
    axes.set_ylim(bottom=low)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")


def _draw_bands(axes: Any, best: Sequence[Trial]) -> None:
    """From the low to the high end of each estimate."""
    found = [(e["latency_us"], 100 * e["accuracy"], band) for e in best if (band := _ends(e))]
    if found:
        bars = [[us - low for us, _, (low, _) in found], [high - us for us, _, (_, high) in found]]
        at = [us for us, *_ in found], [accuracy for _, accuracy, _ in found]
        axes.errorbar(*at, xerr=bars, fmt="none", ecolor="tab:blue", elinewidth=0.8, capsize=2)


if __name__ == "__main__":
    sys.exit(main())
