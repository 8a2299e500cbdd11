"""A section -> its chapters: a heading, a table and what its numbers mean, in words."""

from __future__ import annotations

from typing import Any

from tinyrig.analysis.provenance import timing_note
from tinyrig.analysis.verification import FLOAT_TOLERANCE, float_tolerance
from tinyrig.core.records import ESTIMATED
from tinyrig.reports.blocks import Block, Bullets, Heading, Text, code
from tinyrig.reports.run import mlperf, paper, paper_tables, tables
from tinyrig.reports.run.sections import Section

RAM_NOTE = (
    "A model's RAM is its arena (all tensors, input and output included), its static data and the stack that one inference used "
    "(the high-water mark of a painted stack). A model's flash is its weights and the engine's code. The rig's share (protocol, "
    "buffers, port, startup: an image linked with an empty engine) is the cost of measuring and is listed apart. All in bytes."
)
LATENCY_NOTE = (
    "One inference with the input already in place, over every test window once and the repeats of one window. Percentiles are "
    "interpolated linearly. Transfer over the link is never included."
)
LINE_NOTE = (
    "Whatever did not get through was sent again; a result counts only if the CRCs of its inputs and outputs agree. "
    "A recovery lasts from the first failure to the next good reply."
)
TRIAL_NOTE = "A trial of the rig: the virtual board draws no current, so these figures say nothing about any board."
ENERGY_NOTE = (
    "One inference of the first window: current times supply voltage, summed over 10 us samples while the board's trigger pin "
    "was high, in a separate pass. It is everything that the supply line carries, including the board's idle consumption. The "
    "interval holds the median with 95 % confidence, whatever the distribution."
)
OPS_NOTE = (
    "Measured step by step in a separate pass, so the sum differs slightly from the latency above. Steps without MACs have no "
    "cycles/MAC."
)
CLAIMS_NOTE = "As judged when the run was made. `not measured` is no verdict on the model."
NOISE_NOTE = (
    f"Exact McNemar test on the same windows. Within noise means p >= {tables.SIGNIFICANCE}: these windows show no "
    "difference, which does not prove that there is none. The p-values are not corrected for the number of pairs."
)
FLOPS_NOTE = (
    "FLOPs are counted by the TensorFlow profiler: float operations only, so a full-integer model has none, nor has a model "
    "that was built elsewhere. MACs are the compiler's or the builder's."
)


def withheld(section: Section) -> list[Block]:
    reasons = tuple(f"{code(row.label)}: {row.withheld}" for row in section.rows if row.withheld)
    return [Text("Not verified, so no timing is given:"), Bullets(reasons)] if reasons else []


def claims(section: Section) -> list[Block]:
    grid = tables.claims(section)
    if grid is None:
        return []
    explained = [(row.label, c) for row in section.rows for c in row.measurement.claims if c.reason]
    reasons = tuple(f"{code(label)}, {c.name} {c.status}: {c.reason}" for label, c in explained)
    compared = tables.limits(section)
    numbers: list[Block] = [] if compared is None else [Heading(3, "Claims and budgets in numbers"), compared]
    return [Heading(2, "Claims"), grid, Text(CLAIMS_NOTE), *([Bullets(reasons)] if reasons else []), *numbers]


# ---- the paper's tables ----


def accuracy(section: Section) -> list[Block]:
    title = _table_title(section, "Table 1: accuracy", "Accuracy")
    if all(row.values["accuracy"] is None for row in section.rows):
        reasons = tuple(f"{code(row.label)}: {row.accuracy_reason or 'not kept'}" for row in section.rows)
        return [Heading(2, title), Text("Not computed:"), Bullets(reasons), *_scored(section)]
    host = section.first.variant.details.get("host_interpreter")
    note = (
        "Top-1 on the test windows, computed from the board's own outputs; intervals are Wilson's, 95 %. "
        f"The host column is the same .tflite, run by {host or 'its builder'} on the host."
    )
    blocks: list[Block] = [Heading(2, title), paper_tables.accuracy(section), Text(note)]
    if paper_tables.has_paper(section):
        blocks.append(Text(paper.ACCURACY_NOTE))
    return [*blocks, *_scored(section), *_groups_note(section), *_pairs(section)]


SCORES_NOTE = (
    "F1 is of class 1, the AUC that of labels 0 and 1 (the area under the ROC curve). Errors are over all values of all windows, "
    "in the targets' unit; R2 is the share of their variance that is explained. A reconstruction's error is the mean squared "
    "difference between output and input, and its AUC takes a larger error for label 1, an anomaly."
)


def _scored(section: Section) -> list[Block]:
    """What is scored where the reader may doubt it, and scores of outputs that are no list of classes."""
    grid, notes = tables.scores(section), tables.scored_notes(section)
    blocks: list[Block] = [Bullets(tuple(notes))] if notes else []
    return blocks if grid is None else [*blocks, Heading(3, "Scores"), grid, Text(SCORES_NOTE)]


def _groups_note(section: Section) -> list[Block]:
    """Windows of one person or recording resemble each other: an interval over windows is too narrow for new people."""
    dataset = section.first.variant.details.get("dataset")
    split = dataset.get("split", "") if isinstance(dataset, dict) else ""
    if "group" not in split:
        return []
    return [
        Text(
            f"Data: {split}. Windows of one group resemble each other, and the intervals count windows, not groups: for a "
            "new group (a person, a recording) they are too narrow."
        )
    ]


def _pairs(section: Section) -> list[Block]:
    pairs = tables.noise(section)
    return [] if pairs is None else [Heading(3, "Pairs: within noise?"), pairs, Text(NOISE_NOTE)]


def _table_title(section: Section, with_paper: str, without: str) -> str:
    return f"{with_paper}, paper and measured" if paper_tables.has_paper(section) else without


def size(section: Section) -> list[Block]:
    if all(row.values["tflite_bytes"] is None for row in section.rows):
        return []
    beside_paper = paper_tables.has_paper(section)
    notes = [f"Paper: {paper.TITLE}." if beside_paper else no_paper_note(section), FLOPS_NOTE]
    notes += [paper.ZIP_NOTE] if beside_paper else []
    title = _table_title(section, "Table 1: size and work", "Size and work")
    return [Heading(2, title), paper_tables.size(section), Bullets(tuple(notes))]


def no_paper_note(section: Section) -> str:
    dataset = section.metadata["dataset"]
    what = f"Dataset {code(dataset)} is" if dataset else "These models are"
    return f"{what} not the paper's, so there is no paper column."


def cost(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return []  # RAM and flash are not known, and the latency stands below its rule
    title = _table_title(section, "Table 2: latency, RAM, flash", "Latency, RAM, flash")
    notes = [paper.COST_NOTE if paper_tables.has_paper(section) else no_paper_note(section), paper.KB_NOTE]
    if section.timing == ESTIMATED:
        notes.insert(0, f"Latency of this run: {timing_note(section.rows[0].measurement)}.")
    return [Heading(2, title), paper_tables.cost(section), Bullets(tuple(notes))]


# ---- details ----


def parity(section: Section) -> list[Block]:
    tolerance = max(float_tolerance(row.measurement) for row in section.rows)
    wider = f" (wider than the usual {FLOAT_TOLERANCE:g})" if tolerance > FLOAT_TOLERANCE else ""
    rule = (
        "Every window's outputs against the oracle's. Integers must be equal byte for byte; floats may differ by "
        f"{tolerance:g}{wider}, relative to the window's largest output where that exceeds 1, and may never change the top-1."
    )
    note = mlperf.PARITY_NOTE if mlperf.applies(section) else rule
    return [Heading(2, "Parity with the oracle"), tables.parity(section), Text(note)]


def latency(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return mlperf.throughput(section)
    title = f"Latency ({section.timing})" if section.timed else "Instructions of one inference"
    return [Heading(2, title), tables.latency(section), Text(LATENCY_NOTE)]


def energy(section: Section) -> list[Block]:
    if not tables.has_energy(section):
        return []
    trial = section.timing == ESTIMATED
    title, note = ("trial", TRIAL_NOTE) if trial else ("measured", ENERGY_NOTE)
    return [Heading(2, f"Energy ({title})"), tables.energy(section), Text(note)]


def serial_line(section: Section) -> list[Block]:
    grid = tables.serial_line(section)
    note = mlperf.LINE_NOTE if mlperf.applies(section) else LINE_NOTE
    return [Heading(2, "Serial line"), grid, Text(note)] if grid is not None else []


def memory(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return [Heading(2, "RAM and flash"), Text("Not measured: the firmware was built elsewhere.")]
    return [Heading(2, "RAM"), tables.ram(section), Heading(2, "Flash"), tables.flash(section), Text(RAM_NOTE)]


def ops(section: Section) -> list[Block]:
    if mlperf.applies(section):
        return []
    blocks: list[Block] = [Heading(2, f"Per-op profile ({section.counted})")]
    for row in section.rows:
        grid = tables.per_op(row)
        blocks += [Heading(3, code(row.label)), grid or Text(row.withheld or "Not profiled.")]
    return [*blocks, Text(OPS_NOTE)]


def provenance(section: Section) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Where these numbers come from"), tables.provenance(section)]
    built = tables.as_built(section)
    blocks += [built] if built is not None else []
    facts = _build_facts(section)
    return [*blocks, Bullets(tuple(facts))] if facts else blocks


def _build_facts(section: Section) -> list[str]:
    """Data, versions, seed and settings, as far as they are known."""
    details = section.first.variant.details
    packages, seed = details.get("packages"), details.get("seed")
    facts = _dataset_facts(details.get("dataset"))
    facts += [_versions("Rig", section.versions)] if section.versions else []
    facts += [_versions("Variants built with", packages)] if isinstance(packages, dict) and packages else []
    facts += [f"Seed of the variants: {seed}"] if seed is not None else []
    settings = section.first.settings.to_json()
    return facts + ([f"Settings: {_settings(settings)}"] if settings else [])


def _dataset_facts(data: Any) -> list[str]:
    """Source, split and counts, as far as the manifest tells."""
    if not isinstance(data, dict):
        return []
    names = (("source", "{}"), ("split", "split {}"), ("n_train", "{} windows to train"), ("n_test", "{} to test"))
    known = [form.format(data[name]) for name, form in names if data.get(name) is not None]
    return ["Dataset: " + "; ".join(known)] if known else []


def _versions(title: str, versions: dict[str, Any]) -> str:
    return f"{title}: " + ", ".join(f"{name} {version}" for name, version in versions.items())


def _settings(settings: dict[str, Any]) -> str:
    single = {name: value for name, value in settings.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in single.items())
