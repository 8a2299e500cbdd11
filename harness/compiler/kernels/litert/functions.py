"""The portable engine's kernels of LiteRT's own operators."""

from __future__ import annotations

import dataclasses

import numpy as np

from tinyrig.compiler.kernels.ctext import c_float
from tinyrig.compiler.kernels.portable import NN_BROADCAST_RANK, call, each_dim
from tinyrig.compiler.model.layers import Mean
from tinyrig.compiler.model.litert.records import Bucketize, Conv3D, LocalResponse, ReverseSequence, Scatter, Segments, TopK
from tinyrig.compiler.model.params import Binary, Unary
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select

_HEADERS = ("nn_litert.h",)


def binary(step: ProgramStep[Binary], options: CompileOptions) -> Kernel:
    fields = each_dim(step.params.shape)
    return call(f"nn_{step.kind}", "functions.c", "nn_binary", fields, "in0, in1, out0", headers=_HEADERS)


def reduce_any(step: ProgramStep[Mean], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.outer}, {p.reduced}, {p.inner}"
    return call("nn_reduce_any_u8", "functions.c", "nn_mean_float", fields, "in0, out0", headers=_HEADERS)


def local_response(step: ProgramStep[LocalResponse], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.rows}, {p.depth}, {p.radius}, {c_float(p.bias)}, {c_float(p.alpha)}, {c_float(p.beta)}"
    return call("nn_local_response_f32", "functions.c", "nn_local_response_shape", fields, "in0, out0", headers=_HEADERS)


def bucketize(step: ProgramStep[Bucketize], options: CompileOptions) -> Kernel:
    p = step.params
    ends = Constant("ends", np.array(p.boundaries, np.float32))
    text = f"nn_{step.kind}({p.size}, {len(p.boundaries)}, @_ends, in0, out0);"
    return Kernel(lambda prefix: text.replace("@", prefix), (ends,), sources=("portable/functions.c",), headers=_HEADERS)


def of_complex(step: ProgramStep[Unary], options: CompileOptions) -> Kernel:
    text = f"nn_{step.kind}({step.params.size}, in0, out0);"
    return Kernel(lambda _: text, sources=("portable/functions.c",), headers=_HEADERS)


def top_k(step: ProgramStep[TopK], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.rows}, {p.n}, {p.k}"
    return call(f"nn_{step.kind}", "places.c", "nn_top_k_shape", fields, "in0, out0, out1", headers=_HEADERS)


def scatter(step: ProgramStep[Scatter], options: CompileOptions) -> Kernel:
    p = step.params
    assert len(p.sizes) <= NN_BROADCAST_RANK
    fields = f"{p.count}, {len(p.sizes)}, {p.row}, {step.outputs[0].size}, {{{', '.join(map(str, p.sizes))}}}"
    return call(f"nn_{step.kind}", "places.c", "nn_scatter", fields, "in0, in1, out0", headers=_HEADERS)


def segments(step: ProgramStep[Segments], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.rows}, {p.segments}, {p.row}"
    return call(f"nn_{step.kind}", "places.c", "nn_segments", fields, "in0, in1, out0", headers=_HEADERS)


def reverse_sequence(step: ProgramStep[ReverseSequence], options: CompileOptions) -> Kernel:
    fields = ", ".join(str(int(v)) for v in dataclasses.astuple(step.params))
    pointers = "(const uint8_t *)in0, in1, (uint8_t *)out0"
    return call(f"nn_{step.kind}", "places.c", "nn_reversal", fields, pointers, headers=_HEADERS)


def conv3d(step: ProgramStep[Conv3D], options: CompileOptions) -> Kernel:
    p, s = step.params, step.params.shape
    batch, size, in_c, out, out_c = s[0], s[1:4], s[4], s[5:8], s[8]
    rest = (s[9:12], s[12:15], s[15:18], s[18:21])
    parts = [
        str(batch),
        _list(size),
        str(in_c),
        _list(out),
        str(out_c),
        *map(_list, rest),
        c_float(p.act_min),
        c_float(p.act_max),
    ]
    constants = (Constant("weights", p.weights), Constant("bias", p.bias))
    pointers = "in0, @_weights, @_bias, out0"
    return call("nn_conv3d_f32", "conv3d.c", "nn_conv3d", ", ".join(parts), pointers, constants=constants, headers=_HEADERS)


def _list(values: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


KERNELS: dict[str, Select] = {
    **dict.fromkeys(("pow_f32", "atan2_f32"), binary),
    **dict.fromkeys((f"{name}_{t}" for name in ("bitwise_xor", "right_shift") for t in ("s8", "s16", "s32")), binary),
    "reduce_any_u8": reduce_any,
    "local_response_f32": local_response,
    **dict.fromkeys(("bucketize_f32", "bucketize_s32"), bucketize),
    **dict.fromkeys(("complex_abs_c64", "real_c64", "imag_c64"), of_complex),
    **dict.fromkeys((f"top_k_{t}" for t in ("f32", "s8", "s16", "s32")), top_k),
    **dict.fromkeys((f"scatter_nd_{t}" for t in ("f32", "s32", "s8")), scatter),
    **dict.fromkeys((f"segment_{name}_{t}" for name in ("sum", "prod", "max", "min") for t in ("f32", "s32")), segments),
    **dict.fromkeys(("reverse_sequence_s32", "reverse_sequence_s64"), reverse_sequence),
    "conv3d_f32": conv3d,
}
