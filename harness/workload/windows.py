"""Test windows: from an .npz, or random over the input's range."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.files.content import Content, read_content
from tinyrig.core.files.npz import EXPECTED, MAX_ROWS, Header, Npz, open_npz
from tinyrig.core.records import TensorSpec

RANDOM_WINDOWS = 20
_REMEDY = "see docs/model.md for the form of a windows file"


@dataclass(frozen=True)
class Windows:
    """`inputs`: per window one array for each input tensor, in the tensor's shape and dtype; `labels` N integers or None."""

    inputs: tuple[tuple[np.ndarray, ...], ...]
    labels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    random: bool = False

    def __len__(self) -> int:
        return len(self.inputs)

    def digest(self) -> str:
        """SHA-256 as hex over every input's bytes, in order, with the labels and class names."""
        digest = hashlib.sha256(repr((self.labels, self.class_names)).encode())
        for array in (a for window in self.inputs for a in window):
            digest.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_windows(path: Path) -> Content:
    """What a windows file holds, not yet looked into. Raises UserError."""
    return read_content(path, EXPECTED, _REMEDY)


def load_windows(source: Path | Content, specs: tuple[TensorSpec, ...], limit: int | None = None) -> Windows:
    """Reads `x` (or `x0`, `x1`, ... where the model has several inputs), `y` and `class_names` of an .npz; only the first `limit`
    windows are converted and kept. Raises UserError."""
    content = read_windows(source) if isinstance(source, Path) else source
    path = content.path
    with open_npz(content, _REMEDY) as npz:
        names = ["x"] if len(specs) == 1 else [f"x{i}" for i in range(len(specs))]
        count = _check_counts(npz, names, path)
        columns = [_as_windows(npz, spec, n, path, limit) for n, spec in zip(names, specs, strict=True)]
        class_names = _class_names(npz, path)
        labels = _labels(npz, count, limit, path)
    if labels is not None:
        _check_range(labels, len(class_names) if class_names is not None else None, f"{path}: y", "class_names")
    return Windows(tuple(zip(*columns, strict=True)), labels, class_names)


def _check_counts(npz: Npz, names: list[str], path: Path) -> int:
    """How many windows there are, of every input."""
    missing = [n for n in names if n not in npz.headers]
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(missing)}",
            expected=", ".join(names),
            received=", ".join(npz.headers) or "nothing",
            remedy=_REMEDY,
        )
    counts = [next(iter(npz.headers[n].shape), 0) for n in names]
    if len(set(counts)) != 1 or not counts[0]:
        raise UserError(
            f"{path}: no windows, or not the same number for every input",
            expected="N >= 1 windows each",
            received=", ".join(f"{n}: {count}" for n, count in zip(names, counts, strict=True)),
            remedy=_REMEDY,
        )
    return counts[0]


def check_labels(windows: Windows, outputs: tuple[TensorSpec, ...]) -> None:
    """Raises UserError for a label that the first output has no score for: such a window would count as wrong."""
    if windows.labels is not None and outputs[0].size > 1:
        _check_range(windows.labels, outputs[0].size, "y", f"the model's output {outputs[0].name!r}")


def _check_range(labels: tuple[int, ...], count: int | None, where: str, of: str) -> None:
    bad = next((i for i, v in enumerate(labels) if v < 0 or (count is not None and v >= count)), None)
    if bad is not None:
        expected = "labels from 0" if count is None else f"labels from 0 to {count - 1}, indices into {of}"
        received = f"{labels[bad]} in row {bad}"
        raise UserError(f"{where} has a label out of range", expected=expected, received=received, remedy=_REMEDY)


def random_windows(specs: tuple[TensorSpec, ...], count: int | None, seed: int) -> Windows:
    """`count` seeded windows, uniform over the input's range: all of an integer dtype, -1 to 1 for float32."""
    rng = np.random.default_rng(seed)
    return Windows(tuple(tuple(_random(spec, rng) for spec in specs) for _ in range(count or RANDOM_WINDOWS)), random=True)


def _random(spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    if spec.dtype.startswith("float"):
        return rng.uniform(-1.0, 1.0, spec.shape).astype(spec.dtype)
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    info = np.iinfo(spec.dtype)
    return rng.integers(info.min, info.max, spec.shape, dtype=spec.dtype, endpoint=True)


def _as_windows(npz: Npz, spec: TensorSpec, name: str, path: Path, limit: int | None) -> np.ndarray:
    """[N, ...] of float32 or the tensor's dtype -> [up to limit, *spec.shape] of the tensor's dtype, made part by part."""
    header = npz.headers[name]
    as_real = _check_form(header, spec, name, path)
    count = header.shape[0] if limit is None else min(limit, header.shape[0])
    if count > MAX_ROWS:
        raise UserError(
            f"{path}: {name} holds too many windows", expected=f"at most {MAX_ROWS}", received=str(count), remedy="use --limit"
        )
    npz.reserve(name, count * spec.nbytes)
    kept, at, bad = np.empty(count * spec.size, spec.dtype), 0, _Bad()
    for part in npz.values(name, count):
        kept[at : at + len(part)] = spec.quantize(bad.without(part, at)) if as_real else part
        at += len(part)
    if bad.count:
        raise UserError(
            f"{path}: {name} holds NaN or infinite values",
            expected="finite float32 values",
            received=f"{bad.count} others, the first in window {bad.first // spec.size}",
            remedy="clean the windows",
        )
    return kept.reshape(-1, *spec.shape)


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


def _check_form(header: Header, spec: TensorSpec, name: str, path: Path) -> bool:
    """Whether the values are real ones, to be quantised as the tensor says. Raises UserError where they fit neither way."""
    shape, dtype = header.shape, header.dtype
    if math.prod(shape) != spec.size * shape[0]:
        raise UserError(
            f"{path}: {name} does not fit the model's input {spec.name!r}",
            expected=f"N windows of {spec.size} values, shape {spec.shape}",
            received=f"shape {shape}",
            remedy=_REMEDY,
        )
    as_real = dtype.kind == "f" and (spec.dtype == "float32" or spec.scale > 0)
    if dtype != np.dtype(spec.dtype) and not as_real:
        expected = f"float32 or {spec.dtype}" if spec.scale > 0 else spec.dtype
        raise UserError(f"{path}: {name} has the wrong dtype", expected=expected, received=str(dtype), remedy=_REMEDY)
    return as_real


MAX_NAME, MAX_CLASSES = 200, 100_000
_MAX_NAMES = 4 * MAX_NAME * MAX_CLASSES
"""Bytes: numpy stores every name as long as the longest, in 4 bytes a character."""


def _class_names(npz: Npz, path: Path) -> tuple[str, ...] | None:
    header = npz.headers.get("class_names")
    if header is None:
        return None
    good = len(header.shape) == 1 and header.dtype.kind == "U" and header.shape[0] <= MAX_CLASSES and header.nbytes <= _MAX_NAMES
    found = [str(name) for name in npz.array("class_names").tolist()] if good else []
    wrong = [i for i, name in enumerate(found) if len(name) > MAX_NAME or not name.isprintable()]
    if not good or wrong:
        received = f"{header.dtype} of shape {header.shape}" if not good else f"name {wrong[0]}: {found[wrong[0]]!r:.80}"
        expected = f"an array of up to {MAX_CLASSES} str, printable and up to {MAX_NAME} characters"
        raise UserError(f"{path}: class_names can't be used", expected=expected, received=received, remedy=_REMEDY)
    return tuple(found)


def _labels(npz: Npz, count: int, limit: int | None, path: Path) -> tuple[int, ...] | None:
    header = npz.headers.get("y")
    if header is None:
        return None
    if header.shape != (count,) or header.dtype.kind not in "iu":
        raise UserError(
            f"{path}: y can't be used as labels",
            expected=f"{count} integers",
            received=f"{header.dtype} of shape {header.shape}",
            remedy=_REMEDY,
        )
    return tuple(int(v) for v in npz.array("y", limit))
