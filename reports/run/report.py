"""Runs -> a report's blocks. What a number means stands beside it, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyrig.analysis import metrics
from tinyrig.analysis.metrics import FLOAT_TOLERANCE, TIMING_NOTES, float_tolerance, oracle_note
from tinyrig.analysis.provenance import clock_text, clock_warning, timer_text
from tinyrig.core.records import ESTIMATED, Run
from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Picture, Text, code
from tinyrig.reports.run import lab, mlperf, paper, plots, tables
from tinyrig.reports.run.sections import Section, sections

RAM_NOTE = (
    "RAM of a model is its arena (all tensors, input and output included) + its static data + the stack that one inference used "
    "(high-water mark of a painted stack). Flash of a model is its weights + the engine's code. The rig's share (protocol, "
    "buffers, port, startup: an image linked with an empty engine) is what measuring costs and stands apart. All in bytes."
)
LATENCY_NOTE = (
    "One inference with the input already in place, over every test window once and the repeats of one window; percentiles "
    "interpolate linearly. Transfer over the link is never part of it."
)
LINE_NOTE = (
    "What did not get through at once was sent again; a result is taken only if the CRCs of its inputs and outputs agree. "
    "A recovery lasts from a first failure to the next good reply; bytes in vain had to be sent again."
)
TRIAL_NOTE = "A trial of the rig: the virtual board draws no current, so these figures say nothing of any board."
ENERGY_NOTE = (
    "One inference of the first window: current times supply voltage, summed over 10 us samples while the board's mark pin was "
    "high, in a pass of its own. It is all that the supply line carries, the board's idle consumption included. The interval "
    "holds the median with 95 % confidence, whatever the distribution."
)
OPS_NOTE = (
    "Measured step by step in a pass of its own, so the sum differs a little from the latency above. Steps without MACs have no "
    "cycles/MAC."
)
CLAIMS_NOTE = "As judged when the run was made. `not measured` is no verdict on the model."
FAULT_NOTES = {
    "user": "the request",
    "model": "the model can't be run on this board",
    "host": "a fault of the host",
    "link": "a fault of the link",
    "device": "a fault of the board",
    "infra": "a fault of the rig's own machinery",
}
_OVERHEAD = "timer_overhead_cycles"
NOISE_NOTE = (
    f"Exact McNemar test on the same windows. Within noise means p >= {tables.SIGNIFICANCE}: these windows don't show a "
    "difference, which is not proof that there is none. The p-values are not corrected for the number of pairs."
)


def build(runs: Sequence[Run], folder: Path | None, notes: Sequence[str] = ()) -> list[Block]:
    """A report of one or more runs; plots are written into `folder` (None: no plots); `notes` stand above all results.

    Runs that must not be compared get parts of their own. Raises HostError when a plot can't be written.
    """
    parts = sections(runs)
    blocks: list[Block] = [Heading(1, f"tinyrig report: {', '.join(run.run_id for run in runs)}")]
    blocks.append(Text("Started " + ", ".join(run.started for run in runs) + "."))
    blocks += [*map(Text, notes), *_not_measured(runs)]
    if not parts:
        return [*blocks, Text("No variant of this run was finished, so there is nothing to report.")]
    if len(parts) > 1:
        blocks.append(Text(f"{len(parts)} parts: {_differences(parts)} differ, so their figures are not put into one table."))
    for i, section in enumerate(parts, 1):
        if len(parts) > 1:
            blocks.append(Heading(1, f"Part {i}: {_title(section)}"))
        drawn = plots.draw(section, folder, "" if i == 1 else f"{i}-") if folder else {}
        blocks += section_blocks(section, drawn)
    return blocks


def paper_blocks(runs: Sequence[Run]) -> list[Block]:
    """Only the tables that stand beside the paper's: accuracy, size and cost."""
    blocks: list[Block] = []
    for section in sections(runs):
        blocks += [Heading(2, _title(section)), *(lower(b) for b in [*_accuracy(section), *_size(section), *_cost(section)])]
    return blocks


def lower(block: Block) -> Block:
    """One level further down, if it is a heading."""
    return Heading(block.level + 1, block.text) if isinstance(block, Heading) else block


def section_blocks(section: Section, drawn: dict[str, Picture]) -> list[Block]:
    """All blocks of one section, in reading order; `drawn` holds its pictures by name."""
    return [
        *map(Text, warnings(section)),
        Bullets(tuple(_facts(section))),
        tables.summary(section),
        *_withheld(section),
        *_claims(section),
        *_pictures(drawn, "accuracy-latency"),
        *_accuracy(section),
        *_size(section),
        *_cost(section),
        *lab.notes(section),
        *_parity(section),
        *_latency(section),
        *_energy(section),
        *_line(section),
        *_memory(section),
        *_pictures(drawn, "memory"),
        *_ops(section),
        *_pictures(drawn, "ops"),
        *_provenance(section),
    ]


def _pictures(drawn: dict[str, Picture], name: str) -> list[Block]:
    return [drawn[name]] if name in drawn else []


# ---- head ----


def _title(section: Section) -> str:
    dataset = section.metadata["dataset"] or "own model"
    return f"{section.metadata['board']}, {section.counted}, {dataset}"


def _differences(parts: Sequence[Section]) -> str:
    every = dict.fromkeys(name for part in parts for name in part.metadata)
    names = [name for name in every if len({str(p.metadata.get(name)) for p in parts}) > 1]
    versions = len({tuple(sorted(p.versions.items())) for p in parts}) > 1
    return ", ".join(names + (["package versions"] if versions else []))


def _facts(section: Section) -> list[str]:
    board = section.first.board
    oracles = dict.fromkeys(oracle_note(row.run) for row in section.rows)
    flags = section.metadata["flags"]
    clock = f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "clock not known"
    return [
        f"Board: {code(board.name)}, id {code(board.id)}" + (f", {clock}" if section.timed else ""),
        f"Timing: {timing_note(section)}",
        *_timer_and_clock(section),
        f"Data: {data_note(section)}",
        f"Oracle: {'; '.join(oracles)}",
        *_injected(section),
        *mlperf.facts(section),
        f"Toolchain: {code(section.metadata['compiler'])}{f' with {code(flags)}' if flags else ''}",
    ]


def _timer_and_clock(section: Section) -> list[str]:
    """Where time is told at all."""
    if not section.timed or mlperf.applies(section):
        return []
    timers = dict.fromkeys(timer_text(r.run.board, r.run.settings.get(_OVERHEAD)) for r in section.rows)
    return [f"Timer: {'; '.join(timers)}", f"Clock: {clock_range(section)}"]


def timing_note(section: Section) -> str:
    """Begins with the kind of timing."""
    note = metrics.timing_note(section.first)
    return note if note.startswith(section.timing) else f"{section.timing} {note}"


def clock_range(section: Section) -> str:
    """The board's clock by the host's, over all rows; each row's own stands in the last table."""
    checks = [row.run.clock for row in section.rows]
    known = [c for c in checks if c is not None and c.ppm is not None]
    if not known:
        return "; ".join(dict.fromkeys(map(clock_text, checks)))
    best = min(known, key=lambda c: c.ppm_error or 0.0)
    return f"against this host's: {clock_text(best)}"


def warnings(section: Section) -> list[str]:
    """What makes figures wrong though every output was right."""
    found = [(row.label, text) for row in section.rows if (text := clock_warning(row.run.clock))]
    return [f"Warning: {code(label)}: {text}" for label, text in found]


def _injected(section: Section) -> list[str]:
    faults = section.metadata["injected faults"]
    return [f"Faults injected into the line on purpose: {', '.join(code(f) for f in faults)}"] if faults else []


def data_note(section: Section) -> str:
    """Where the windows come from, in words."""
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


def _withheld(section: Section) -> list[Block]:
    reasons = tuple(f"{code(row.label)}: {row.reason}" for row in section.rows if row.reason)
    return [Text("Not verified, so no timing is given:"), Bullets(reasons)] if reasons else []


def _claims(section: Section) -> list[Block]:
    grid = tables.claims(section)
    if grid is None:
        return []
    said = [(row.label, c) for row in section.rows for c in row.run.claims if c.reason]
    reasons = tuple(f"{code(label)}, {c.name} {c.status}: {c.reason}" for label, c in said)
    return [Heading(2, "Claims"), grid, Text(CLAIMS_NOTE), *([Bullets(reasons)] if reasons else [])]


def _not_measured(runs: Sequence[Run]) -> list[Block]:
    lines = not_measured_lines(runs)
    return [Text("Not measured, which says nothing about these models:"), Bullets(lines)] if lines else []


def not_measured_lines(runs: Sequence[Run]) -> tuple[str, ...]:
    """One for each variant that a run could not measure, with the reason on the same line."""
    return tuple(
        f"{code(n.variant)} ({FAULT_NOTES.get(n.kind, n.kind)}): {'; '.join(n.error.split(chr(10) + '  '))}"
        for run in runs
        for n in run.not_measured
    )


# ---- the paper's tables ----


def _accuracy(section: Section) -> list[Block]:
    title = _table_title(section, "Table 1: accuracy", "Accuracy")
    if all(row.values["accuracy"] is None for row in section.rows):
        return [Heading(2, title), Text("Not computed: the windows carry no labels, or the output is a single value.")]
    pairs = tables.noise(section)
    host = section.first.variant.details.get("host_interpreter")
    blocks: list[Block] = [Heading(2, title), tables.table1_accuracy(section)]
    blocks.append(
        Text(
            "Top-1 on the test windows, computed from the board's own outputs; intervals are Wilson's, 95 %. "
            f"The host column is the same .tflite run by {host or 'its builder'} on the host."
        )
    )
    if tables.has_paper(section):
        blocks.append(Text(paper.TABLE1_NOTES[0]))
    blocks += _groups(section)
    if pairs is not None:
        blocks += [Heading(3, "Pairs: within noise?"), pairs, Text(NOISE_NOTE)]
    return blocks


def _groups(section: Section) -> list[Block]:
    """Windows of one person or recording resemble each other: an interval over windows is too narrow for new people."""
    dataset = section.first.variant.details.get("dataset")
    split = dataset.get("split", "") if isinstance(dataset, dict) else ""
    if "group" not in split:
        return []
    return [
        Text(
            f"Data: {split}. Windows of one group resemble each other and the intervals count windows, not groups: for a "
            "new group (a person, a recording) they are too narrow."
        )
    ]


def _table_title(section: Section, with_paper: str, without: str) -> str:
    return f"{with_paper}, paper and measured" if tables.has_paper(section) else without


def _size(section: Section) -> list[Block]:
    if all(row.values["tflite_bytes"] is None for row in section.rows):
        return []
    notes = [f"Paper: {paper.TITLE}."] if tables.has_paper(section) else [no_paper_note(section)]
    notes.append(
        "FLOPs as the TensorFlow profiler counts them: float operations only, so a full-integer model has none, nor "
        "has a model that was built elsewhere; MACs are the compiler's or the builder's."
    )
    if tables.has_paper(section):
        notes.append(paper.TABLE1_NOTES[1])
    title = _table_title(section, "Table 1: size and work", "Size and work")
    return [Heading(2, title), tables.table1_size(section), Bullets(tuple(notes))]


def no_paper_note(section: Section) -> str:
    dataset = section.metadata["dataset"]
    what = f"Dataset {code(dataset)} is" if dataset else "These models are"
    return f"{what} not the paper's, so there is no paper column."


def _cost(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return []  # RAM and flash are not known, and the latency stands below its rule
    title = _table_title(section, "Table 2: latency, RAM, flash", "Latency, RAM, flash")
    notes = [*paper.TABLE2_NOTES] if tables.has_paper(section) else [no_paper_note(section), paper.TABLE2_NOTES[1]]
    if section.timing == ESTIMATED:
        notes.insert(0, f"Latency of this run: {TIMING_NOTES[ESTIMATED]}.")
    return [Heading(2, title), tables.table2(section), Bullets(tuple(notes))]


# ---- details ----


def _parity(section: Section) -> list[Block]:
    tolerance = max(float_tolerance(row.run) for row in section.rows)
    wider = f" (wider than the usual {FLOAT_TOLERANCE:g})" if tolerance > FLOAT_TOLERANCE else ""
    rule = (
        "Every window's outputs against the oracle's. Integers must be equal byte for byte; floats may differ by "
        f"{tolerance:g}{wider}, relative to the window's largest output where that exceeds 1, and may never change the top-1."
    )
    note = mlperf.PARITY_NOTE if mlperf.applies(section) else rule
    return [Heading(2, "Parity with the oracle"), tables.parity(section), Text(note)]


def _latency(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return mlperf.blocks(section)
    title = f"Latency ({section.timing})" if section.timed else "Instructions of one inference"
    return [Heading(2, title), tables.latency(section), Text(LATENCY_NOTE)]


def _energy(section: Section) -> list[Block]:
    if not tables.has_energy(section):
        return []
    trial = section.timing == ESTIMATED
    title, note = ("trial", TRIAL_NOTE) if trial else ("measured", ENERGY_NOTE)
    return [Heading(2, f"Energy ({title})"), tables.energy_of(section), Text(note)]


def _line(section: Section) -> list[Block]:
    grid = tables.line(section)
    note = mlperf.LINE_NOTE if mlperf.applies(section) else LINE_NOTE
    return [Heading(2, "Serial line"), grid, Text(note)] if grid is not None else []


def _memory(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return [Heading(2, "RAM and flash"), Text("Not measured: the firmware was built elsewhere.")]
    return [Heading(2, "RAM"), tables.ram(section), Heading(2, "Flash"), tables.flash(section), Text(RAM_NOTE)]


def _ops(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return []
    blocks: list[Block] = [Heading(2, f"Per-op profile ({section.counted})")]
    for row in section.rows:
        grid = tables.per_op(row)
        blocks += [Heading(3, code(row.label)), grid or Text(row.reason or "Not profiled.")]
    return [*blocks, Text(OPS_NOTE)]


def _provenance(section: Section) -> list[Block]:
    blocks: list[Block] = [Heading(2, "What these numbers belong to"), tables.models(section)]
    built = tables.as_built(section)
    blocks += [built] if built is not None else []
    facts = _dataset(section.first.variant.details.get("dataset"))
    facts += [_versions("Rig", section.versions)] if section.versions else []
    packages = section.first.variant.details.get("packages")
    if isinstance(packages, dict) and packages:
        facts.append(_versions("Variants built with", packages))
    seed = section.first.variant.details.get("seed")
    facts += [f"Seed of the variants: {seed}"] if seed is not None else []
    facts += [f"Settings: {_settings(section.first.settings)}"] if section.first.settings else []
    return [*blocks, Bullets(tuple(facts))] if facts else blocks


def _dataset(data: Any) -> list[str]:
    """Source, split and counts, as far as the manifest tells."""
    if not isinstance(data, dict):
        return []
    names = (("source", "{}"), ("split", "split {}"), ("n_train", "{} windows to train"), ("n_test", "{} to test"))
    known = [form.format(data[name]) for name, form in names if data.get(name) is not None]
    return ["Dataset: " + "; ".join(known)] if known else []


def _versions(title: str, versions: dict[str, Any]) -> str:
    return f"{title}: " + ", ".join(f"{name} {version}" for name, version in versions.items())


def _settings(settings: dict[str, Any]) -> str:
    plain = {name: value for name, value in settings.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{re.sub('_', ' ', name)} {value}" for name, value in plain.items())


def warning_lines(runs: Sequence[Run]) -> list[str]:
    """Of all sections, for the terminal."""
    return [text for section in sections(runs) for text in warnings(section)]


def summary_grids(runs: Sequence[Run]) -> list[tuple[str, Grid]]:
    """Title and short table of every section, and its claims, for the terminal."""
    found: list[tuple[str, Grid]] = []
    for section in sections(runs):
        claims = tables.claims(section)
        found.append((_title(section), tables.summary(section)))
        found += [("claims", claims)] if claims is not None else []
    return found
