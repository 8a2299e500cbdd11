"""What the steps of a variant bring on the board, in words: some save storage only, which a table of latencies doesn't say."""

from __future__ import annotations

from tinyrig.reports.blocks import Block, Bullets, Heading, Text, code
from tinyrig.reports.run.sections import Row, Section
from tinyrig.reports.run.tables import milliseconds, shown

NOTE = (
    "Coded bytes are those of the weights alone: a codebook, Huffman-coded indices and gaps of zeros (as in Deep Compression), "
    "for each tensor or the tensor as it is, whichever is smaller. They count in a store or a transfer; nothing on the board "
    "reads this code."
)


def notes(section: Section) -> list[Block]:
    """A line for each variant that its builder has something to say of, with its own figures beside its parent's; [] without."""
    lines = tuple(line for row in section.rows if (line := _line(row, section)))
    if not lines:
        return []
    coded = [Text(NOTE)] if any("compressed_bytes" in row.run.variant.details for row in section.rows) else []
    return [Heading(2, "What the steps bring"), Bullets(lines), *coded]


def _line(row: Row, section: Section) -> str:
    details = row.run.variant.details
    said = details.get("notes")
    words = [str(note) for note in said] if isinstance(said, list) else []
    coded, plain = details.get("compressed_bytes"), details.get("weight_bytes")
    if isinstance(coded, int) and isinstance(plain, int):
        words.append(f"weights {plain:,} B, coded {coded:,} B")
    if not words:
        return ""
    parent = next((r for r in section.rows if r.run.variant.name == details.get("parent")), None)
    return "; ".join([f"{code(row.label)}: {words[0]}", *words[1:], *_beside(row, parent)])


def _beside(row: Row, parent: Row | None) -> list[str]:
    return [] if parent is None else [f"measured here: {_figures(row)}; its parent {code(parent.label)}: {_figures(parent)}"]


def _figures(row: Row) -> str:
    return f"{milliseconds(row)} ms, {shown(row, 'ram_model_total')} B RAM, {shown(row, 'flash_model_total')} B flash"
