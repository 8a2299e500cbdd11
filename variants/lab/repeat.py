"""Every variant again and again: with other seeds, or with another group left out each time. Rows are kept by what made them.

Each repetition trains in a process of its own, because TensorFlow's converter leaks some 5 MB a call.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.config import ROOT, load_config
from tinyrig.core.errors import HostError, RigError, UserError
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.lab import build, chains, own

OUT = ROOT / "reports" / "out"
SCHEMA = 1
Row = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """`seeds`: how many, counted from `seed`; None: every group of the dataset is left out once, all with `seed`."""

    dataset: str
    seed: int
    seeds: int | None
    names: tuple[str, ...]
    epochs: int | None = None
    anew: bool = False
    own: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        return f"{'seeds' if self.seeds else 'groups'}-{datasets.name_of(self.dataset)}"


@dataclass(frozen=True)
class Repetition:
    """`left_out`: the group that is tested on, None where the seed decides."""

    seed: int
    left_out: str | None = None

    @property
    def label(self) -> str:
        return f"seed {self.seed}" if self.left_out is None else f"without {self.left_out}"


def rows(request: Request, nodes: Sequence[chains.Node], folder: Path) -> list[Row]:
    """A row for each variant and repetition; those that `folder` holds are not made again. A cut-off call keeps what it has."""
    path = folder / f"{request.stem}.json"
    known = {} if request.anew else _read(path)
    found: list[Row] = []
    for repetition in _repetitions(request):
        ids = _ids(nodes, request, repetition)
        missing = [name for name, i in ids.items() if i not in known]
        if missing:
            print(f"{repetition.label}: {len(missing)} of {len(ids)} variants to train or test", file=sys.stderr, flush=True)
            known |= {ids[row["variant"]]: row for row in _in_a_process(request, repetition, tuple(missing))}
            _write(path, known)
        found += [known[i] | {"variant": name} for name, i in ids.items()]
    return found


def _repetitions(request: Request) -> list[Repetition]:
    if request.seeds:
        return [Repetition(request.seed + i) for i in range(request.seeds)]
    data = datasets.load(request.dataset, request.seed)
    if data.groups is None:
        raise UserError(
            f"dataset {data.name} has no groups to leave out",
            expected="groups (people, recordings) in the dataset",
            received="none",
            remedy="use --seeds, or see docs/data.md",
        )
    return [Repetition(request.seed, str(group)) for group in np.unique(data.groups)]


def _source(request: Request, repetition: Repetition) -> dict[str, Any]:
    source = build.source_of(request.dataset, repetition.seed)
    return source if repetition.left_out is None else {**source, "left_out": repetition.left_out}


def _ids(nodes: Sequence[chains.Node], request: Request, repetition: Repetition) -> dict[str, str]:
    """What each variant's row is kept under: all that made and measured it."""
    source = _source(request, repetition)
    measured = build.recipe_of(request.dataset, repetition.seed, None)["measured_sha256"]
    return {n.name: hashlib.sha256(f"{chains.key(n, source)} {measured}".encode()).hexdigest() for n in nodes}


def _in_a_process(request: Request, repetition: Repetition, names: tuple[str, ...]) -> list[Row]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            good, answer = pool.submit(_make, request, repetition, names).result()
        except BrokenProcessPool as error:
            raise HostError(
                f"{repetition.label}: its process ended", received=str(error), remedy="start the command again: it goes on there"
            ) from error
    if not good:
        kind, what, expected, received, remedy = answer
        raise kind(what, expected=expected, received=received, remedy=remedy)
    return answer


def _make(request: Request, repetition: Repetition, names: tuple[str, ...]) -> tuple[bool, Any]:
    """In the child: (True, rows), or (False, what a RigError says: its arguments don't survive pickling)."""
    try:
        tables = own.tables({**load_config().models, **own.pairs(request.own)})
        data = datasets.load(request.dataset, repetition.seed)
        parts = build.parts_of(data, _split(data, repetition), repetition.seed)
        maker = build.Maker(parts.training, _source(request, repetition), _say(repetition), request.anew)
        return True, [_row(node, maker, parts, repetition) for node in chains.plan(names, tables, request.epochs)]
    except RigError as error:
        return False, (type(error), error.what, error.expected, error.received, error.remedy)


def _say(repetition: Repetition) -> build.Progress:
    def say(name: str, done: int, _total: int) -> None:
        if not done:
            print(f"  {repetition.label}: {name} ...", file=sys.stderr, flush=True)

    return say


def _split(data: datasets.Dataset, repetition: Repetition) -> splits.Split:
    if repetition.left_out is None:
        return splits.split(data.y, data.groups, repetition.seed, data.class_names)
    assert data.groups is not None
    return splits.leave_out(data.groups, repetition.left_out)


def _row(node: chains.Node, maker: build.Maker, parts: build.Parts, repetition: Repetition) -> Row:
    entry = build.entry_of(node, maker.built(node), parts)
    kept = ("tflite_bytes", "zip_bytes", "compressed_bytes", "weight_bytes", "macs", "flops", "sparsity")
    return {
        "variant": node.name,
        "seed": repetition.seed,
        "left_out": repetition.left_out,
        "correct": entry["host_correct"],
        "windows": entry["host_windows"],
        "accuracy": entry["host_accuracy"],
        "train_windows": len(parts.training.y),
        **{key: entry.get(key) for key in kept},
        "key": maker.key(node),
        "tflite_sha256": entry["sha256"],
    }


def _read(path: Path) -> dict[str, Row]:
    """Earlier rows by id; a file that can't be read has none."""
    try:
        stored = json.loads(path.read_text("utf-8"))
        return dict(stored["rows"]) if stored["schema"] == SCHEMA else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _write(path: Path, known: dict[str, Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps({"schema": SCHEMA, "rows": known}, indent=1) + "\n", "utf-8")
    partial.replace(path)
