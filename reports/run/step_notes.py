"""What the steps of a variant change on the board, in words: some save storage only, which a table of latencies doesn't show."""

from __future__ import annotations

from tinyrig.reports.blocks import Block, Bullets, Heading, Text, code
from tinyrig.reports.run.sections import ReportRow, Section
from tinyrig.reports.run.tables import milliseconds, shown

CODED_NOTE = (
    "Coded bytes cover the weights alone: a codebook, Huffman-coded indices and gaps of zeros (as in Deep Compression) for each "
    "tensor, or the tensor as it is, whichever is smaller. They count in storage or in a transfer; nothing on the board reads "
    "this code."
)


def notes(section: Section) -> list[Block]:
    """A line for each variant whose builder has something to say, with its own figures beside its parent's; [] without."""
    lines = tuple(line for row in section.rows if (line := _note(row, section)))
    if not lines:
        return []
    coded = any("compressed_bytes" in row.measurement.variant.details for row in section.rows)
    return [Heading(2, "What the steps change"), Bullets(lines), *([Text(CODED_NOTE)] if coded else [])]


def _note(row: ReportRow, section: Section) -> str:
    details = row.measurement.variant.details
    said = details.get("notes")
    words = [str(note) for note in said] if isinstance(said, list) else []
    coded, plain = details.get("compressed_bytes"), details.get("weight_bytes")
    if isinstance(coded, int) and isinstance(plain, int):
        words.append(f"weights {plain:,} B, coded {coded:,} B")
    if not words:
        return ""
    parent = next((r for r in section.rows if r.measurement.variant.name == details.get("parent")), None)
    return "; ".join([f"{code(row.label)}: {words[0]}", *words[1:], *_beside_parent(row, parent)])


def _beside_parent(row: ReportRow, parent: ReportRow | None) -> list[str]:
    if parent is None:
        return []
    return [f"measured here: {_costs(row)}; its parent {code(parent.label)}: {_costs(parent)}"]


def _costs(row: ReportRow) -> str:
    return f"{milliseconds(row)} ms, {shown(row, 'ram_model_total')} B RAM, {shown(row, 'flash_model_total')} B flash"
