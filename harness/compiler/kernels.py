"""The engines' kernel tables and the choice of a kernel for each step."""

from __future__ import annotations

from harness.compiler import cmsis, m4_f32, m4_int8, portable
from harness.compiler.step import Kernel, Options, Select, Step
from harness.errors import UserError

ENGINES: dict[str, tuple[dict[str, Select], ...]] = {
    "portable": (portable.KERNELS,),
    "tinyrig": (m4_int8.KERNELS, m4_f32.KERNELS, portable.KERNELS),
    "cmsis-nn": (cmsis.KERNELS, portable.KERNELS),
}
"""Engine -> tables in the order they are asked; the portable table takes what the others leave."""


def select_kernel(step: Step, engine: str, options: Options) -> Kernel:
    """Raises UserError for an unknown engine; every step kind has a portable kernel."""
    if engine not in ENGINES:
        raise UserError(f"unknown engine {engine!r}", expected=" or ".join(ENGINES), received=engine)
    for table in ENGINES[engine]:
        kernel = table[step.kind](step, options) if step.kind in table else None
        if kernel is not None:
            return kernel
    raise NotImplementedError(f"no portable kernel for {step.kind}")
