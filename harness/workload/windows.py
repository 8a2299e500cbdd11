"""Test windows: from an .npz, or random over the input's range."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.npz import read_npz
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


def load_windows(path: Path, specs: tuple[TensorSpec, ...], limit: int | None = None) -> Windows:
    """Reads `x` (or `x0`, `x1`, ... where the model has several inputs), `y` and `class_names` of an .npz. Raises UserError."""
    arrays = read_npz(path, _REMEDY)
    names = ["x"] if len(specs) == 1 else [f"x{i}" for i in range(len(specs))]
    missing = [n for n in names if n not in arrays]
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(missing)}",
            expected=", ".join(names),
            received=", ".join(arrays) or "nothing",
            remedy=_REMEDY,
        )
    columns = [_as_windows(arrays[n], spec, n, path)[:limit] for n, spec in zip(names, specs, strict=True)]
    if len({len(c) for c in columns}) != 1 or not len(columns[0]):
        raise UserError(
            f"{path}: no windows, or not the same number for every input",
            expected="N >= 1 windows each",
            received=", ".join(f"{n}: {len(c)}" for n, c in zip(names, columns, strict=True)),
            remedy=_REMEDY,
        )
    class_names = _class_names(arrays, path)
    labels = _labels(arrays, len(arrays[names[0]]), limit, path)
    if labels is not None:
        _check_range(labels, len(class_names) if class_names is not None else None, f"{path}: y", "class_names")
    return Windows(tuple(zip(*columns, strict=True)), labels, class_names)


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


def _as_windows(x: np.ndarray, spec: TensorSpec, name: str, path: Path) -> np.ndarray:
    """[N, ...] of float32 or the tensor's dtype -> [N, *spec.shape] of the tensor's dtype."""
    if x.ndim < 1 or (len(x) and x.size != spec.size * len(x)):
        raise UserError(
            f"{path}: {name} does not fit the model's input {spec.name!r}",
            expected=f"N windows of {spec.size} values, shape {spec.shape}",
            received=f"shape {x.shape}",
            remedy=_REMEDY,
        )
    as_real = x.dtype.kind == "f" and (spec.dtype == "float32" or spec.scale > 0)
    if x.dtype != np.dtype(spec.dtype) and not as_real:
        expected = f"float32 or {spec.dtype}" if spec.scale > 0 else spec.dtype
        raise UserError(f"{path}: {name} has the wrong dtype", expected=expected, received=str(x.dtype), remedy=_REMEDY)
    if not as_real:
        return x.reshape(-1, *spec.shape)
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        raise UserError(
            f"{path}: {name} holds NaN or infinite values",
            expected="finite float32 values",
            received=f"{int((~np.isfinite(x)).sum())} others, the first in window {int(np.argwhere(~np.isfinite(x))[0][0])}",
            remedy="clean the windows",
        )
    return spec.quantize(x).reshape(-1, *spec.shape)


MAX_NAME = 200


def _class_names(arrays: dict[str, np.ndarray], path: Path) -> tuple[str, ...] | None:
    names = arrays.get("class_names")
    if names is None:
        return None
    good = names.ndim == 1 and names.dtype.kind == "U" and len(names) <= 100_000
    found = [str(name) for name in names.tolist()] if good else []
    if not good or any(len(name) > MAX_NAME or not name.isprintable() for name in found):
        received = f"{names.dtype} of shape {names.shape}" if not good else repr(max(found, key=len))[:80]
        expected = f"an array of str, printable and up to {MAX_NAME} characters"
        raise UserError(f"{path}: class_names can't be used", expected=expected, received=received, remedy=_REMEDY)
    return tuple(found)


def _labels(arrays: dict[str, np.ndarray], count: int, limit: int | None, path: Path) -> tuple[int, ...] | None:
    if "y" not in arrays:
        return None
    y = arrays["y"]
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise UserError(
            f"{path}: y can't be used as labels",
            expected=f"{count} integers",
            received=f"{y.dtype} of shape {y.shape}",
            remedy=_REMEDY,
        )
    return tuple(int(v) for v in y[:limit])
