"""A report -> its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyrig.core.records import ClaimStatus
from tinyrig.reports import html
from tinyrig.reports.blocks import Block, Heading
from tinyrig.reports.run import head
from tinyrig.reports.run.report import Report, not_measured_lines, section_blocks
from tinyrig.reports.run.sections import Section
from tinyrig.reports.run_page.panels import Chapter, chapters
from tinyrig.reports.run_page.tiles import BAD, GLYPHS, GOOD, RIG, Card, cards
from tinyrig.reports.text import count


@dataclass(frozen=True)
class Banner:
    """What it all comes to, in a line; `lines` name what is behind it."""

    tone: str
    title: str
    lines: tuple[str, ...] = ()

    @property
    def glyph(self) -> str:
        return GLYPHS[self.tone]


@dataclass(frozen=True)
class Folded:
    """A chapter of the tables, under its title."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Part:
    """One section. `prefix` keeps the ids of several apart."""

    title: str
    prefix: str
    warnings: tuple[str, ...]
    origin: tuple[str, ...]
    cards: tuple[Card, ...]
    chapters: tuple[Chapter, ...]
    folded: tuple[Folded, ...]


def run_page(report: Report) -> str:
    """The whole document; raises RigErrors where a metric can't be computed."""
    ids = [run.run_id for run in report.runs]
    parts = tuple(_part(section, f"p{i}-" if len(report.parts) > 1 else "") for i, section in enumerate(report.parts, 1))
    return html.page(
        "run.html",
        title=f"tinyrig run {', '.join(ids)}",
        ids=ids,
        started=[run.started for run in report.runs],
        banner=banner(report),
        notes=report.notes,
        parts=parts,
    )


def banner(report: Report) -> Banner:
    """The gravest first: failed claims and wrong outputs, then what could not be measured."""
    rows = [row for section in report.parts for row in section.rows]
    failed = [
        f"`{row.label}`: {c.name}: {c.reason}" for row in rows for c in row.measurement.claims if c.status == ClaimStatus.FAILED
    ]
    wrong = [f"`{row.label}`: {row.withheld}" for row in rows if row.withheld and row.measurement.parity is not None]
    lost = list(not_measured_lines(report))
    unchecked = [f"`{row.label}`: {row.withheld}" for row in rows if row.withheld and row.measurement.parity is None]
    faults = [f"not measured: {line}" for line in lost] + [f"not verified: {line}" for line in unchecked]
    if wrong or failed:
        title = f"{count(len(failed), 'claim')} failed" if failed else f"wrong outputs: {count(len(wrong), 'measurement')}"
        return Banner(BAD, title, tuple([*failed, *(w for w in wrong if not failed), *faults]))
    if lost or not rows:
        title = f"{count(len(lost), 'model')} not measured" if lost else "nothing was measured"
        return Banner(RIG, f"{title}: this says nothing about a model", tuple(faults))
    if unchecked:
        return Banner(RIG, f"{count(len(unchecked), 'measurement')} not verified", tuple(faults))
    judged = any(row.measurement.claims for row in rows)
    title = f"verified: {count(len(rows), 'measurement')}{', no claim failed' if judged else ''}"
    return Banner(GOOD, title)


def _part(section: Section, prefix: str) -> Part:
    facts = head.facts(section)
    return Part(
        head.title(section),
        prefix,
        tuple(head.warnings(section)),
        tuple(facts),
        tuple(cards(section)),
        tuple(chapters(section)),
        tuple(_folded(section_blocks(section, {}))),
    )


def _folded(blocks: Sequence[Block]) -> list[Folded]:
    """Chapters by their headings; what stands before the first is an overview. Facts and warnings stand elsewhere."""
    found: list[tuple[str, list[Block]]] = [("Overview", [])]
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            found.append((block.text, []))
        else:
            found[-1][1].append(block)
    return [Folded(title, tuple(own)) for title, own in found if own]
