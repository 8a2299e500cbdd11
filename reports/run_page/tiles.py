"""A measurement -> a card of tiles: each number with its unit, its interval or parts, and whether it is an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from tinyrig.core.records import ClaimStatus
from tinyrig.core.text import oracle_label
from tinyrig.reports.run import tables
from tinyrig.reports.run.head import data_note
from tinyrig.reports.run.sections import ReportRow, Section
from tinyrig.reports.text import count

GOOD, BAD, RIG, PLAIN = "good", "bad", "rig", ""
"""Tones: what the colours of a card and a tile mean. RIG: nothing is said of the model."""
GLYPHS = {GOOD: "✓", BAD: "▼", RIG: "!", PLAIN: ""}
"""Nothing is shown by colour alone."""


@dataclass(frozen=True)
class Tile:
    title: str
    value: str
    note: str = ""
    tone: str = PLAIN

    @property
    def glyph(self) -> str:
        return GLYPHS[self.tone]


@dataclass(frozen=True)
class Card:
    """All tiles of one row."""

    name: str
    note: str
    tone: str
    tiles: tuple[Tile, ...]


def cards(section: Section) -> list[Card]:
    return [_card(section, row) for row in section.rows]


def _card(section: Section, row: ReportRow) -> Card:
    tiles = [outputs(row), claims(row), accuracy(row), latency(section, row), ram(row), flash(row), *_energy(section, row)]
    tones = {tile.tone for tile in tiles}
    v = row.measurement.variant
    made = ", synthetic data" if v.synthetic else ""
    note = f"engine {row.measurement.image.engine}; {v.dataset or data_note(section)}{made}"
    return Card(row.label, note, next(tone for tone in (BAD, RIG, GOOD, PLAIN) if tone in tones), tuple(tiles))


def outputs(row: ReportRow) -> Tile:
    parity, title = row.measurement.parity, "outputs against the oracle"
    if parity is None:
        return Tile(title, "not compared", "no oracle: nothing is verified", RIG)
    if row.withheld:
        return Tile(title, "not verified", row.withheld, BAD)
    return Tile(title, "verified", f"all {parity.compared:,} windows agree with {oracle_label(parity.oracle)}", GOOD)


def claims(row: ReportRow) -> Tile:
    """Budgets are claims too."""
    found, title = row.measurement.claims, "claims and budgets"
    if not found:
        return Tile(title, "not judged", "from before claims were kept")
    failed = [c for c in found if c.status == ClaimStatus.FAILED]
    open_ = [c.name for c in found if c.status == ClaimStatus.NOT_MEASURED]
    passed = len(found) - len(failed) - len(open_)
    left = f"not measured: {', '.join(open_)}" if open_ else ""
    if failed:
        return Tile(title, f"{len(failed)} failed", "; ".join(f"{c.name}: {c.reason}" for c in failed), BAD)
    if not passed:
        return Tile(title, "none judged", left)
    said = ", ".join(c.name for c in found if c.status == ClaimStatus.PASSED)
    return Tile(title, f"{passed} passed", f"{said}{f'; {left}' if left else ''}", GOOD)


_SCORES = (
    # what stands in for an accuracy, in order of preference: metric, title, what else is said of it
    ("cell_accuracy", "cells right", ()),
    ("mae", "mean absolute error", ("rmse", "r2")),
    ("reconstruction_error", "reconstruction error", ("auc",)),
    ("auc", "AUC", ()),
)


def accuracy(row: ReportRow) -> Tile:
    """The score that these outputs have: an accuracy, or what its kind has instead."""
    windows, output = count(row.values["windows"], "window"), _output(row)
    if row.values["accuracy"] is not None:
        more = "".join(f", {name.upper()} {tables.shown(row, name)}" for name in ("auc", "f1") if row.values[name] is not None)
        interval = tables.shown(row, "accuracy_ci95")
        title = "accuracy" if more else "top-1 accuracy"
        return Tile(title, tables.shown(row, "accuracy"), f"95 %: {interval}, {windows}{more}{output}")
    for name, title, others in _SCORES:
        if row.values[name] is not None:
            more = "".join(f", {o.upper()} {tables.shown(row, o)}" for o in others if row.values[o] is not None)
            return Tile(title, tables.shown(row, name), f"{windows}{more}{output}")
    return Tile("accuracy", "none", row.accuracy_reason or "not computed")


def _output(row: ReportRow) -> str:
    """Which one is scored, where there are several."""
    several = len(row.measurement.image.outputs) > 1
    return f"; output `{row.scoring.name}`" if several and row.scoring is not None else ""


def latency(section: Section, row: ReportRow) -> Tile:
    title = f"latency, {section.timing}" if section.timed else "instructions"
    if row.withheld:
        return Tile(title, "none", "a wrong or uncompared answer has no time", BAD if row.measurement.parity else RIG)
    if not section.timed:
        return Tile(title, tables.instructions(row), "of one inference; they give no time")
    if row.values["latency_us_median"] is None:
        return Tile(title, "none", "not measured")
    spread = f"median of {row.values['latency_samples'] or 0:,}" if row.values["latency_samples"] else "median"
    p95 = f", 95 % below {tables.milliseconds(row, 'latency_us_p95')} ms" if row.values["latency_us_p95"] is not None else ""
    return Tile(title, f"{tables.milliseconds(row)} ms", f"{section.timing}{_band(row)}; {spread}{p95}")


def _band(row: ReportRow) -> str:
    low, high = row.values["latency_us_low"], row.values["latency_us_high"]
    return "" if low is None or high is None or low == high else f", from {low / 1000:.3f} to {high / 1000:.3f} ms"


def ram(row: ReportRow) -> Tile:
    return _memory("RAM of the model", row, "ram", ("arena", "static", "stack"))


def flash(row: ReportRow) -> Tile:
    return _memory("flash of the model", row, "flash", ("weights", "engine"))


def _memory(title: str, row: ReportRow, kind: str, parts: tuple[str, ...]) -> Tile:
    if row.values[f"{kind}_model_total"] is None:
        return Tile(title, "none", "not measured")
    shares = " + ".join(f"{part} {tables.shown(row, f'{kind}_{part}')}" for part in parts)
    return Tile(title, f"{tables.shown(row, f'{kind}_model_total')} B", shares)


def _energy(section: Section, row: ReportRow) -> list[Tile]:
    if row.values["energy_uj_median"] is None:
        return []
    how = "trial" if section.timing == "estimated" else "measured"
    return [Tile(f"energy, {how}", f"{tables.shown(row, 'energy_uj_median')} uJ", f"{how}; of one inference")]
