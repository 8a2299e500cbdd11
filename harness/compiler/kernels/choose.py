"""The engines' kernel tables and the choice of a kernel for each step."""

from __future__ import annotations

from tinyrig.compiler.kernels import cmsis, m4_f32, m4_int8, portable, portable_picks, portable_state
from tinyrig.compiler.kernels.custom import detection, signal
from tinyrig.compiler.kernels.dsp import dense, int16, matmul, state, transpose
from tinyrig.compiler.kernels.litert import functions, stored
from tinyrig.compiler.model.layers import Conv2D, ConvMean, DepthwiseConv2D, FullyConnected, TransposeConv
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel, Select
from tinyrig.core.errors import UserError

PORTABLE: dict[str, Select] = {
    **portable.KERNELS,
    **portable_picks.KERNELS,
    **portable_state.KERNELS,
    **signal.KERNELS,
    **detection.KERNELS,
    **functions.KERNELS,
}

ENGINES: dict[str, tuple[dict[str, Select], ...]] = {
    "portable": (PORTABLE,),
    "tinyrig": (
        m4_int8.KERNELS,
        dense.KERNELS,
        m4_f32.KERNELS,
        int16.KERNELS,
        transpose.KERNELS,
        state.KERNELS,
        matmul.KERNELS,
        PORTABLE,
    ),
    "cmsis-nn": (cmsis.KERNELS, PORTABLE),
}
"""Engine -> tables in the order they are asked; the portable table takes what the others leave."""


def tables_of(engine: str, options: CompileOptions) -> tuple[dict[str, Select], ...]:
    """A core without DSP gets the C forms of the fast integer kernels: on Cortex-M0, M3 and RV32IMC they take 55 to 73 % of the
    portable ones' instructions (docs/cores.md). In software floats take nearly all the time, and the fast kernels then cost 5 to
    13 % more, but less RAM. Raises UserError for an unknown engine."""
    if engine not in ENGINES:
        raise UserError(f"unknown engine {engine!r}", expected=" or ".join(ENGINES), received=engine)
    soft = not options.core.fpu and options.fast
    return (m4_int8.KERNELS, dense.KERNELS, PORTABLE) if engine == "tinyrig" and soft else ENGINES[engine]


def select_kernel(step: AnyStep, engine: str, options: CompileOptions) -> Kernel:
    """Raises UserError for an unknown engine; every step kind that lowering gives has a portable kernel."""
    kernel = find_kernel(step, engine, options)
    if kernel is None:
        raise NotImplementedError(f"no portable kernel for {step.kind}")
    return kernel


def find_kernel(step: AnyStep, engine: str, options: CompileOptions) -> Kernel | None:
    """None where the engine has no kernel for the step, which may only happen to fused steps. Raises UserError."""
    tables = tables_of(engine, options)
    if _stays_stored(step, options):
        tables = (stored.KERNELS,)
    kernels = (table[step.kind](step, options) for table in tables if step.kind in table)
    return next((k for k in kernels if k is not None), None)


def _stays_stored(step: AnyStep, options: CompileOptions) -> bool:
    """Whether a float layer's weights stay int8 as in the file: where size counts. A fusion that would widen them has no kernel
    then."""
    layer = step.params.conv if isinstance(step.params, ConvMean) else step.params
    weighted = isinstance(layer, Conv2D | DepthwiseConv2D | FullyConnected) and not isinstance(layer, TransposeConv)
    return options.optimise == "size" and weighted and layer.stored is not None
