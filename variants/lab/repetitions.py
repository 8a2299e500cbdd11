"""Every variant repeated: with other seeds, or with another group left out each time. Results are kept by what made them.

Each repetition trains in a process of its own, because TensorFlow's converter leaks some 5 MB a call.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.config import load_config
from tinyrig.core.errors import HostError, RigError, UserError
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.files import write_whole
from tinyrig.variants.lab import build, chains, user_builders
from tinyrig.variants.workers import training_processes

SCHEMA = 1


@dataclass(frozen=True)
class RepetitionPlan:
    """`seeds`: how many, counted from `seed`; None: every group of the dataset is left out once, all with `seed`."""

    dataset: str
    seed: int
    seeds: int | None
    names: tuple[str, ...]
    epochs: int | None = None
    retrain: bool = False
    own: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Of its files' names."""
        return f"{'seeds' if self.seeds else 'groups'}-{datasets.name_of(self.dataset)}"


@dataclass(frozen=True)
class Repetition:
    """`left_out`: the group that is tested on, None where the seed decides."""

    seed: int
    left_out: str | None = None

    @property
    def label(self) -> str:
        return f"seed {self.seed}" if self.left_out is None else f"without {self.left_out}"


@dataclass(frozen=True)
class RepetitionResult:
    """One variant in one repetition; sizes and work are None where the variant has none. `accuracy` and `sparsity` are 0 to 1."""

    variant: str
    seed: int
    left_out: str | None
    correct: int
    windows: int
    accuracy: float
    train_windows: int
    tflite_bytes: int
    zip_bytes: int | None
    compressed_bytes: int | None
    weight_bytes: int | None
    macs: int | None
    flops: int | None
    sparsity: float | None
    key: str
    tflite_sha256: str


def results(plan: RepetitionPlan, nodes: Sequence[chains.Node], folder: Path) -> list[RepetitionResult]:
    """One for each variant and repetition; those that `folder` holds are not made again. A call that is cut off keeps what it
    has."""
    path = folder / f"{plan.stem}.json"
    known = {} if plan.retrain else _read_results(path)
    found: list[RepetitionResult] = []
    for repetition in _repetitions(plan):
        ids = _ids(nodes, plan, repetition)
        missing = [name for name, i in ids.items() if i not in known]
        if missing:
            print(f"{repetition.label}: {len(missing)} of {len(ids)} variants to train or test", file=sys.stderr, flush=True)
            known |= {ids[result.variant]: result for result in _in_a_process(plan, repetition, tuple(missing))}
            _write_results(path, known)
        found += [dataclasses.replace(known[i], variant=name) for name, i in ids.items()]
    return found


def _repetitions(plan: RepetitionPlan) -> list[Repetition]:
    if plan.seeds:
        return [Repetition(plan.seed + i) for i in range(plan.seeds)]
    data = datasets.load(plan.dataset, plan.seed)
    if data.groups is None:
        raise UserError(
            f"dataset {data.name} has no groups to leave out",
            expected="groups (people, recordings) in the dataset",
            received="none",
            remedy="use --seeds, or see docs/data.md",
        )
    return [Repetition(plan.seed, str(group)) for group in np.unique(data.groups)]


def _source(plan: RepetitionPlan, repetition: Repetition) -> dict[str, Any]:
    source = build.source_of(plan.dataset, repetition.seed)
    return source if repetition.left_out is None else {**source, "left_out": repetition.left_out}


def _ids(nodes: Sequence[chains.Node], plan: RepetitionPlan, repetition: Repetition) -> dict[str, str]:
    """What each variant's result is kept under: all that made and measured it."""
    source = _source(plan, repetition)
    measured = build.recipe_of(plan.dataset, repetition.seed, None)["measured_sha256"]
    return {n.name: hashlib.sha256(f"{chains.key(n, source)} {measured}".encode()).hexdigest() for n in nodes}


_Refusal = tuple[type[RigError], str, str, str, str]
"""A RigError's class and texts: the error itself does not survive pickling."""


def _in_a_process(plan: RepetitionPlan, repetition: Repetition, names: tuple[str, ...]) -> list[RepetitionResult]:
    with training_processes(1) as pool:
        try:
            made, refusal = pool.submit(_make, plan, repetition, names).result()
        except BrokenProcessPool as error:
            raise HostError(
                f"{repetition.label}: its process ended",
                received=str(error),
                remedy="repeat the command: it continues from there",
            ) from error
    if refusal is not None:
        kind, what, expected, received, remedy = refusal
        raise kind(what, expected=expected, received=received, remedy=remedy)
    return made


def _make(plan: RepetitionPlan, repetition: Repetition, names: tuple[str, ...]) -> tuple[list[RepetitionResult], _Refusal | None]:
    """In the child: the results, or why there are none."""
    try:
        tables = user_builders.tables({**load_config().networks, **user_builders.pairs(plan.own)})
        data, source = datasets.load(plan.dataset, repetition.seed), _source(plan, repetition)
        if data.source_id and dict(data.source_id) != source["dataset"]:
            raise datasets.changed(plan.dataset)
        parts = build.prepared(data, _split(data, repetition), repetition.seed)
        builder = build.VariantBuilder(parts.training, source, _show_begin(repetition), plan.retrain)
        return [_result(node, builder, parts, repetition) for node in chains.plan(names, tables, plan.epochs)], None
    except RigError as error:
        return [], (type(error), error.what, error.expected, error.received, error.remedy)


def _show_begin(repetition: Repetition) -> build.Progress:
    def show(name: str, done: int, _total: int) -> None:
        if not done:
            print(f"  {repetition.label}: {name} ...", file=sys.stderr, flush=True)

    return show


def _split(data: datasets.Dataset, repetition: Repetition) -> splits.Split:
    if repetition.left_out is None:
        return splits.split(data.y, data.groups, repetition.seed, data.class_names)
    assert data.groups is not None
    return splits.leave_out(data.groups, repetition.left_out)


def _result(
    node: chains.Node, builder: build.VariantBuilder, parts: build.PreparedData, repetition: Repetition
) -> RepetitionResult:
    entry = build.entry_of(node, builder.built(node), parts)
    return RepetitionResult(
        variant=node.name,
        seed=repetition.seed,
        left_out=repetition.left_out,
        correct=entry["host_correct"],
        windows=entry["host_windows"],
        accuracy=entry["host_accuracy"],
        train_windows=len(parts.training.y),
        tflite_bytes=entry["tflite_bytes"],
        zip_bytes=entry["zip_bytes"],
        compressed_bytes=entry.get("compressed_bytes"),
        weight_bytes=entry.get("weight_bytes"),
        macs=entry["macs"],
        flops=entry["flops"],
        sparsity=entry["sparsity"],
        key=builder.key(node),
        tflite_sha256=entry["sha256"],
    )


def _read_results(path: Path) -> dict[str, RepetitionResult]:
    """Earlier results by id; a file that can't be read has none."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        if stored["schema"] != SCHEMA:
            return {}
        return {key: RepetitionResult(**row) for key, row in stored["rows"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _write_results(path: Path, known: Mapping[str, RepetitionResult]) -> None:
    stored = {"schema": SCHEMA, "rows": {key: dataclasses.asdict(result) for key, result in known.items()}}
    write_whole(path, (json.dumps(stored, indent=1, allow_nan=False) + "\n").encode())
