"""The lowering's workplace: a mutable Program that op functions read tensors from and add steps to; and its checks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyrig.compiler.model.extent import Shape, checked_shape, settled
from tinyrig.compiler.model.graph import DTYPES, Graph, Op, Tensor
from tinyrig.compiler.model.step import AnyStep, ProgramStep
from tinyrig.core.errors import ModelError

SUFFIX = {"float32": "f32", "int8": "s8", "int16": "s16", "int32": "s32", "int64": "s64", "uint8": "u8"}
"""Element type -> ending of the step kinds."""


MIN_SCALE, MAX_SCALE = 1e-30, 1e30
"""Of an activation: beyond them products and quotients of scales leave float32."""
MAX_FOLDED_BYTES = 1 << 22
"""Of one constant computed from others: more than any board's flash."""


class Program:
    """`roots` maps a tensor that is only another view of the same bytes to the tensor that owns them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: list[Tensor] = list(graph.tensors)
        self.steps: list[AnyStep] = []
        self.roots: dict[int, int] = {}
        self.states: list[int] = []
        """Tensors that are kept from one inference to the next."""
        self.block, self.blocks = 0, 0
        """The block of control flow that steps are added to, 0 for none; how many there are."""
        self.lower_ops: Callable[[Sequence[Op]], None] = _not_set
        """Of a block: all of them, whatever is refused; then raises Refused with every obstacle."""
        self.lost = set[int]()
        """Tensors of which a refused op would have told more: complaints about them tell nothing new."""
        self.handles: dict[int, str] = {}
        """Tensors that stand for a variable, and its name."""
        self.resources: dict[str, int] = {}
        """Variables by name, and the tensors that hold them."""
        self.on_reset: list[int] = []
        """Blocks that run when the model is reset."""
        self.used = set[int]()
        """Subgraphs that have become blocks."""
        self.copies = 0
        """Blocks that the moving steps copy, all together."""

    def root(self, index: int) -> int:
        while index in self.roots:
            index = self.roots[index]
        return index

    def inputs(self, op: Op, count: int) -> list[Tensor]:
        """Exactly `count` inputs, none omitted. Raises ModelError."""
        return self.inputs_and_optional(op, count, count)[0]

    def inputs_and_optional(self, op: Op, least: int, most: int) -> tuple[list[Tensor], list[Tensor | None]]:
        """The first `least` inputs, which the op needs; then those up to `most`, None where omitted. Raises ModelError."""
        found = [self.tensors[i] if i >= 0 else None for i in op.inputs]
        needed = [t for t in found[:least] if t is not None]
        if len(needed) < least or len(found) > most:
            expected = str(least) if least == most else f"{least} to {most}"
            received = f"{len(found)} inputs" + (", one of them omitted" if None in found[:least] else "")
            raise ModelError(f"{op} has {received}", expected=expected, remedy="convert the model again")
        return needed, found[least:] + [None] * (most - len(found))

    def output(self, op: Op) -> Tensor:
        if len(op.outputs) != 1:
            raise ModelError(f"{op} has {len(op.outputs)} outputs", expected="1", remedy="convert the model again")
        return self.tensors[op.outputs[0]]

    def alias(self, op: Op, source: Tensor, view: Tensor) -> None:
        """`view` is `source` under another shape: no code, no memory."""
        check(op, view, source.dtype == view.dtype, f"dtype {source.dtype}", view.dtype)
        check(op, view, source.size == view.size, f"{source.size} elements", f"{view.size}")
        if source.data is not None:
            self.fold(view, source.data.reshape(view.shape))
        else:
            self.roots[view.index] = source.index

    def fold(self, tensor: Tensor, value: np.ndarray) -> None:
        """`tensor` turns out to be a constant."""
        check_foldable(tensor)
        value = np.ascontiguousarray(value, tensor.dtype).reshape(tensor.shape)
        self.tensors[tensor.index] = dataclasses.replace(tensor, data=value)

    def settle(self, tensor: Tensor, shape: Shape) -> None:
        """`tensor`, whose shape the file leaves open, has this one. Raises ModelError where no board could hold it."""
        extent = settled(checked_shape(shape, str(tensor)))
        self.tensors[tensor.index] = dataclasses.replace(tensor, extent=extent)

    def temporary(self, like: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """A tensor that the file does not have, with `like`'s type and quantisation."""
        t = dataclasses.replace(like, index=len(self.tensors), name=name, extent=settled(shape), data=None)
        self.tensors.append(t)
        return t

    def emit(self, kind: str, op: Op, inputs: list[Tensor], outputs: list[Tensor], params: Any, macs: int = 0) -> None:
        for y in outputs:
            check(op, y, y.data is None, "an output that is no constant")
        at = len(self.steps), kind, step_name(outputs[0].name, op.code), op.code, op.index
        self.steps.append(ProgramStep(*at, tuple(inputs), tuple(outputs), params, macs, self.block))


def _not_set(ops: Sequence[Op]) -> None:
    raise NotImplementedError(str(ops))


def one_to_one(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor]:
    """The op's only input and its output, both of the same one of `dtypes`, quantised where that is an integer type."""
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, *dtypes)
    check_dtype(op, y, x.dtype)
    check_quantized(op, x, y)
    return x, y


def check_foldable(tensor: Tensor) -> None:
    """Before anything of the size is made."""
    if tensor.dtype not in DTYPES.values():
        raise ModelError(f"{tensor} can't be a constant", expected=" or ".join(DTYPES.values()), received=tensor.dtype)
    if tensor.nbytes > MAX_FOLDED_BYTES:
        raise ModelError(
            f"{tensor} is a constant too large for any board",
            expected=f"at most {MAX_FOLDED_BYTES} bytes",
            received=f"{tensor.nbytes} bytes",
        )


def step_name(tensor_name: str, code: str) -> str:
    """A C identifier for the layer: the last meaningful part of the output tensor's name, else the op's."""
    parts = [p for p in re.split(r"[/;]", tensor_name) if p]
    words = [re.sub(r"\W+", "_", p, flags=re.ASCII).strip("_").lower() for p in parts[:3]]
    return "_".join(w for w in words if w)[:40].strip("_") or code.lower()


def check(op: Op, tensor: Tensor | None, good: bool, expected: str, received: str = "") -> None:
    """Raises ModelError that names op, index and tensor."""
    if good:
        return
    what = f"{op}: {tensor} can't be used" if tensor else f"{op} can't be compiled"
    raise ModelError(
        what, expected=expected, received=received or str(tensor or ""), remedy="convert the model again or change the layer"
    )


def check_dtype(op: Op, tensor: Tensor, *allowed: str) -> None:
    if tensor.dtype not in allowed:
        raise ModelError(
            f"{op}: {tensor} has a dtype that this op does not support",
            expected=" or ".join(allowed),
            received=tensor.dtype,
            remedy=f"convert the layer to {' or '.join(allowed)}, or replace it",
        )


def check_shape(op: Op, tensor: Tensor, shape: tuple[int, ...]) -> None:
    check(op, tensor, tensor.shape == tuple(shape), f"shape {list(shape)} from the op's inputs", f"{list(tensor.shape)}")


def check_quantized(op: Op, *tensors: Tensor) -> None:
    """Every integer tensor given must have one scale > 0 and a zero point inside its type."""
    for t in tensors:
        if t.dtype in ("float32", "bool"):
            continue
        good = len(t.scales) == 1 and bool(MIN_SCALE <= t.scales[0] <= MAX_SCALE)
        check(op, t, good, f"one quantisation scale from {MIN_SCALE:g} to {MAX_SCALE:g}", f"scales {t.scales[:4].tolist()}")
        info = np.iinfo(t.dtype)
        check(op, t, info.min <= t.zero_point <= info.max, f"a zero point in [{info.min}, {info.max}]", f"{t.zero_point}")
        anywhere = op.code in ("SOFTMAX", "QUANTIZE", "DEQUANTIZE")
        check(op, t, t.dtype != "int16" or t.zero_point == 0 or anywhere, "zero point 0 for int16", f"{t.zero_point}")


def constant(op: Op, tensor: Tensor | None, what: str) -> np.ndarray:
    if tensor is None or tensor.data is None:
        raise ModelError(f"{op}: {what} must be a constant", received=str(tensor), remedy="make it a constant in the model")
    return tensor.data
