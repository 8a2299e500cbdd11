"""How much flash a model will take, without a compiler. The weights are known to the byte. The code is the sum of the functions
that the model's steps call, for each of which there are bounds, and of the parameters and tables beside them; both were seen in
real builds (tests/code_bounds.py; docs/check.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinyrig.compiler.compile import weight_bytes
from tinyrig.compiler.emit import Unit
from tinyrig.preflight.code_parts import parts_of, table_numbers
from tinyrig.preflight.records import FlashEstimate

RIG_FLASH = {"gcc": 8 * 1024, "arduino": 128 * 1024, "sketch": 128 * 1024, "zephyr": 64 * 1024}
"""Bytes of the firmware around the model, at most, by how the image is built; test_flash_estimate.py holds it against a build."""
RIG_RAM = 14 * 1024
"""RAM that the firmware wants beside the arena: its smallest buffers, variables and a stack. Larger buffers only serve speed."""
MORE_RAM = {"zephyr": 8 * 1024}
"""What the firmware wants beyond that, by builder: Zephyr's other stacks and tables, its drivers and the line's ring."""
BOUNDS_FILE = Path(__file__).with_name("code_bounds.json")
UNKNOWN = (0, 3000, 2500)
"""Of a function that was never built: nothing is smaller, and few are larger."""
UNKNOWN_STEP = (8, 160, 0)
"""Of a step's own function, which only calls others."""
MARGIN = 1.1
"""On the upper bounds: other shapes than those built give somewhat more."""


@dataclass(frozen=True)
class Rest:
    """Bytes of everything that is no function: once, for each step, and for each number in the steps' parameters and tables."""

    once: float
    step: float
    number: float

    def of(self, unit: Unit) -> float:
        return max(0.0, self.once + self.step * len(unit.lowered.steps) + self.number * table_numbers(unit))


@dataclass(frozen=True)
class Bounds:
    """`parts`: kind of function -> (least, most bytes, most of the helpers that it brings)."""

    parts: dict[str, tuple[int, int, int]]
    rest_low: Rest
    rest_high: Rest


@cache
def bounds() -> Bounds:
    found = json.loads(BOUNDS_FILE.read_text("utf-8"))
    parts = {kind: (least, most, helpers) for kind, (least, most, helpers) in found["parts"].items()}
    return Bounds(parts, Rest(*found["rest_low"]), Rest(*found["rest_high"]))


def estimate(unit: Unit) -> FlashEstimate:
    known = bounds()
    parts = [known.parts.get(p.kind, UNKNOWN_STEP if p.kind.startswith("step ") else UNKNOWN) for p in parts_of(unit)]
    low = sum(least for least, _, _ in parts) + known.rest_low.of(unit)
    high = sum(most + helpers for _, most, helpers in parts) + known.rest_high.of(unit)
    return FlashEstimate(weight_bytes(unit), int(low), int(high * MARGIN))
