"""A section -> the lines at its head: where its numbers come from, and what makes them wrong."""

from __future__ import annotations

from tinyrig.analysis import provenance
from tinyrig.analysis.provenance import clock_text, oracle_note, timer_text
from tinyrig.reports.blocks import code
from tinyrig.reports.run import mlperf, paper
from tinyrig.reports.run.sections import Section
from tinyrig.reports.text import clipped


def title(section: Section) -> str:
    dataset = section.metadata["dataset"] or "own model"
    return f"{section.metadata['board']}, {section.counted}, {dataset}"


def facts(section: Section) -> list[str]:
    """A line each: board, timing, data, oracle, toolchain."""
    board = section.first.board
    oracles = dict.fromkeys(oracle_note(row.measurement) for row in section.rows)
    flags = section.metadata["flags"]
    clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "clock not known"
    return [
        f"Board: {code(board.name)}, id {code(board.id)}" + (f", {clock}" if section.timed else ""),
        f"Timing: {timing_note(section)}",
        *_timer_and_clock(section),
        f"Data: {data_note(section)}",
        f"Oracle: {'; '.join(oracles)}",
        *_layouts(section),
        *_injected_faults(section),
        *mlperf.facts(section),
        f"Toolchain: {code(section.metadata['compiler'])}{f' with {code(flags)}' if flags else ''}",
    ]


def _timer_and_clock(section: Section) -> list[str]:
    """Only where there is a time at all."""
    if not section.timed or mlperf.applies(section):
        return []
    measurements = [row.measurement for row in section.rows]
    timers = dict.fromkeys(timer_text(m.board, m.settings.timer_overhead_cycles) for m in measurements)
    return [f"Timer: {'; '.join(timers)}", f"Clock: {clock_range(section)}"]


def _layouts(section: Section) -> list[str]:
    """A line for each model whose estimate depends on where its code lies."""
    notes = [(row.label, provenance.layout_note(row.values["latency_layout_spread"])) for row in section.rows]
    return [f"Layout: {code(label)}: {note}" for label, note in notes if note]


def timing_note(section: Section) -> str:
    """Begins with the kind of timing."""
    note = provenance.timing_note(section.first)
    return note if note.startswith(section.timing) else f"{section.timing} {note}"


def clock_range(section: Section) -> str:
    """The board's clock by the host's, over all rows; each row's own stands in the last table."""
    checks = [row.measurement.clock for row in section.rows]
    known = [c for c in checks if c is not None and c.ppm is not None]
    if not known:
        return "; ".join(dict.fromkeys(map(clock_text, checks)))
    best = min(known, key=lambda c: c.ppm_error or 0.0)
    return f"against this host's: {clock_text(best)}"


def warnings(section: Section) -> list[str]:
    """What makes figures wrong or meaningless though every output was right, and lines that are about to fail."""
    found = [(row.label, caution.text) for row in section.rows for caution in row.cautions]
    return [f"Warning: {code(label)}: {text}" for label, text in found] + [
        f"Warning: data: {text}" for text in _cautions(section)
    ]


def _cautions(section: Section) -> list[str]:
    """What about the dataset can hardly be meant, as its manifest says."""
    dataset = section.first.variant.details.get("dataset")
    said = dataset.get("cautions") if isinstance(dataset, dict) else None
    return [clipped(text) for text in said if isinstance(text, str)] if isinstance(said, list) else []


def _injected_faults(section: Section) -> list[str]:
    faults = section.metadata["injected faults"]
    return [f"Faults injected into the line on purpose: {', '.join(code(f) for f in faults)}"] if faults else []


def data_note(section: Section) -> str:
    """Where the windows come from, and which belong together, in words."""
    count = section.metadata["sequences"]
    if count is None:
        return _origin(section)
    return f"{_origin(section)}; in {count} {'sequence' if count == 1 else 'sequences'}, each from the engine's beginning"


def _origin(section: Section) -> str:
    if section.metadata["random windows"]:
        return "seeded random windows over the input's range: they show cost and parity and say nothing about accuracy"
    dataset, synthetic = section.metadata["dataset"], section.metadata["synthetic data"]
    if dataset == paper.DATASET and synthetic:
        return (
            f"{code(dataset)}, synthetic: generated, not recorded, and tuned to the paper's figures; an accuracy that agrees "
            "with the paper's proves nothing about real recordings"
        )
    if synthetic:
        return f"{code(dataset)}, synthetic: generated, not recorded"
    return f"{code(dataset)}, recorded" if dataset else "the user's own windows"
