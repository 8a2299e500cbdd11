"""check_model: a .tflite's bytes -> ModelCheck. Compiles as far as the C text would be written; nothing is built or run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache

from tinyrig.compiler.compile import is_tight, lacks_ram, leaner, plan_unit, smaller, weight_bytes
from tinyrig.compiler.emit import Unit
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.obstacle import obstacles_of
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel
from tinyrig.compiler.refuse.names import layer_in
from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.errors import ModelError
from tinyrig.core.records import TensorSpec
from tinyrig.preflight.advice import advice_for
from tinyrig.preflight.flash_estimate import MORE_RAM, RIG_FLASH, RIG_RAM, estimate
from tinyrig.preflight.records import FAST, PORTABLE, BoardFit, CheckedOp, ModelCheck


def check_model(data: bytes, *, file: str = "", boards: Iterable[Board] | None = None, optimise: str = "speed") -> ModelCheck:
    """Never raises for what is wrong with the model: that becomes `obstacles`. `file` is a name for people; `boards`: those of
    the table by default."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        unit = plan_unit(data, "tinyrig", CompileOptions(optimise))
    except ModelError as error:
        return ModelCheck(file, sha256, len(data), obstacles_of(error))
    small = unit if optimise == "size" else plan_unit(data, "tinyrig", CompileOptions("size"))
    by_rows = cache(lambda: unit if optimise == "ram" else plan_unit(data, "tinyrig", CompileOptions("ram")))
    lowered, memory = unit.lowered, unit.memory
    return ModelCheck(
        file,
        sha256,
        len(data),
        inputs=tuple(_spec(lowered.tensors[i]) for i in lowered.inputs),
        outputs=tuple(_spec(lowered.tensors[i]) for i in lowered.outputs),
        ops=tuple(_op(unit, s, k) for s, k in zip(lowered.steps, unit.kernels, strict=True)),
        weight_bytes=weight_bytes(unit),
        arena_bytes=memory.arena_bytes,
        arena_least=memory.lower_bound,
        arena_map=memory.buffers,
        flash=estimate(unit),
        fits=tuple(_fit((unit, small, by_rows), board) for board in (BOARDS.values() if boards is None else boards)),
        advice=advice_for(unit, small),
    )


def _spec(t: Tensor) -> TensorSpec:
    return TensorSpec(t.name, t.shape, t.dtype, float(t.scale), t.zero_point)


def _op(unit: Unit, step: AnyStep, kernel: Kernel) -> CheckedOp:
    layer = next((found for t in step.outputs if (found := layer_in(t.name))), "")
    alive = unit.memory.alive[step.index]
    speed = FAST if any(h.startswith("m4/") for h in kernel.headers) else PORTABLE
    read = sum(t.nbytes for t in step.inputs if t.data is not None)
    weights = kernel.weight_bytes + read
    outputs = tuple(map(_spec, step.outputs))
    return CheckedOp(step.index, step.op, step.name, layer, step.macs, weights, speed, alive, outputs)


def _fit(units: tuple[Unit, Unit, Callable[[], Unit]], board: Board) -> BoardFit:
    """As the compiler does it: where the faster kernels would leave no room, with the smaller ones, then by rows."""
    fast, small, by_rows = units
    tight = is_tight(fast, flash_bytes=board.flash_room, ram_bytes=board.ram_room)
    unit = smaller(fast, small) if tight else fast
    if lacks_ram(unit, board.ram_room):
        unit = leaner(unit, by_rows())
    flash = estimate(unit).high + RIG_FLASH[board.builder]
    ram = unit.memory.arena_bytes + RIG_RAM + MORE_RAM.get(board.builder, 0)
    lacks = [
        f"{need - have:,} bytes of {what}"
        for what, need, have in (("flash", flash, board.flash_room), ("RAM", ram, board.ram_room))
        if need > have
    ]
    reason = f"lacks {' and '.join(lacks)}" if lacks else ""
    return BoardFit(board.name, not lacks, flash, board.flash_bytes, ram, board.ram_bytes, reason)
