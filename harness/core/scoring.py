"""What is scored of a model's outputs, and what of its inputs or answers can hardly be meant: frozen records with their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class ScoreKind(StrEnum):
    """How an output is scored, as it is stored."""

    NONE = "none"
    """Not at all; the reason is said."""
    CLASSES = "classes"
    """One score for each class, the largest wins: top-1."""
    CLASS_ID = "class id"
    """The output is the class itself: the argmax is inside the graph."""
    BINARY = "binary"
    """One score; beyond the threshold it means class 1."""
    RANKING = "ranking"
    """One score without a known threshold: only its order counts, as AUC."""
    CELLS = "cells"
    """A grid with a class in each cell."""
    REGRESSION = "regression"
    """Real values against real targets."""
    RECONSTRUCTION = "reconstruction"
    """The output is the input again; what differs is the score."""


DECIDING = (ScoreKind.CLASSES, ScoreKind.CLASS_ID, ScoreKind.BINARY)
"""Kinds that answer one class for a window: those that have an accuracy."""


@dataclass(frozen=True)
class Scoring:
    """`output` is an index among the model's outputs, `name` what the file calls it; `how` says why it was taken where there
    are several, `named` whether the user chose it; `reason` why there is no accuracy, empty where there is one. `threshold` of
    BINARY, in real units."""

    kind: ScoreKind
    output: int = 0
    name: str = ""
    how: str = ""
    reason: str = ""
    threshold: float | None = None
    named: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Scoring | None:
        """None for a kind that this tinyrig does not know."""
        kind, output, threshold = stored.get("kind"), stored.get("output"), stored.get("threshold")
        if kind not in tuple(ScoreKind) or type(output) is not int or output < 0:
            return None
        name, how, reason = (str(stored.get(key) or "") for key in ("name", "how", "reason"))
        known = float(threshold) if isinstance(threshold, (int, float)) else None
        return cls(ScoreKind(kind), output, name, how, reason, known, bool(stored.get("named")))


class CautionKind(StrEnum):
    """What a warning is about; docs/inputs.md has the thresholds."""

    SATURATED = "saturated input"
    TINY_RANGE = "tiny range"
    CONSTANT = "constant input"
    DUPLICATES = "duplicate windows"
    WHOLE_NUMBERS = "whole numbers"
    CLASS_ORDER = "class order"
    OUTPUT = "output"
    ONE_CLASS = "one class"
    CHANCE = "chance"
    CLOCK = "clock"
    LINE = "line"


ANSWERED = (CautionKind.ONE_CLASS, CautionKind.CHANCE)
"""Those that only a model's answers show."""


@dataclass(frozen=True)
class Caution:
    """A warning: a number that can hardly be meant, or a choice that somebody should know of."""

    kind: CautionKind
    text: str

    def to_json(self) -> dict[str, str]:
        return {"kind": str(self.kind), "text": self.text}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Caution | None:
        """None for a kind that this tinyrig does not know."""
        kind, text = stored.get("kind"), stored.get("text")
        return cls(CautionKind(kind), text) if kind in tuple(CautionKind) and isinstance(text, str) else None
