"""The portable engine: which function of firmware/nn does which kind of step. Plain C for any core; runs every kind."""

from __future__ import annotations

import numpy as np

from harness.compiler.ctext import c_float, c_number, c_window
from harness.compiler.step import Constant, Kernel, Options, Requant, Select, Step


def _call(function: str, source: str, struct: str, fields: str, pointers: str, **more: object) -> Kernel:
    """A kernel that is one call: function(&parameters, pointers), its parameters a const struct beside it."""

    def file_scope(prefix: str) -> str:
        return f"static const {struct} {prefix}_params = {{{fields.replace('@', prefix)}}};\n"

    def body(prefix: str) -> str:
        return f"{function}(&{prefix}_params, {pointers.replace('@', prefix)});"

    return Kernel(body, file_scope=file_scope, sources=(source,), **more)  # type: ignore[arg-type]


def _type(step: Step) -> str:
    return step.kind.rpartition("_")[2]


def _requant_fields(q: Requant) -> str:
    return f"{{@_multiplier, @_shift, {q.zero_point}, {q.act_min}, {q.act_max}}}"


def _weighted(step: Step, function: str, shape: str, extra: list[int]) -> Kernel:
    """conv, depthwise and dense share their layout: <shape>, extra integers, then the requantisation or float bounds."""
    p, t = step.params, _type(step)
    constants = [Constant("weights", p.weights), Constant("bias", p.bias)]
    if p.requant is None:
        tail = [c_float(p.act_min), c_float(p.act_max)]
    else:
        q: Requant = p.requant
        constants += [Constant("multiplier", q.multiplier), Constant("shift", q.shift.astype(np.int8))]
        tail = [str(p.in_zero), *([str(p.weight_zero)] if hasattr(p, "weight_zero") else []), _requant_fields(q)]
    struct = f"nn_{function.removesuffix('2d')}_{'float' if t == 'f32' else 'int'}"
    wide = "_b32" if t == "s16" and p.bias.dtype == np.int32 else ""
    fields = ", ".join([shape, *map(str, extra), *tail])
    name = f"{function}_{t}{wide}"
    return _call(f"nn_{name}", f"{name}.c", struct, fields, "in0, @_weights, @_bias, out0", constants=tuple(constants))


def conv2d(step: Step, options: Options) -> Kernel:
    p = step.params
    return _weighted(step, "conv2d", c_window(p.window), [p.weights.shape[3]])


def depthwise(step: Step, options: Options) -> Kernel:
    p = step.params
    return _weighted(step, "depthwise", c_window(p.window), [p.depth_multiplier])


def dense(step: Step, options: Options) -> Kernel:
    p = step.params
    return _weighted(step, "dense", f"{p.rows}, {p.in_n}, {p.out_n}", [])


def pool(step: Step, options: Options) -> Kernel:
    p, t = step.params, _type(step)
    struct = "nn_pool_float" if t == "f32" else "nn_pool_int"
    bounds = (float(p.act_min), float(p.act_max)) if t == "f32" else (p.act_min, p.act_max)
    return _call(f"nn_{step.kind}", "pool.c", struct, ", ".join([c_window(p.window), *map(c_number, bounds)]), "in0, out0")


def mean(step: Step, options: Options) -> Kernel:
    p = step.params
    shape = f"{p.outer}, {p.reduced}, {p.inner}"
    if _type(step) == "f32":
        return _call("nn_mean_f32", "mean.c", "nn_mean_float", shape, "in0, out0")
    fields = f"{shape}, {p.in_zero}, {p.out_zero}, {p.multiplier}, {p.shift}"
    return _call(f"nn_{step.kind}", "mean.c", "nn_mean_int", fields, "in0, out0")


def softmax(step: Step, options: Options) -> Kernel:
    p, t = step.params, _type(step)
    if t == "f32":
        text = f"nn_softmax_f32({p.rows}, {p.depth}, {c_float(p.beta)}, in0, out0);"
        return Kernel(lambda _: text, inplace=(0,), sources=("softmax_f32.c",))
    fields = f"{p.rows}, {p.depth}, {p.multiplier}, {p.shift}, {p.diff_min}"
    name = "nn_softmax_s8" if p.out_dtype == "int8" else "nn_softmax_s8_s16"
    # A row is read twice before it is written element by element, so int8 may work in place.
    return _call(name, "softmax_s8.c", "nn_softmax_int", fields, "in0, out0", inplace=(0,) if p.out_dtype == "int8" else ())


def clamp(step: Step, options: Options) -> Kernel:
    p, t = step.params, _type(step)
    bounds = (c_float(p.act_min), c_float(p.act_max)) if t == "f32" else (p.act_min, p.act_max)
    name = "nn_clamp_f32s" if t == "f32" else f"nn_{step.kind}"
    return Kernel(lambda _: f"{name}({p.size}, {bounds[0]}, {bounds[1]}, in0, out0);", inplace=(0,), sources=("convert.c",))


def rescale(step: Step, options: Options) -> Kernel:
    p = step.params
    fields = f"{p.size}, {p.in_zero}, {p.multiplier}, {p.shift}, {p.out_zero}, {p.act_min}, {p.act_max}"
    same = step.inputs[0].dtype == step.outputs[0].dtype
    return _call(f"nn_{step.kind}", "convert.c", "nn_rescale", fields, "in0, out0", inplace=(0,) if same else ())


def quantize(step: Step, options: Options) -> Kernel:
    p = step.params
    return Kernel(lambda _: f"nn_{step.kind}({p.size}, {c_float(p.scale)}, {p.zero_point}, in0, out0);", sources=("convert.c",))


def dequantize(step: Step, options: Options) -> Kernel:
    p = step.params
    return Kernel(lambda _: f"nn_{step.kind}({p.size}, {c_float(p.scale)}, {p.zero_point}, in0, out0);", sources=("convert.c",))


def move(step: Step, options: Options) -> Kernel:
    p, lines, tables = step.params, [], []
    if p.fill:
        lines.append(f"nn_fill({step.outputs[0].size}, {len(p.fill)}, {_fill_bits(p.fill)}, out0);")
    for i, b in enumerate(p.blocks):
        dims = [(1, 0, 0)] * (NN_MOVE_RANK - len(b.dims)) + list(b.dims)
        columns = ", ".join("{" + ", ".join(str(d[c]) for d in dims) + "}" for c in range(3))
        tables.append(f"    {{{b.run}, {columns}}},\n")
        ends = f"(const uint8_t *)in{b.source} + {b.in_offset}, (uint8_t *)out{b.target} + {b.out_offset}"
        lines.append(f"nn_move(&@_blocks[{i}], {ends});")

    def file_scope(prefix: str) -> str:
        return f"static const nn_block {prefix}_blocks[] = {{\n{''.join(tables)}}};\n"

    return Kernel(lambda prefix: "\n".join(lines).replace("@", prefix), file_scope=file_scope, sources=("move.c",))


NN_MOVE_RANK = 6
"""NN_MOVE_RANK of nn.h: tensors have at most six dimensions."""


def _fill_bits(fill: bytes) -> str:
    return f"0x{int.from_bytes(fill, 'little'):x}u" + ("ll" if len(fill) == 8 else "")


def _each(names: str, kernel: Select) -> dict[str, Select]:
    return {kind: kernel for kind in names.split()}


KERNELS: dict[str, Select] = {
    **_each("conv2d_s8 conv2d_s16 conv2d_f32", conv2d),
    **_each("depthwise_conv2d_s8 depthwise_conv2d_s16 depthwise_conv2d_f32", depthwise),
    **_each("fully_connected_s8 fully_connected_s16 fully_connected_f32", dense),
    **_each("average_pool_s8 average_pool_s16 average_pool_f32 max_pool_s8 max_pool_s16 max_pool_f32", pool),
    **_each("mean_s8 mean_s16 mean_f32", mean),
    **_each("softmax_s8 softmax_f32", softmax),
    **_each("clamp_s8 clamp_s16 clamp_f32", clamp),
    **_each("rescale_s8_s8 rescale_s8_s16 rescale_s16_s8 rescale_s16_s16", rescale),
    **_each("quantize_s8 quantize_s16", quantize),
    "move": move,
    **_each("dequantize_s8 dequantize_s16", dequantize),
}
