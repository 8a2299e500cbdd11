"""Runs -> a report's blocks, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrig.analysis.metric_table import ends
from tinyrig.core.records import Run
from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Picture, Text, code, lower
from tinyrig.reports.run import chapters, head, plots, step_notes, tables
from tinyrig.reports.run.sections import Section, sections

FAULT_NOTES = {
    "user": "the request",
    "model": "the model can't run on this board",
    "host": "a fault of the host",
    "link": "a fault of the link",
    "device": "a fault of the board",
    "infra": "a fault of the rig's own machinery",
}
"""Who is at fault where a variant was not measured."""


@dataclass(frozen=True)
class Report:
    """Runs with everything that is computed from them; `notes` stand above all results."""

    runs: tuple[Run, ...]
    parts: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def report_of(runs: Sequence[Run], notes: Sequence[str] = ()) -> Report:
    """Computes every metric once."""
    return Report(tuple(runs), tuple(sections(runs)), tuple(notes))


def build(report: Report, folder: Path | None) -> list[Block]:
    """The document; plots are written into `folder` (None: no plots).

    Measurements that must not be compared get parts of their own. Raises HostError when a plot can't be written.
    """
    parts = report.parts
    blocks: list[Block] = [Heading(1, f"tinyrig report: {', '.join(run.run_id for run in report.runs)}")]
    blocks.append(Text("Started " + ", ".join(run.started for run in report.runs) + "."))
    blocks += [*map(Text, report.notes), *_not_measured(report)]
    if not parts:
        return [*blocks, Text("No variant of this run was finished, so there is nothing to report.")]
    if len(parts) > 1:
        blocks.append(Text(f"{len(parts)} parts: {_differences(parts)} differ, so their figures are not put into one table."))
    for i, section in enumerate(parts, 1):
        if len(parts) > 1:
            blocks.append(Heading(1, f"Part {i}: {head.title(section)}"))
        drawn = plots.draw(section, folder, "" if i == 1 else f"{i}-") if folder else {}
        blocks += section_blocks(section, drawn)
    return blocks


def paper_blocks(report: Report) -> list[Block]:
    """Only the tables that stand beside the paper's: accuracy, size and cost."""
    blocks: list[Block] = []
    for section in report.parts:
        tables_of = [*chapters.accuracy(section), *chapters.size(section), *chapters.cost(section)]
        blocks += [Heading(2, head.title(section)), *map(lower, tables_of)]
    return blocks


def section_blocks(section: Section, drawn: dict[str, Picture]) -> list[Block]:
    """All blocks of one section, in reading order; `drawn` holds its pictures by name."""
    return [
        *map(Text, head.warnings(section)),
        Bullets(tuple(head.facts(section))),
        tables.summary(section),
        *chapters.withheld(section),
        *chapters.claims(section),
        *_picture(drawn, "accuracy-latency"),
        *chapters.accuracy(section),
        *chapters.size(section),
        *chapters.cost(section),
        *step_notes.notes(section),
        *chapters.parity(section),
        *chapters.latency(section),
        *chapters.energy(section),
        *chapters.serial_line(section),
        *chapters.memory(section),
        *_picture(drawn, "memory"),
        *chapters.ops(section),
        *_picture(drawn, "ops"),
        *chapters.provenance(section),
    ]


def _picture(drawn: dict[str, Picture], name: str) -> list[Block]:
    return [drawn[name]] if name in drawn else []


def _differences(parts: Sequence[Section]) -> str:
    every = dict.fromkeys(name for part in parts for name in part.metadata)
    names = [name for name in every if len({str(p.metadata.get(name)) for p in parts}) > 1]
    versions = len({tuple(sorted(p.versions.items())) for p in parts}) > 1
    return ", ".join(names + (["package versions"] if versions else []))


def _not_measured(report: Report) -> list[Block]:
    lines = not_measured_lines(report)
    return [Text("Not measured, which says nothing about these models:"), Bullets(lines)] if lines else []


# ---- for the terminal too ----


def not_measured_lines(report: Report) -> tuple[str, ...]:
    """One for each variant that a run could not measure, with the reason on the same line."""
    return tuple(
        f"{code(n.variant)} ({FAULT_NOTES.get(n.kind, n.kind)}): {'; '.join(n.error.split(chr(10) + '  '))}"
        for run in report.runs
        for n in run.not_measured
    )


def warning_lines(report: Report) -> list[str]:
    """Of all sections."""
    return [text for section in report.parts for text in head.warnings(section)]


def band_notes(report: Report) -> tuple[str, ...]:
    """What estimates with a band were checked against, each once."""
    banded = (part for part in report.parts if any(ends("latency_us_median", row.values) for row in part.rows))
    return tuple(dict.fromkeys(f"Timing: {head.timing_note(part)}." for part in banded))


def summary_grids(report: Report) -> list[tuple[str, Grid]]:
    """Title and short table of every section, and its claims."""
    found: list[tuple[str, Grid]] = []
    for section in report.parts:
        claims = tables.claims(section)
        found.append((head.title(section), tables.summary(section)))
        found += [("claims", claims)] if claims is not None else []
    return found
