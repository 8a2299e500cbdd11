"""Values that can't be meant: what is looked at while windows are read, and from where on it is said or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import Caution, CautionKind

SATURATED_SAID, SATURATED_REFUSED = 0.02, 0.50
"""Share of the values other than 0 that lie outside the quantised input's range: a calibrated model clips a few outliers."""
SLACK = 1.5
"""Steps beyond the range that count as within: 1.0 in a range that ends at 255/256."""
TINY = 0.05
"""Share of the quantised range that all values together fill."""
PIXELS_FROM = 100
"""Whole numbers from 0 up to a largest one between this and 255 look like pixels that nobody scaled."""
DUPLICATES = 0.10
"""Share of windows that are copies of earlier ones."""
FEWEST, LEAST_BYTES = 10, 8
"""Windows, and bytes of one, below which copies may be chance."""


@dataclass
class Numbers:
    """What one input's values look like, part by part: `beyond` lie outside the quantised range, `zeros` say nothing about
    units."""

    spec: TensorSpec
    count: int = 0
    zeros: int = 0
    beyond: int = 0
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True

    def look(self, real: np.ndarray) -> None:
        """`real` finite float32 in the model's units."""
        if not real.size:
            return
        self.count += real.size
        self.zeros += int(np.count_nonzero(real == 0))
        self.low, self.high = min(self.low, float(real.min())), max(self.high, float(real.max()))
        self.whole = self.whole and bool((np.trunc(real) == real).all())
        if self.spec.scale:
            low, high = self.range
            slack = SLACK * self.spec.scale
            self.beyond += int(np.count_nonzero((real < low - slack) | (real > high + slack)))

    @property
    def range(self) -> tuple[float, float]:
        """Of the quantised input, in real units."""
        info = np.iinfo(self.spec.dtype)
        return (info.min - self.spec.zero_point) * self.spec.scale, (info.max - self.spec.zero_point) * self.spec.scale

    @property
    def pixels(self) -> bool:
        return self.whole and self.low >= 0 and PIXELS_FROM <= self.high <= 255

    def cautions(self, where: str, name: str, real: bool) -> list[Caution]:
        """`name` of the array, `where` with its file, for errors; `real`: its values were real ones. Raises UserError where
        nothing useful can come out."""
        if not self.count:
            return []
        if self.low == self.high:
            return [Caution(CautionKind.CONSTANT, f"every value of {name} is {self.low:g}")]
        if not real:
            return []
        return self._of_range(where, name) if self.spec.scale else self._of_floats(name)

    def _of_range(self, where: str, name: str) -> list[Caution]:
        low, high = self.range
        share = self.beyond / max(1, self.count - self.zeros)
        fills = (self.high - self.low) / (high - low)
        told = f"its values run from {self.low:.4g} to {self.high:.4g}, the model's input from {low:.4g} to {high:.4g}"
        if share > SATURATED_REFUSED:
            raise _refused(
                f"{where} saturates the model's input: {100 * share:.0f} % of its values lie outside", told, self._hint()
            )
        if self.high - self.low < self.spec.scale:
            raise _refused(f"{where} vanishes: all its values are within one quantised step of the model's input", told, _UNITS)
        if share > SATURATED_SAID:
            text = (
                f"{100 * share:.1f} % of the values of {name} lie outside the model's input and saturate: {told}{self._scaled()}"
            )
            return [Caution(CautionKind.SATURATED, text)]
        if fills < TINY:
            text = f"the values of {name} fill {100 * fills:.1f} % of the model's input: {told}; are the units right?"
            return [Caution(CautionKind.TINY_RANGE, text)]
        return []

    def _scaled(self) -> str:
        return "; whole numbers up to 255: not divided by 255?" if self.pixels else ""

    def _hint(self) -> str:
        if self.low >= 0 and PIXELS_FROM <= self.high <= 255 and self.range[1] < PIXELS_FROM:
            return "values up to 255: divide them by 255, or do whatever was done in training, before storing them"
        return _UNITS

    def _of_floats(self, name: str) -> list[Caution]:
        if not (self.pixels and self.spec.dtype.startswith("float")):
            return []
        text = (
            f"{name} holds whole numbers from {self.low:g} to {self.high:g}: right only for a model that was trained on such "
            "values or scales them itself"
        )
        return [Caution(CautionKind.WHOLE_NUMBERS, text)]


_UNITS = "give the windows in the units that the model was trained on (scaled, normalised), see docs/inputs.md"


def _refused(what: str, told: str, remedy: str) -> UserError:
    return UserError(what, expected="values in the units that the model was converted for", received=told, remedy=remedy)


def copies(windows: Sequence[bytes | None], labels: tuple[int, ...] | None) -> list[Caution]:
    """`windows`: a digest of each, all inputs together, None for one that may be like another by chance. Raises
    UserError where one window stands for all and labels differ."""
    if None in windows or len(windows) < FEWEST:
        return []
    different = len(set(windows))
    if different == 1 and labels is not None and len(set(labels)) > 1:
        raise UserError(
            "all windows are the same, and their labels differ",
            expected="a window for each label",
            received=f"{len(windows)} copies of one window, {len(set(labels))} different labels",
            remedy="check how the windows file was written",
        )
    share = 1 - different / max(1, len(windows))
    if share <= DUPLICATES:
        return []
    text = f"{len(windows) - different} of {len(windows)} windows are copies of earlier ones: they count as often as they occur"
    return [Caution(CautionKind.DUPLICATES, text)]
