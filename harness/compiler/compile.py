"""compile_model: a .tflite -> C sources, sizes and tensor table. The only entry of this package that others need."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tinyrig.compiler.emit import Unit, constant_inputs, emit_model
from tinyrig.compiler.fuse import OWN_ENGINES, fuse
from tinyrig.compiler.kernels.choose import select_kernel
from tinyrig.compiler.lower.lower import Lowered, lower_file
from tinyrig.compiler.memory import ArenaLayout, plan_memory
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.layers import Conv2D, ConvMean, DepthwiseConv2D
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel
from tinyrig.compiler.order import ordered
from tinyrig.compiler.stream.choose import stream
from tinyrig.core.config import OPTIMISE
from tinyrig.core.errors import ModelError, UserError
from tinyrig.core.hardware.cores import CORTEX_M4F, Core
from tinyrig.core.records import CompiledModel, OpInfo, TensorSpec

FIRMWARE_FLASH = 32 * 1024
"""Bytes of flash left for code: faster kernels that would leave less give way to smaller ones."""
FIRMWARE_RAM = 32 * 1024
"""The same for protocol buffers and stack."""
WORTH = 0.1
"""What a working buffer larger than CMSIS-NN's must save, of an inference's cycles."""
LONGER = {"conv2d": 0.4, "depthwise": 0.02, "fully_connected": 0.09}
"""What a layer takes longer with the smaller buffer, by the beginning of its kind; measured with ResNet-8, DS-CNN and the dense
autoencoder."""
MOST = 1.1
"""Times CMSIS-NN's arena, under "speed"."""


def compile_model(
    data: bytes, *, flash_bytes: int, ram_bytes: int, engine: str = "tinyrig", optimise: str = "speed", core: Core = CORTEX_M4F
) -> CompiledModel:
    """`flash_bytes`, `ram_bytes` and `core` are what the board has; weights or an arena beyond them are refused here, code is
    checked by the linker. "speed" becomes "size" for a model that would otherwise leave no room for the firmware, and either
    becomes "ram" where the arena would still leave none.
    Raises ModelError; UserError for an unknown `engine` or `optimise` ("speed", "size" or "ram")."""
    if optimise not in OPTIMISE:
        raise UserError("unknown optimisation", expected=" or ".join(OPTIMISE), received=optimise)
    unit = plan_unit(data, engine, CompileOptions(optimise, core))
    if is_tight(unit, flash_bytes=flash_bytes, ram_bytes=ram_bytes):
        unit = smaller(unit, plan_unit(data, engine, CompileOptions("size", core)))
    if lacks_ram(unit, ram_bytes) and optimise != "ram":
        by_rows = plan_unit(data, engine, CompileOptions("ram", core))
        unit = leaner(unit, by_rows) if weight_bytes(by_rows) <= flash_bytes else unit
    lowered, kernels, memory = unit.lowered, unit.kernels, unit.memory
    weights = weight_bytes(unit)
    by_step = [(s, k.weight_bytes) for s, k in zip(lowered.steps, kernels, strict=True)]
    _check_fits("weights need", weights, flash_bytes, "flash", by_step)
    alive = [(s, sum(t.nbytes for t in (*s.inputs, *s.outputs))) for s in lowered.steps]
    _check_fits("arena needs", memory.arena_bytes, ram_bytes, "RAM", alive)
    return CompiledModel(
        engine=engine,
        sha256=unit.sha256,
        sources={"model.c": emit_model(unit)},
        kernels=tuple(sorted({s for k in kernels for s in k.sources})),
        inputs=tuple(_spec(lowered.tensors[i]) for i in lowered.inputs),
        outputs=tuple(_spec(lowered.tensors[i]) for i in lowered.outputs),
        ops=_ops(lowered),
        arena_bytes=memory.arena_bytes,
        weight_bytes=weights,
        tensor_offsets=memory.offsets,
        extra_sources=tuple(sorted({p for k in kernels for p in k.extra_sources})),
        include_dirs=tuple(dict.fromkeys(p for k in kernels for p in k.include_dirs)),
        arena=memory.buffers,
    )


def _ops(lowered: Lowered) -> tuple[OpInfo, ...]:
    """What the board profiles; a loop or a choice is one op, with all the work inside."""
    found, inside = list[OpInfo](), 0
    for s in lowered.steps:
        if s.block:
            inside += s.macs
        else:
            found.append(OpInfo(len(found), s.op, s.name, s.macs + inside))
            inside = 0
    return tuple(found)


def plan_unit(data: bytes, engine: str, options: CompileOptions) -> Unit:
    """All decisions before any C text: steps, their kernels and offsets."""
    lowered = fuse(lower_file(data), engine, options)
    kernels = [select_kernel(step, engine, options) for step in lowered.steps]
    if engine in OWN_ENGINES:  # other runtimes run the file's steps in the file's order
        lowered, kernels = ordered(lowered, kernels)
        kernels = lean(lowered, kernels, engine, options)
        if options.fast:
            lowered, kernels = stream(lowered, kernels, engine, options)
    return Unit(lowered, kernels, plan_memory(lowered, kernels), engine, hashlib.sha256(data).hexdigest())


def lean(lowered: Lowered, kernels: list[Kernel], engine: str, options: CompileOptions) -> list[Kernel]:
    """Where working buffers make the arena larger than CMSIS-NN's, kernels that need less and take longer; not under "speed"
    where that would be WORTH of all cycles."""
    found, levels = list(kernels), [0] * len(kernels)
    memory = plan_memory(lowered, found, search=False)
    most = (MOST if options.optimise == "speed" else 1.0) * _plain_arena(lowered.steps, kernels, memory)
    while lowered.steps and memory.arena_bytes > most:
        step = memory.fullest
        levels[step] += 1
        if levels[step] > (1 if options.optimise == "speed" else 2) or _saves(lowered.steps, step, options):
            break
        kernel = select_kernel(lowered.steps[step], engine, replace(options, lean=levels[step]))
        if kernel.scratch_bytes < found[step].scratch_bytes:
            found[step] = kernel
            memory = plan_memory(lowered, found, search=False)
    return found


def _plain_arena(steps: tuple[AnyStep, ...], kernels: list[Kernel], memory: ArenaLayout) -> int:
    """Bytes that CMSIS-NN needs at the least: all that is alive, a step's inputs and outputs side by side, and its working
    buffer, which holds two columns of a convolution's input, or a depthwise layer's filter, in 16 bits."""
    found = [0]
    for step, kernel, alive in zip(steps, kernels, memory.alive, strict=True):
        own = sum(t.nbytes for t in (*step.inputs, *step.outputs) if t.data is None) + _plain_map(step)
        found.append(max(own, alive - kernel.scratch_bytes) + _plain_buffer(step))
    return max(found)


def _plain_map(step: AnyStep) -> int:
    """Of a convolution whose map is never made here."""
    w = step.params.conv.window if isinstance(step.params, ConvMean) else None
    return w.out_h * w.out_w * w.out_c if w else 0


def _plain_buffer(step: AnyStep) -> int:
    layer = step.params.conv if isinstance(step.params, ConvMean) else step.params
    if not isinstance(layer, Conv2D | DepthwiseConv2D):
        return 0
    w = layer.window
    return w.k_h * w.k_w * w.in_c * (2 if isinstance(layer, DepthwiseConv2D) else 4) if w.k_h * w.k_w > 1 else 0


def _saves(steps: tuple[AnyStep, ...], step: int, options: CompileOptions) -> bool:
    """Whether the step's large buffer is worth it."""
    longer = next((more for kind, more in LONGER.items() if steps[step].kind.startswith(kind)), 0.0)
    return options.optimise == "speed" and longer * steps[step].macs > WORTH * sum(s.macs for s in steps)


def is_tight(unit: Unit, *, flash_bytes: int, ram_bytes: int) -> bool:
    """Whether faster kernels would leave no room for the firmware."""
    return weight_bytes(unit) > flash_bytes - FIRMWARE_FLASH or lacks_ram(unit, ram_bytes)


def lacks_ram(unit: Unit, ram_bytes: int) -> bool:
    return unit.memory.arena_bytes > ram_bytes - FIRMWARE_RAM


def leaner(unit: Unit, by_rows: Unit) -> Unit:
    return min(unit, by_rows, key=lambda u: u.memory.arena_bytes)


def smaller(fast: Unit, small: Unit) -> Unit:
    return min(fast, small, key=lambda u: weight_bytes(u) + u.memory.arena_bytes)


def weight_bytes(unit: Unit) -> int:
    """Bytes of constants."""
    return sum(k.weight_bytes for k in unit.kernels) + sum(t.nbytes for t in constant_inputs(unit.lowered).values())


def _spec(t: Tensor) -> TensorSpec:
    return TensorSpec(t.name, t.shape, t.dtype, float(t.scale), t.zero_point)


def _check_fits(what: str, need: int, have: int, memory: str, by_step: list[tuple[AnyStep, int]]) -> None:
    if need <= have:
        return
    where = ""
    if by_step:
        step, most = max(by_step, key=lambda pair: pair[1])
        where = f"; most at op {step.op_index} {step.op} {step.outputs[0].name!r}: {most} bytes"
    raise ModelError(
        f"the model's {what} {need} bytes and the board has {have} bytes of {memory}",
        expected=f"at most {have} bytes",
        received=f"{need} bytes, {need - have} too many{where}",
        remedy="use a smaller model, int8 quantisation or a larger board",
    )
