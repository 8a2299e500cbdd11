"""Test windows: from an .npz, or random over the input's range."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.files.content import Content
from tinyrig.core.files.npz import MAX_ROWS, Npz, open_npz
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import Caution
from tinyrig.core.text import printable
from tinyrig.windows.files import read_windows
from tinyrig.windows.labels import MAX_NAME, Answers, check_answers, read_answers
from tinyrig.windows.layout import SEE, check_layout
from tinyrig.windows.naming import Named, find
from tinyrig.windows.numbers import LEAST_BYTES, Numbers, copies
from tinyrig.windows.sequences import check_sequences

RANDOM_WINDOWS = 20


@dataclass(frozen=True)
class Windows:
    """`inputs`: per window one array for each input tensor, in the tensor's shape and dtype; `labels` N integers or None.
    `places`: for each window how many of its own sequence come before it; None: each is on its own."""

    inputs: tuple[tuple[np.ndarray, ...], ...]
    labels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    random: bool = False
    targets: np.ndarray | None = None
    one_hot: int | None = None
    cautions: tuple[Caution, ...] = ()
    places: tuple[int, ...] | None = None

    def place(self, index: int) -> int:
        """How many windows of its sequence come before window `index`."""
        return self.places[index] if self.places else 0

    @property
    def sequences(self) -> int | None:
        """How many there are; None where each window is on its own."""
        return None if self.places is None else self.places.count(0)

    @property
    def answers(self) -> Answers:
        """What is right."""
        return Answers(self.labels, self.class_names, self.targets, self.one_hot)

    def __len__(self) -> int:
        return len(self.inputs)

    def digest(self) -> str:
        """SHA-256 as hex over every input's bytes, in order, with the labels and class names."""
        digest = hashlib.sha256(repr((self.labels, self.class_names)).encode())
        if self.places is not None:
            digest.update(f"sequences {self.places}".encode())
        if self.targets is not None:
            digest.update(f"{self.targets.dtype.str}{self.targets.shape}".encode() + np.ascontiguousarray(self.targets).tobytes())
        for array in (a for window in self.inputs for a in window):
            digest.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def load_windows(
    source: Path | Content, specs: tuple[TensorSpec, ...], limit: int | None = None, called: Sequence[Sequence[str]] = ()
) -> Windows:
    """Windows with labels and class names out of a file of any form that docs/inputs.md names; only the first `limit` windows are
    converted and kept. `called`: all names of each of the model's inputs. Raises UserError."""
    content = read_windows(source) if isinstance(source, Path) else source
    path = content.path
    with open_npz(content, SEE) as npz:
        named = find({name: header.shape for name, header in npz.headers.items()}, specs, called, str(path))
        count = _check_counts(npz, named.inputs, specs, path)
        read = [_Column(npz, spec, name, f"{path}: {name}") for name, spec in zip(named.inputs, specs, strict=True)]
        columns = [column.read(limit) for column in read]
        answers = _answers(npz, named, count, path)
        places = check_sequences(npz.array(named.sequence), count, f"{path}: {named.sequence}") if named.sequence else None
    inputs, answers = tuple(zip(*columns, strict=True)), answers.first(len(columns[0]))
    cautions = [
        *(c for column in read for c in column.cautions()),
        *copies([_digest(window) for window in inputs], answers.labels),
    ]
    return Windows(
        inputs,
        answers.labels,
        answers.class_names,
        targets=answers.targets,
        one_hot=answers.one_hot,
        cautions=(*answers.cautions, *cautions),
        places=places and places[: len(inputs)],
    )


def _digest(window: tuple[np.ndarray, ...]) -> bytes | None:
    """None for a window too small to differ from all others."""
    if sum(a.nbytes for a in window) < LEAST_BYTES:
        return None
    digest = hashlib.sha256()
    for a in window:
        digest.update(a.tobytes())
    return digest.digest()


def _check_counts(npz: Npz, names: Sequence[str], specs: Sequence[TensorSpec], path: Path) -> int:
    """How many windows there are, of every input."""
    for name, spec in zip(names, specs, strict=True):
        check_layout(npz.headers[name].shape, spec, f"{path}: {name}")
    counts = [npz.headers[n].shape[0] for n in names]
    if len(set(counts)) != 1 or not counts[0]:
        raise UserError(
            f"{path}: no windows, or not the same number for every input",
            expected="N >= 1 windows each",
            received=", ".join(f"{n}: {count}" for n, count in zip(names, counts, strict=True)),
            remedy=SEE,
        )
    return counts[0]


def _answers(npz: Npz, named: Named, count: int, path: Path) -> Answers:
    """What the file says is right, of all its windows: names are numbered by all that occur."""
    class_names = _class_names(npz, named.class_names, path) if named.class_names else None
    if named.labels is None:
        return Answers(class_names=class_names)
    where, header = f"{path}: {named.labels}", npz.headers[named.labels]
    check_answers(header.shape, header.dtype, count, where)
    return read_answers(npz.array(named.labels), count, class_names, where)


def check_labels(windows: Windows, outputs: tuple[TensorSpec, ...]) -> None:
    """Of a firmware that was built elsewhere. Raises UserError for a label that the first output has no score for: such a window
    would count as wrong."""
    count, labels = outputs[0].size, windows.labels or ()
    bad = next((i for i, label in enumerate(labels) if not 0 <= label < max(count, 2)), None)
    if bad is not None and (count > 1 or labels[bad] < 0):
        raise UserError(
            "y has a label out of range",
            expected=f"labels from 0 to {count - 1}, indices into the model's output {outputs[0].name!r}",
            received=f"{labels[bad]} in row {bad}",
            remedy=SEE,
        )


def random_windows(specs: tuple[TensorSpec, ...], count: int | None, seed: int, rows: tuple[int, ...] = ()) -> Windows:
    """`count` seeded windows, uniform over the input's range: all of an integer dtype, -1 to 1 for float32. rows: of an input
    that is an index, see indices.py, else 0."""
    rng, tops = np.random.default_rng(seed), rows or (0,) * len(specs)
    windows = (tuple(_random(s, rng, n) for s, n in zip(specs, tops, strict=True)) for _ in range(count or RANDOM_WINDOWS))
    return Windows(tuple(windows), random=True)


def _random(spec: TensorSpec, rng: np.random.Generator, rows: int) -> np.ndarray:
    if rows:
        return rng.integers(0, rows, spec.shape, dtype=spec.dtype)
    if spec.dtype.startswith("float"):
        return rng.uniform(-1.0, 1.0, spec.shape).astype(spec.dtype)
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    info = np.iinfo(spec.dtype)
    return rng.integers(info.min, info.max, spec.shape, dtype=spec.dtype, endpoint=True)


class _Column:
    """One input's array: read part by part, looked at while it is."""

    def __init__(self, npz: Npz, spec: TensorSpec, name: str, where: str) -> None:
        self._npz, self._spec, self._name, self._where = npz, spec, name, where
        self._numbers = Numbers(spec)

    def read(self, limit: int | None) -> np.ndarray:
        """[N, ...] -> [up to limit, *spec.shape] of the tensor's dtype."""
        spec, name, header = self._spec, self._name, self._npz.headers[self._name]
        as_real = _is_real(header.dtype, spec, self._where)
        count = header.shape[0] if limit is None else min(limit, header.shape[0])
        if count > MAX_ROWS:
            what = f"{self._where} holds too many windows"
            raise UserError(what, expected=f"at most {MAX_ROWS}", received=str(count), remedy="use --limit")
        self._npz.reserve(name, count * spec.nbytes)
        kept, at, bad = np.empty(count * spec.size, spec.dtype), 0, _Bad()
        for part in self._npz.values(name, count):
            real = bad.without(part, at) if as_real else part
            kept[at : at + len(part)] = spec.quantize(real) if as_real else _exact(part, spec, self._where)
            self._numbers.look(real if as_real else spec.dequantize(kept[at : at + len(part)]))
            at += len(part)
        if bad.count:
            raise UserError(
                f"{self._where} holds NaN or infinite values",
                expected="finite float32 values",
                received=f"{bad.count} others, the first in window {bad.first // spec.size}",
                remedy="clean the windows",
            )
        return kept.reshape(-1, *spec.shape)

    def cautions(self) -> list[Caution]:
        """Raises UserError where nothing useful can come out."""
        real = _is_real(self._npz.headers[self._name].dtype, self._spec, self._where)
        return self._numbers.cautions(self._where, printable(self._name, 100), real)


@dataclass
class _Bad:
    """Values that are not finite as float32: how many, and the index of the first."""

    count: int = 0
    first: int = 0

    def without(self, part: np.ndarray, at: int) -> np.ndarray:
        """`part`, which begins at index `at`, as float32, with 0 in place of what is bad."""
        with np.errstate(over="ignore"):
            real = part.astype(np.float32)
        others = ~np.isfinite(real)
        if others.any():
            self.first = self.first if self.count else at + int(np.argmax(others))
            self.count += int(others.sum())
            real[others] = 0
        return real


def _is_real(dtype: np.dtype, spec: TensorSpec, where: str) -> bool:
    """Whether the values are real ones, to be quantised as the tensor says; else they are the tensor's own. Raises
    UserError where they can be neither, or either."""
    if dtype == np.dtype(spec.dtype):
        return np.dtype(spec.dtype).kind == "f"
    if dtype.kind == "f" and (spec.dtype.startswith("float") or spec.scale > 0):
        return True
    if dtype.kind in "iub" and spec.dtype.startswith("float"):
        return True
    if dtype.kind in "iub" and not spec.scale:
        return False
    own = f"float32 in the model's units, or {spec.dtype} as the model quantises them" if spec.scale else spec.dtype
    whole = dtype.kind in "iub" and spec.scale > 0
    raise UserError(
        f"{where} has the wrong dtype" + (": whole numbers could be either" if whole else ""),
        expected=own,
        received=str(dtype),
        remedy="store x.astype('float32'), scaled as in training" if whole else SEE,
    )


def _exact(part: np.ndarray, spec: TensorSpec, where: str) -> np.ndarray:
    """Whole numbers as the tensor's dtype. Raises UserError for one that it can't hold."""
    with np.errstate(over="ignore"):
        found = part.astype(spec.dtype)
    if (found != part).any():
        bad = part[int(np.argmax(found != part))]
        raise UserError(
            f"{where} holds a value that the model's input can't",
            expected=f"values of {spec.dtype}",
            received=str(bad),
            remedy=SEE,
        )
    return found


MAX_CLASSES = 100_000
_MAX_NAMES = 4 * MAX_NAME * MAX_CLASSES
"""Bytes: numpy stores every name as long as the longest, in 4 bytes a character."""


def _class_names(npz: Npz, key: str, path: Path) -> tuple[str, ...]:
    header = npz.headers[key]
    good = len(header.shape) == 1 and header.dtype.kind == "U" and header.shape[0] <= MAX_CLASSES and header.nbytes <= _MAX_NAMES
    found = [str(name) for name in npz.array(key).tolist()] if good else []
    wrong = [i for i, name in enumerate(found) if len(name) > MAX_NAME or not name.isprintable()]
    if not good or wrong:
        received = f"{header.dtype} of shape {header.shape}" if not good else f"name {wrong[0]}: {found[wrong[0]]!r:.80}"
        expected = f"an array of up to {MAX_CLASSES} str, printable and up to {MAX_NAME} characters"
        raise UserError(f"{path}: {key} can't be used", expected=expected, received=received, remedy=SEE)
    return tuple(found)
