"""All networks of an engine comparison in one table, then worst, median and best against the peer.

    python bench/engine_summary.py COMPARED.json ... [--models FOLDER]

Reads what `tinyrig engines --json` writes. `--models` has the networks as NAME.tflite: of those the share of
multiply-accumulates that tinyrig leaves to portable kernels is given too.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tinyrig.measure.engine_comparison import PEER

HEADERS = ["network", "cycles", "x peer", "cycles/MAC", "portable", "RAM", "x peer", "flash", "x peer", "peer's own share"]
OWN = "tinyrig"
WORST_CYCLES, MEDIAN_CYCLES, WORST_RAM = 0.65, 0.40, 1.1


@dataclass(frozen=True)
class Compared:
    """One network: `ratio` at the default, the low and the high end of the band, None without a peer; `peer_share`: of the peer's
    cycles, those in its own functions."""

    name: str
    own: Mapping[str, Any]
    ratio: tuple[float, float, float] | None
    ram_ratio: float | None
    flash_ratio: float | None
    peer_share: float | None

    @staticmethod
    def of(model: Mapping[str, Any]) -> Compared | None:
        """None where tinyrig's engine has no verified figure."""
        engines = {e["engine"]: e for e in model["engines"]}
        own, peer = engines[OWN], engines.get(PEER)
        if not own["cycles"]:
            return None
        if peer is None or not peer["cycles"]:
            return Compared(model["model"], own, None, None, None, None)
        x, left = own["ratio_to_peer"], sum(step["share"] or 0 for step in peer["fallbacks"])
        ends = tuple(x[key] if x[key] is not None else x["cycles"] for key in ("cycles", "cycles_low", "cycles_high"))
        return Compared(model["model"], own, (ends[0], ends[1], ends[2]), x["ram"], x["flash"], 1 - left)

    def row(self, share: float | None) -> list[str]:
        own = self.own
        ratio = "-" if self.ratio is None else "{:.2f} ({:.2f}-{:.2f})".format(*self.ratio)
        ram, flash = own["ram"]["model_total"], own["flash"]["model_total"]
        tail = [f"{ram:,}", _ratio(self.ram_ratio), f"{flash:,}", _ratio(self.flash_ratio), _percent(self.peer_share)]
        return [self.name, f"{own['cycles']:,.0f}", ratio, _ratio(own["cycles_per_mac"]), _percent(share), *tail]


def summary(models: Iterable[Mapping[str, Any]], shares: Mapping[str, float | None]) -> str:
    """A Markdown table, worst first, and below it worst, median and best. `shares` by network."""
    found = sorted(filter(None, map(Compared.of, models)), key=lambda one: -(one.ratio or (0.0,))[0])
    table = tabulate(
        [one.row(shares.get(one.name)) for one in found],
        HEADERS,
        tablefmt="github",
        disable_numparse=True,
        colalign=("left", *["right"] * 9),
    )
    compared = [one for one in found if one.ratio]
    return table + ("\n\n" + "\n".join(_extremes(compared)) if compared else "")


def _extremes(compared: list[Compared]) -> list[str]:
    """Of networks with a peer, of which there is at least one, worst first."""
    ratios = [one.ratio[0] for one in compared if one.ratio]
    median = statistics.median(ratios)
    worst_ram = max(compared, key=lambda one: one.ram_ratio or 0)
    over = [f"{one.name} {one.ratio[0]:.2f}" for one in compared if one.ratio and one.ratio[0] > WORST_CYCLES]
    return [
        f"- worst ratio of cycles: {compared[0].name} {ratios[0]:.2f} (target {WORST_CYCLES:.2f}: "
        f"{_verdict(ratios[0], WORST_CYCLES)}{'; above it: ' + ', '.join(over) if over else ''})",
        f"- median of {len(ratios)}: {median:.2f} (target {MEDIAN_CYCLES:.2f}, set for public networks: "
        f"{_verdict(median, MEDIAN_CYCLES)})",
        f"- best: {compared[-1].name} {ratios[-1]:.2f}",
        f"- worst ratio of RAM: {worst_ram.name} {_ratio(worst_ram.ram_ratio)} "
        f'(target {WORST_RAM} under "speed": {_verdict(worst_ram.ram_ratio or 0, WORST_RAM)})',
    ]


def _verdict(value: float, limit: float) -> str:
    return "reached" if value <= limit else "missed"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def portable_share(model: Path) -> float | None:
    from tinyrig import check

    return check(model).portable_share


def main() -> None:
    parser = argparse.ArgumentParser(description="All networks of `tinyrig engines --json` in one table.")
    parser.add_argument("files", nargs="+", type=Path, metavar="COMPARED.json")
    parser.add_argument("--models", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    models = [model for file in arguments.files for model in json.loads(file.read_text())["models"]]
    files = {m["model"]: arguments.models / f"{m['model']}.tflite" for m in models} if arguments.models else {}
    print(summary(models, {name: portable_share(file) for name, file in files.items() if file.exists()}))


if __name__ == "__main__":
    main()
