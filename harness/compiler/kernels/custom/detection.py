"""The portable engine's kernel of TFLite_Detection_PostProcess."""

from __future__ import annotations

from tinyrig.compiler.kernels.ctext import c_float
from tinyrig.compiler.model.custom.records import Detect
from tinyrig.compiler.model.step import CompileOptions, Kernel, ProgramStep, Select


def detect(step: ProgramStep[Detect], options: CompileOptions) -> Kernel:
    p = step.params
    numbers = f"{p.boxes}, {p.coded}, {p.scored}, {p.classes}, {p.most}, {p.per_class}"
    scales = ", ".join(map(c_float, p.scales))
    fields = f"{numbers}, {c_float(p.least_score)}, {c_float(p.most_overlap)}, {{{scales}}}"

    def file_scope(prefix: str) -> str:
        return f"static const nn_detect_shape {prefix}_params = {{{fields}}};\n"

    def body(prefix: str) -> str:
        floats = "(float *)(void *)scratch"
        alive = f"scratch + {20 * p.boxes}"
        room = f"const nn_detect_room room = {{{floats}, {floats} + {4 * p.boxes}, {alive}}};\n"
        return room + f"nn_detect(&{prefix}_params, &room, in0, in1, in2, out0, out1, out2, out3);"

    return Kernel(
        body, file_scope=file_scope, scratch_bytes=21 * p.boxes, sources=("portable/detect.c",), headers=("nn_detect.h",)
    )


KERNELS: dict[str, Select] = {"detect": detect}
