"""`y` of a windows file, in the forms that people have, -> labels from 0, or targets where a window has no single class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.scoring import Caution, CautionKind
from tinyrig.windows.layout import SEE

MAX_NAME = 200
MAX_TARGETS = 4_000_000
"""Numbers: they are stored with the run."""


@dataclass(frozen=True)
class Answers:
    """`labels` N classes from 0; `one_hot`: how many columns they came in, None where in one. `targets` instead, [N, ...]:
    float32 for real values, int64 for several whole ones. `class_names` as the file has them, or made from labels that are
    names."""

    labels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    targets: np.ndarray | None = None
    one_hot: int | None = None
    cautions: tuple[Caution, ...] = ()

    def first(self, count: int) -> Answers:
        """Of the first `count` windows."""
        labels = self.labels if self.labels is None else self.labels[:count]
        return replace(self, labels=labels, targets=None if self.targets is None else self.targets[:count])


def read_answers(y: np.ndarray, count: int, class_names: tuple[str, ...] | None, where: str) -> Answers:
    """`y` of all `count` windows. `where` names file and array. Raises UserError."""
    check_answers(y.shape, y.dtype, count, where)
    flat = y.reshape(count, *(d for d in y.shape[1:] if d != 1))
    if flat.dtype.kind in "US":
        return _named(flat, class_names, where)
    if flat.dtype.kind == "f":
        flat = flat.astype(np.float64)
        if (odd := ~(np.abs(flat) <= np.finfo(np.float32).max)).any():  # NaN is no less than anything
            bad = int(np.argmax(odd.reshape(count, -1).any(axis=1)))
            raise _unusable(where, "finite float32 numbers", f"{flat[bad]} in row {bad}"[:200])
    whole = flat.dtype.kind in "iub" or bool((np.trunc(flat) == flat).all() and (np.abs(flat) < 2**53).all())
    found = _numbers(flat, whole)
    if class_names is not None and found.labels is not None:
        _check_named(found.labels, class_names, where)
    return replace(found, class_names=class_names)


def check_answers(shape: tuple[int, ...], dtype: np.dtype, count: int, where: str) -> None:
    """Before anything of these sizes is made. Raises UserError."""
    if shape[:1] != (count,) or dtype.kind not in "iubfUS" or 0 in shape:
        raise _unusable(where, f"{count} labels, one for each window", f"{dtype} of shape {shape}")
    if math.prod(shape) > MAX_TARGETS:
        raise _unusable(where, f"at most {MAX_TARGETS} numbers", f"shape {shape}")


def _unusable(where: str, expected: str, received: str) -> UserError:
    return UserError(f"{where} can't be used as labels", expected=expected, received=received, remedy=SEE)


def _numbers(flat: np.ndarray, whole: bool) -> Answers:
    if whole and flat.ndim == 1:
        return Answers(tuple(int(v) for v in flat))
    if whole and flat.ndim == 2 and _is_one_hot(flat):
        return Answers(tuple(int(v) for v in np.argmax(flat, axis=1)), one_hot=flat.shape[1])
    return Answers(targets=flat.astype(np.int64) if whole else flat.astype(np.float32))


def _is_one_hot(flat: np.ndarray) -> bool:
    return bool(((flat == 0) | (flat == 1)).all() and ((flat == 1).sum(axis=1) == 1).all())


def _check_named(labels: tuple[int, ...], class_names: tuple[str, ...], where: str) -> None:
    bad = next((i for i, v in enumerate(labels) if not 0 <= v < len(class_names)), None)
    if bad is None:
        return
    from_one = min(labels) == 1 and max(labels) == len(class_names)
    raise UserError(
        f"{where} has a label out of range" + (": the labels begin at 1, class_names at 0" if from_one else ""),
        expected=f"labels from 0 to {len(class_names) - 1}, indices into class_names",
        received=f"{labels[bad]} in row {bad}",
        remedy="store y - 1" if from_one else SEE,
    )


# ---- labels that are names ----


def _named(flat: np.ndarray, class_names: tuple[str, ...] | None, where: str) -> Answers:
    if flat.ndim != 1:
        raise _unusable(where, "one name a window", f"shape {flat.shape}")
    names = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in flat.tolist()]
    odd = next((name for name in names if len(name) > MAX_NAME or not name.isprintable()), None)
    if odd is not None:  # they stand on terminals and pages
        raise _unusable(where, f"printable names of up to {MAX_NAME} characters", f"{odd!r:.80}")
    if class_names is None and all(name.strip().lstrip("+-").isdecimal() for name in names):
        return Answers(tuple(int(name) for name in names))
    known = class_names or tuple(sorted(set(names)))
    _check_alike(sorted(set(names)), where)
    index = {name: i for i, name in enumerate(known)}
    bad = next((i for i, name in enumerate(names) if name not in index), None)
    if bad is not None:
        raise UserError(
            f"{where} has a label that class_names do not hold",
            expected=f"one of {', '.join(known)}"[:300],
            received=f"{names[bad]!r:.80} in row {bad}",
            remedy="name every class in class_names, in the order of the model's outputs",
        )
    return Answers(tuple(index[name] for name in names), known, cautions=() if class_names else (_sorted(known),))


def _check_alike(names: list[str], where: str) -> None:
    """Two spellings of one class would be two classes."""
    plain: dict[str, str] = {}
    for name in names:
        other = plain.setdefault(" ".join(name.split()).casefold(), name)
        if other != name:
            raise UserError(
                f"{where} has labels that differ by case or spaces only",
                expected="one spelling of each class",
                received=f"{other!r:.80} and {name!r:.80}",
                remedy="correct the labels",
            )


def _sorted(names: tuple[str, ...]) -> Caution:
    order = ", ".join(f"{i} {name}" for i, name in enumerate(names[:12])) + (", ..." if len(names) > 12 else "")
    text = f"labels are names, taken as the model's classes in sorted order ({order}); store class_names if the model has another"
    return Caution(CautionKind.CLASS_ORDER, text)
