"""Test windows: from an .npz, or random over the input's range."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.records import TensorSpec

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
    arrays = _read_npz(path)
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
            f"{path}: no windows, or not equally many for every input",
            expected="N >= 1 windows each",
            received=", ".join(f"{n}: {len(c)}" for n, c in zip(names, columns, strict=True)),
            remedy=_REMEDY,
        )
    class_names = _class_names(arrays, path)
    labels = _labels(arrays, len(arrays[names[0]]), limit, path)
    _check_range(labels or (), class_names, path)
    return Windows(tuple(zip(*columns, strict=True)), labels, class_names)


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


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, EOFError, AttributeError) as error:  # TypeError: a bare .npy
        raise UserError(
            f"{path} can't be read as windows",
            expected="an .npz of plain arrays",
            received=f"{type(error).__name__}: {error}",
            remedy=_REMEDY,
        ) from error


def _as_windows(x: np.ndarray, spec: TensorSpec, name: str, path: Path) -> np.ndarray:
    """[N, ...] of float32 or the tensor's dtype -> [N, *spec.shape] of the tensor's dtype."""
    if x.ndim < 1 or (x.size and x.size // len(x) != spec.size):
        raise UserError(
            f"{path}: {name} does not fit the model's input {spec.name!r}",
            expected=f"N windows of {spec.size} values, shape {spec.shape}",
            received=f"shape {x.shape}",
            remedy=_REMEDY,
        )
    if x.dtype == np.dtype(spec.dtype):
        return x.reshape(-1, *spec.shape)
    if x.dtype.kind == "f" and (spec.scale or spec.dtype == "float32"):
        with np.errstate(over="ignore"):
            x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise UserError(
                f"{path}: {name} holds NaN or infinite values",
                expected="finite float32 values",
                received=f"{int((~np.isfinite(x)).sum())} others",
                remedy="clean the windows",
            )
        return spec.quantize(x).reshape(-1, *spec.shape)
    raise UserError(
        f"{path}: {name} has the wrong dtype",
        expected=f"float32 or {spec.dtype}" if spec.scale else spec.dtype,
        received=str(x.dtype),
        remedy=_REMEDY,
    )


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


def _class_names(arrays: dict[str, np.ndarray], path: Path) -> tuple[str, ...] | None:
    if "class_names" not in arrays:
        return None
    names = arrays["class_names"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(
            f"{path}: class_names can't be used",
            expected="a list of strings",
            received=f"{names.dtype} of shape {names.shape}",
            remedy=_REMEDY,
        )
    return tuple(str(c) for c in names)


def _check_range(labels: tuple[int, ...], class_names: tuple[str, ...] | None, path: Path) -> None:
    """A label that no output can mean would only lower the accuracy."""
    for i, label in enumerate(labels):
        if label < 0 or (class_names is not None and label >= len(class_names)):
            raise UserError(
                f"{path}: y holds a label that is no class",
                expected=f"0 to {len(class_names) - 1}" if class_names else "0 or more",
                received=f"{label} for window {i}",
                remedy=_REMEDY,
            )
