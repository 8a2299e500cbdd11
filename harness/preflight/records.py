"""What a check of a model gives: frozen records, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from tinyrig.compiler.model.obstacle import Obstacle
from tinyrig.core.records import ArenaBuffer, TensorSpec

FAST, PORTABLE = "fast", "portable"
"""Kernels written for the Cortex-M4, and plain C for any core."""


@dataclass(frozen=True)
class CheckedOp:
    """One step of the compiled program. `layer` is its name as the model's author knows it, where the file tells; `kernel` is
    FAST or PORTABLE; `alive_bytes` is what the arena holds while it runs."""

    index: int
    op: str
    name: str
    layer: str
    macs: int
    weight_bytes: int
    kernel: str
    alive_bytes: int
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class FlashEstimate:
    """What the model will add to the image: its weights, which are exact, and its code, which lies between two bounds."""

    weight_bytes: int
    code_low: int
    code_high: int

    @property
    def low(self) -> int:
        return self.weight_bytes + self.code_low

    @property
    def high(self) -> int:
        return self.weight_bytes + self.code_high


@dataclass(frozen=True)
class BoardFit:
    """`fits` is said with the upper bound of flash; `reason` tells what is missing, "" where it fits. Needs include the
    firmware."""

    board: str
    fits: bool
    flash_need: int
    flash_bytes: int
    ram_need: int
    ram_bytes: int
    reason: str = ""


@dataclass(frozen=True)
class Advice:
    """What would make the model smaller or faster. `saves_bytes` of RAM or flash, 0 where that is not known."""

    text: str
    saves_bytes: int = 0


@dataclass(frozen=True)
class ModelCheck:
    """All that is known of a model without running it. Where it can't be compiled, `obstacles` says why, and what follows from
    compiling is empty or 0. `fits` has every board of the table and of rig.toml."""

    file: str
    sha256: str
    file_bytes: int
    obstacles: tuple[Obstacle, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    ops: tuple[CheckedOp, ...] = ()
    weight_bytes: int = 0
    arena_bytes: int = 0
    arena_least: int = 0
    """The most bytes that are alive at once: no plan can do with less."""
    arena_map: tuple[ArenaBuffer, ...] = ()
    flash: FlashEstimate | None = None
    fits: tuple[BoardFit, ...] = ()
    advice: tuple[Advice, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it can be compiled; whether it then fits a board is another question."""
        return not self.obstacles

    @property
    def refusal(self) -> str:
        """The first obstacle in a line, and how many more there are; "" where there is none. Of a file that is no model: what it
        is."""
        if not self.obstacles:
            return ""
        first, more = self.obstacles[0], len(self.obstacles) - 1
        what = f"{first.received}: {first.reason}" if first.index < 0 and first.received else first.reason
        return what + (f" and {more} more" if more else "")

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)

    @property
    def portable_share(self) -> float | None:
        """Of the multiply-accumulates (of the steps, where there are none), those that portable kernels do."""
        if not self.ops:
            return None
        portable = [op for op in self.ops if op.kernel == PORTABLE]
        if self.macs:
            return sum(op.macs for op in portable) / self.macs
        return len(portable) / len(self.ops)

    def fits_on(self, board: str) -> bool:
        return any(f.fits for f in self.fits if f.board == board)
