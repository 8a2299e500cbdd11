"""`tinyrig dataset`: what a dataset holds, before anything is trained on it: classes, lengths, channels, and what is odd."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from tinyrig.core.errors import EXIT_GOOD, HostError, RigError
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status
from tinyrig.variants.data import datasets, user_data
from tinyrig.variants.data.datasets import Dataset

_EXAMPLES = """examples:
  tinyrig dataset data/
  tinyrig dataset gesture.npz --plot gesture.svg --json gesture.json

exit codes: 0 good; 2 unusable data; 3 the result can't be written"""
RECORDING = "recording.json"
SCHEMA = 1
AT_END = 0.001
"""A channel whose values lie on their lowest or highest one more often than this, and more than MOST_CHANCE times, may be
clipped."""
MOST_CHANCE = 3
TRIALS_DRAWN = 3


def main(argv: list[str] | None = None) -> int:
    """-> exit code: 0 good, 2 the data are unusable, 3 the result can't be written."""
    args = parse(argv)
    try:
        with ending():
            _inspect(args)
    except RigError as error:
        say(f"tinyrig: {error}")
        return error.exit_code
    except KeyboardInterrupt as interruption:
        return exit_status(interruption)
    except Exception as error:
        return unforeseen(error, "tinyrig")
    return EXIT_GOOD


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tinyrig dataset",
        description="Show what a dataset holds: classes, lengths, channels, what is clipped or constant.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", help="glove, watch, an .npz or a folder of CSV trials")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="as JSON (schema 1); without FILE to stdout")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw some trials of each class: .svg, .png or .pdf")
    return parser.parse_args(argv)


def _inspect(args: argparse.Namespace) -> None:
    data = loaded(args.dataset)
    found = described(data, _recording(Path(args.dataset)))
    try:
        if args.plot:
            plot(data, args.plot)
        if args.json and args.json != "-":
            Path(args.json).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: matplotlib does not know the suffix
        raise HostError("the result can't be written", received=str(error)[:300], remedy="name another file") from error
    print(json.dumps(found, indent=1, allow_nan=False) if args.json == "-" else text(found))


def loaded(spec: str) -> Dataset:
    """Without the demands of training: one class of one trial can be looked at too. Raises UserError, HostError."""
    if spec in datasets.BUILT_IN:
        return datasets.load(spec)
    raw = user_data.load(Path(spec))
    names = (raw.x, raw.y, raw.class_names, raw.channel_names, raw.groups)
    return Dataset(datasets.name_of(spec), *names, synthetic=False, source=spec, cautions=raw.cautions)


def _recording(folder: Path) -> dict[str, Any]:
    """What `tinyrig record` says of it; empty where that did not make it."""
    try:
        document = json.loads((folder / RECORDING).read_text("utf-8"))
        return {key: document[key] for key in ("sensor", "ranges", "rate_hz") if key in document}
    except (OSError, ValueError, TypeError):
        return {}


def described(data: Dataset, recording: dict[str, Any]) -> dict[str, Any]:
    """Plain numbers."""
    n, steps, _ = data.x.shape
    counts = np.bincount(data.y, minlength=len(data.class_names)).tolist()
    return {
        "schema": SCHEMA,
        "name": data.name,
        "recording": recording,
        "windows": n,
        "steps": steps,
        "groups": None if data.groups is None else len(set(data.groups.tolist())),
        "classes": [{"name": c, "windows": k} for c, k in zip(data.class_names, counts, strict=True)],
        "channels": [_channel(name, data.x[:, :, c]) for c, name in enumerate(data.channel_names)],
        "cautions": list(data.cautions),
    }


def _channel(name: str, values: np.ndarray) -> dict[str, Any]:
    """values float32 [N,T]."""
    exact = values.astype(np.float64)
    low, high = float(exact.min()), float(exact.max())
    constant = low == high
    at_ends = 0 if constant else max(int((exact == low).sum()), int((exact == high).sum()))
    still = int((values.min(1) == values.max(1)).sum())
    return {
        "name": name,
        "mean": float(exact.mean()),
        "std": float(exact.std()),
        "min": low,
        "max": high,
        "at_an_end": at_ends,
        "constant_windows": still,
        "finding": _finding(constant, still, at_ends, exact.size),
    }


def _finding(constant: bool, still: int, at_ends: int, size: int) -> str:
    if constant:
        return "constant"
    if at_ends > max(MOST_CHANCE, AT_END * size):
        return f"on one end {at_ends / size:.1%} of the time: clipped, or at rest"
    return f"constant in {still} windows" if still else ""


def text(found: dict[str, Any]) -> str:
    """For people."""
    groups = "" if found["groups"] is None else f", {found['groups']} groups"
    head = [f"{found['name']}: {found['windows']} windows of {found['steps']} steps, {len(found['channels'])} channels{groups}"]
    if found["recording"]:
        head.append("recorded: " + ", ".join(f"{key} {value}" for key, value in found["recording"].items()))
    classes = tabulate([(c["name"], c["windows"]) for c in found["classes"]], ["class", "windows"])
    keys = ("name", "mean", "std", "min", "max", "finding")
    channels = tabulate([[c[k] for k in keys] for c in found["channels"]], ["channel", *keys[1:]], floatfmt=".4g")
    return "\n\n".join(["\n".join(head), classes, channels, *(f"warning: {c}" for c in found["cautions"])])


def plot(data: Dataset, file: Path) -> None:
    """A row for each class: some of its windows, every channel scaled to its own range over all windows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    low, high = data.x.min((0, 1)), data.x.max((0, 1))
    scaled = (data.x - low) / np.where(high > low, high - low, 1)
    rows = len(data.class_names)
    figure, axes = plt.subplots(rows, TRIALS_DRAWN, figsize=(9, 1.3 * rows + 0.6), sharex=True, sharey=True, squeeze=False)
    for k, name in enumerate(data.class_names):
        for axis, window in zip(axes[k], np.flatnonzero(data.y == k)[:TRIALS_DRAWN], strict=False):
            axis.imshow(scaled[window].T, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        axes[k][0].set_ylabel(name[:24], rotation=0, ha="right", fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle("channels over time steps, each scaled to its range", fontsize=9)
    figure.savefig(file, bbox_inches="tight", dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
