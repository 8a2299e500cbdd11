"""The fast product of two int8 activations for Cortex-M4 (firmware/nn/m4/matmul.h)."""

from __future__ import annotations

from tinyrig.compiler.kernels.dsp.rescale import record
from tinyrig.compiler.kernels.portable import pair
from tinyrig.compiler.model.params import BatchMatmul
from tinyrig.compiler.model.step import CompileOptions, Kernel, ProgramStep, Select

FARTHEST = 255 * 255
"""The largest product of two int8 values less their zero points."""


def batch_matmul(step: ProgramStep[BatchMatmul], options: CompileOptions) -> Kernel | None:
    """batch_matmul_s8; a first operand that is stored turned is left to the portable kernel."""
    p = step.params
    scale = record(p.out, p.depth * FARTHEST)
    if p.a_turned or scale is None or 0 in (p.batch, p.rows, p.depth, p.columns):
        return None
    shape = f"{p.batch}, {p.rows}, {p.depth}, {p.columns}, {p.a_step}, {p.b_step}, 0, {int(p.b_turned)}"
    record_text = f"{{{shape}}}, {', '.join(map(str, p.zeros))}, {pair(p.out)}"
    text = (
        f"static const nn_matmul_int p = {{{record_text}}};\n"
        f"static const m4_scale scale = {scale};\n"
        f"m4_matmul_s8(&p, &scale, in0, in1, scratch, out0);\n"
    )
    return Kernel(lambda _: text, scratch_bytes=32 * -(-p.depth // 4), headers=("m4/matmul.h",))


KERNELS: dict[str, Select] = {"batch_matmul_s8": batch_matmul}
"""Step kind -> choice, for the engine "tinyrig"."""
