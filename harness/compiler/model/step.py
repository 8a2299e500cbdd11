"""What passes between the compiler's stages: steps (lowered ops), their parameters, and the kernels chosen for them.

A `ProgramStep` says what must be computed, once and for all engines: constants are numpy arrays in `params`, everything that
TFLite leaves to run time (paddings, multipliers, activation ranges) is already a number. A `Kernel` says how one engine
does it. Kernels are looked up in literal tables, `dict[kind, Select]`, one table an engine (see kernels/choose.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from tinyrig.compiler.model.graph import Tensor
from tinyrig.core.hardware.cores import CORTEX_M4F, Core

C_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "bool": "uint8_t",
    "complex64": "float",
}
"""numpy dtype name -> C type of a tensor's or constant's element; of a complex one, of its two parts."""
KEPT = "noinline, noclone"
"""Attributes of a function that steps of equal shape share. noclone: for a single caller GCC 12 makes a copy with that call's
pointers inside, loses sight of what the copy writes, and drops the call (seen at MAX_POOL_2D of four channels)."""


@dataclass(frozen=True)
class CompileOptions:
    """What the user asked for, and for which core. `optimise`: "speed" may spend flash on re-laid weights and unrolled code,
    "size" may not, "ram" may and takes layers row by row where the arena gets smaller ("speed": few, where it is large). `rows`:
    not 0 where a kernel is wanted that computes one row of the output a call, of so many in all (see Kernel). `lean`: 1 or
    2 where the step's working buffer makes the arena larger, so that one is wanted that needs less, or the least."""

    optimise: str = "speed"
    core: Core = CORTEX_M4F
    rows: int = 0
    lean: int = 0

    @property
    def fast(self) -> bool:
        """May code be large?"""
        return self.optimise != "size"


P_co = TypeVar("P_co", covariant=True)
Q = TypeVar("Q")


@dataclass(frozen=True, eq=False)
class ProgramStep(Generic[P_co]):
    """One call of the compiled program. `inputs` and `outputs` are the tensors that the kernel gets pointers to (an input
    may be a constant: `data` is then not None); weights and the like are in `params`, the record of the step's kind (see
    layers.py and params.py). `op`/`op_index` name the (first) TFLite op it came from, for messages and profiles. `block` is 0, or
    the number of the block of control flow that the step belongs to: then only that op's own step runs it."""

    index: int
    kind: str
    name: str
    op: str
    op_index: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    params: P_co
    macs: int = 0
    block: int = 0

    def with_params(self, params: Q) -> ProgramStep[Q]:
        """The same step as one of another kind; `kind` stays."""
        return ProgramStep(
            self.index, self.kind, self.name, self.op, self.op_index, self.inputs, self.outputs, params, self.macs, self.block
        )


AnyStep = ProgramStep[Any]
"""A step whose kind, and so the record in `params`, shows only at run time."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A `static const` array of the step: 4-byte aligned, named <prefix>_<name> in the C text; counts as weights."""

    name: str
    data: np.ndarray
    comment: str = ""

    @property
    def ctype(self) -> str:
        return C_TYPES[self.data.dtype.name]


@dataclass(frozen=True)
class Piece:
    """Bytes `offset` .. `offset + size` of a buffer, alive in the ticks whose bits are set in `live`."""

    offset: int
    size: int
    live: int


Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Timing:
    """A step that takes many `ticks`, and in which of them (bit 0 is its first) parts of its tensors and of its own buffers are
    alive. `inputs` by number: until they were read for the last time; `outputs`: from when they are written to the step's end."""

    ticks: int
    inputs: tuple[Pieces, ...]
    outputs: tuple[Pieces, ...]
    work: tuple[Pieces, ...]


@dataclass(frozen=True, eq=False)
class Kernel:
    """How one engine does one step.

    body(prefix) -> the statements of `static void __attribute__((noinline)) <prefix>(void)`. In scope: `in0`, `in1` ...
    (const pointers of the tensors' C types, see C_TYPES), `out0` ..., and `scratch` (uint8_t *, 16-byte aligned,
    `scratch_bytes` long) when scratch_bytes > 0; constants as <prefix>_<name>.
    A line `@block N` stands for the calls of that block's steps.
    file_scope(prefix) -> C text placed before that function (helpers, parameter structs), behind its constants.
    sources: files below firmware/nn to compile; headers: below firmware/nn, to include.
    inplace: numbers of the inputs that output 0 may overwrite (same address) without harm.
    rows: it computes one row, which is what `out0` points to. In scope besides: `in_h`, the rows from `in0` on, and `pad_top`,
    the rows of padding before them.
    timing: of a step of many ticks; its buffers are in scope as `work0` ... (uint8_t *, 16-byte aligned).
    extra_sources, include_dirs: another runtime's files from elsewhere, absolute paths.
    """

    body: Callable[[str], str]
    constants: tuple[Constant, ...] = ()
    file_scope: Callable[[str], str] | None = None
    scratch_bytes: int = 0
    inplace: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()
    headers: tuple[str, ...] = field(default=("nn.h",))
    extra_sources: tuple[Path, ...] = ()
    include_dirs: tuple[Path, ...] = ()
    rows: bool = False
    timing: Timing | None = None

    @property
    def weight_bytes(self) -> int:
        return sum(c.data.nbytes for c in self.constants)


Select = Callable[[AnyStep, CompileOptions], Kernel | None]
"""A table's entry: the kernel for this step, or None when the engine has none for this shape (the portable one is used)."""
