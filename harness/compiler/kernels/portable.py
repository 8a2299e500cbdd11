"""The portable engine: which function of firmware/nn does which kind of step. Plain C for any core; runs every kind."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.kernels.ctext import c_float, c_number, c_window
from tinyrig.compiler.model.layers import (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Mean,
    Pool,
    Requant,
    TransposeConv,
    Weighted,
    Window,
)
from tinyrig.compiler.model.params import (
    AddInt,
    ArgMax,
    BatchMatmul,
    Bilinear,
    Binary,
    Broadcast,
    Clamp,
    Dequantize,
    LeakyInt,
    LogSoftmax,
    Lut,
    Move,
    MulInt,
    PreluInt,
    Quantize,
    Rescale,
    Resize,
    SigmoidInt,
    Softmax,
    Unary,
)
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Constant, Kernel, ProgramStep, Select
from tinyrig.compiler.model.tables import sigmoid_table, softmax_tables


def call(function: str, source: str, struct: str, fields: str, pointers: str, *, rows: bool = False, **more: object) -> Kernel:
    """A kernel that is one call: function(&parameters, pointers), its parameters a const struct beside it. `rows`: with the
    height and padding of its window from the scope."""

    def file_scope(prefix: str) -> str:
        return f"static const {struct} {prefix}_params = {{{fields.replace('@', prefix)}}};\n"

    def body(prefix: str) -> str:
        given = f"{struct} p = {prefix}_params;\np.w.in_h = in_h;\np.w.pad_top = pad_top;\n" if rows else ""
        return f"{given}{function}(&{'p' if rows else f'{prefix}_params'}, {pointers.replace('@', prefix)});"

    return Kernel(body, file_scope=file_scope, sources=(f"portable/{source}",), rows=rows, **more)  # type: ignore[arg-type]


def type_of(step: AnyStep) -> str:
    return step.kind.rpartition("_")[2]


def _requant_fields(q: Requant) -> str:
    return f"{{@_multiplier, @_shift, {q.zero_point}, {q.act_min}, {q.act_max}}}"


_STRUCTS = {"conv2d": "conv", "transpose_conv": "conv", "depthwise": "depthwise", "dense": "dense"}


def _weighted(step: ProgramStep[Weighted], function: str, shape: str, extra: list[int], rows: bool = False) -> Kernel:
    """conv, depthwise and dense share their layout: <shape>, extra integers, then the requantisation or float bounds."""
    p, t = step.params, type_of(step)
    computed = step.kind.startswith("computed_")
    constants = [*([] if computed else [Constant("weights", p.weights)]), Constant("bias", p.bias)]
    if p.requant is None:
        tail = [c_float(p.act_min), c_float(p.act_max)]
    else:
        q = p.requant
        constants += [Constant("multiplier", q.multiplier), Constant("shift", q.shift.astype(np.int8))]
        weight_zero = [str(p.weight_zero)] if isinstance(p, FullyConnected) else []
        tail = [str(p.in_zero), *weight_zero, _requant_fields(q)]
    struct = f"nn_{_STRUCTS[function]}_{'float' if t == 'f32' else 'int'}"
    wide = "_b32" if t == "s16" and p.bias.dtype == np.int32 else ""
    fields = ", ".join([shape, *map(str, extra), *tail])
    name = f"{function}_{t}{wide}"
    pointers = f"in0, {'in1' if computed else '@_weights'}, @_bias, out0"
    return call(f"nn_{name}", f"{name}.c", struct, fields, pointers, rows=rows, constants=tuple(constants))


def _by_rows(w: Window, options: CompileOptions) -> bool:
    return bool(options.rows) and w.padded_rows


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel:
    p = step.params
    return _weighted(step, "conv2d", c_window(p.window), [p.weights.shape[3]], _by_rows(p.window, options))


def depthwise(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel:
    p = step.params
    return _weighted(step, "depthwise", c_window(p.window), [p.depth_multiplier], _by_rows(p.window, options))


def dense(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel:
    p = step.params
    return _weighted(step, "dense", f"{p.rows}, {p.in_n}, {p.out_n}", [])


def transpose_conv(step: ProgramStep[TransposeConv], options: CompileOptions) -> Kernel:
    p = step.params
    return _weighted(step, "transpose_conv", c_window(p.window), [p.weights.shape[3]])


def pool(step: ProgramStep[Pool], options: CompileOptions) -> Kernel:
    p, t = step.params, type_of(step)
    struct = "nn_pool_float" if t == "f32" else "nn_pool_int"
    bounds = (float(p.act_min), float(p.act_max)) if t == "f32" else (p.act_min, p.act_max)
    fields = ", ".join([c_window(p.window), *map(c_number, bounds)])
    return call(f"nn_{step.kind}", "pool.c", struct, fields, "in0, out0", rows=_by_rows(p.window, options))


def mean(step: ProgramStep[Mean], options: CompileOptions) -> Kernel:
    p = step.params
    shape = f"{p.outer}, {p.reduced}, {p.inner}"
    if type_of(step) == "f32":
        return call("nn_mean_f32", "mean.c", "nn_mean_float", shape, "in0, out0")
    fields = f"{shape}, {p.in_zero}, {p.out_zero}, {p.multiplier}, {p.shift}"
    return call(f"nn_{step.kind}", "mean.c", "nn_mean_int", fields, "in0, out0")


def softmax(step: ProgramStep[Softmax], options: CompileOptions) -> Kernel:
    p, t = step.params, type_of(step)
    if t == "f32":
        text = f"nn_softmax_f32({p.rows}, {p.depth}, {c_float(p.beta)}, in0, out0);"
        return Kernel(lambda _: text, inplace=(0,), sources=("portable/softmax_f32.c",))
    fields = f"{p.rows}, {p.depth}, {p.multiplier}, {p.shift}, {p.diff_min}"
    if t == "s16":
        tables = tuple(Constant(n, v) for n, v in zip(("exp", "reciprocal"), softmax_tables(), strict=True))
        # The exponentials are kept in the output while the input is no longer needed.
        pointers = "@_exp, @_reciprocal, in0, out0"
        return call("nn_softmax_s16", "softmax_s16.c", "nn_softmax_int", fields, pointers, constants=tables, inplace=(0,))
    name = "nn_softmax_s8" if p.out_dtype == "int8" else "nn_softmax_s8_s16"
    # A row is read twice before it is written element by element, so int8 may work in place.
    return call(name, "softmax_s8.c", "nn_softmax_int", fields, "in0, out0", inplace=(0,) if p.out_dtype == "int8" else ())


def clamp(step: ProgramStep[Clamp], options: CompileOptions) -> Kernel:
    p, t = step.params, type_of(step)
    bounds = (c_float(p.act_min), c_float(p.act_max)) if t == "f32" else (p.act_min, p.act_max)
    name = "nn_clamp_f32s" if t == "f32" else f"nn_{step.kind}"
    return Kernel(
        lambda _: f"{name}({p.size}, {bounds[0]}, {bounds[1]}, in0, out0);", inplace=(0,), sources=("portable/convert.c",)
    )


def rescale(step: ProgramStep[Rescale], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.size}, {p.in_zero}, {p.multiplier}, {p.shift}, {p.out_zero}, {p.act_min}, {p.act_max}"
    same = step.inputs[0].dtype == step.outputs[0].dtype
    return call(f"nn_{step.kind}", "convert.c", "nn_rescale", fields, "in0, out0", inplace=(0,) if same else ())


def convert(step: ProgramStep[Quantize | Dequantize], options: CompileOptions) -> Kernel:
    p = step.params
    return Kernel(
        lambda _: f"nn_{step.kind}({p.size}, {c_float(p.scale)}, {p.zero_point}, in0, out0);", sources=("portable/convert.c",)
    )


def each_dim(shape: Broadcast) -> str:
    dims = [(1, 0, 0)] * (NN_BROADCAST_RANK - len(shape.dims)) + list(shape.dims)
    return "{" + ", ".join("{" + ", ".join(str(d[c]) for d in dims) + "}" for c in range(3)) + "}"


NN_BROADCAST_RANK = 6
"""NN_BROADCAST_RANK of nn.h."""


def pair(scale: tuple[int, int]) -> str:
    return f"{{{scale[0]}, {scale[1]}}}"


def binary(step: ProgramStep[Binary | AddInt | MulInt | PreluInt], options: CompileOptions) -> Kernel:
    p, t = step.params, type_of(step)
    shape = each_dim(p.shape)
    if isinstance(p, AddInt):
        struct, rest = "nn_add_int", [p.left, *p.zeros, pair(p.a), pair(p.b), pair(p.out), p.act_min, p.act_max]
    elif isinstance(p, MulInt):
        struct, rest = "nn_mul_int", [*p.zeros, pair(p.out), p.act_min, p.act_max]
    elif isinstance(p, PreluInt):
        struct, rest = "nn_prelu_int", [*p.zeros, pair(p.positive), pair(p.negative)]
    elif t == "f32" and step.kind.split("_")[0] in ("add", "sub", "mul", "div", "squared"):
        struct, rest = "nn_binary_float", [c_float(p.act_min), c_float(p.act_max)]
    else:
        struct, rest = "nn_binary", []
    fields = ", ".join([shape, *map(str, rest)])
    return call(f"nn_{step.kind}", "elementwise.c", struct, fields, "in0, in1, out0", inplace=_whole_operands(step))


def _whole_operands(step: AnyStep) -> tuple[int, ...]:
    """Operands of the output's size: none of their elements is read again once its place is written."""
    return tuple(i for i, t in enumerate(step.inputs) if t.data is None and t.nbytes == step.outputs[0].nbytes)


def unary(step: ProgramStep[Unary], options: CompileOptions) -> Kernel:
    p = step.params
    extra = f", {c_float(p.alpha)}" if step.kind == "leaky_relu_f32" else ""
    return Kernel(lambda _: f"nn_{step.kind}({p.size}{extra}, in0, out0);", inplace=(0,), sources=("portable/unary.c",))


def lut(step: ProgramStep[Lut], options: CompileOptions) -> Kernel:
    p = step.params
    constants = (Constant("table", p.table),)
    body = f"nn_lut_s8({p.size}, @_table, in0, out0);"
    return Kernel(lambda prefix: body.replace("@", prefix), constants, inplace=(0,), sources=("portable/unary.c",))


def leaky_relu(step: ProgramStep[LeakyInt], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.size}, {p.in_zero}, {p.out_zero}, {pair(p.positive)}, {pair(p.negative)}"
    return call(f"nn_{step.kind}", "unary.c", "nn_leaky_int", fields, "in0, out0", inplace=(0,))


def sigmoid(step: ProgramStep[SigmoidInt], options: CompileOptions) -> Kernel:
    p = step.params
    table = (Constant("table", sigmoid_table()),)
    fields = f"{p.size}, {p.multiplier}, {p.shift}"
    return call(f"nn_{step.kind}", "unary.c", "nn_sigmoid_int", fields, "@_table, in0, out0", constants=table, inplace=(0,))


def reduce_(step: ProgramStep[Mean], options: CompileOptions, source: str = "reduce.c") -> Kernel:
    p = step.params
    source = "mean.c" if step.kind == "sum_f32" else source
    return call(f"nn_{step.kind}", source, "nn_mean_float", f"{p.outer}, {p.reduced}, {p.inner}", "in0, out0")


def batch_matmul(step: ProgramStep[BatchMatmul], options: CompileOptions) -> Kernel:
    p, t = step.params, type_of(step)
    shape = [p.batch, p.rows, p.depth, p.columns, p.a_step, p.b_step, int(p.a_turned), int(p.b_turned)]
    rest = ", ".join(map(str, p.zeros)) + ", " + pair(p.out)
    fields = "{" + ", ".join(map(str, shape)) + "}" + ("" if t == "f32" else f", {rest}")
    struct = "nn_matmul_float" if t == "f32" else "nn_matmul_int"
    return call(f"nn_{step.kind}", "batch_matmul.c", struct, fields, "in0, in1, out0")


def bilinear(step: ProgramStep[Bilinear], options: CompileOptions) -> Kernel:
    p = step.params
    constants = tuple(Constant(n, getattr(p, n)) for n in ("rows", "down", "columns", "across"))
    fields = f"{p.batch}, {p.in_h}, {p.in_w}, {p.down.size}, {p.across.size}, {p.channels}"
    pointers = "@_rows, @_down, @_columns, @_across, in0, out0"
    return call(f"nn_{step.kind}", "resize_bilinear.c", "nn_bilinear", fields, pointers, constants=constants)


def resize(step: ProgramStep[Resize], options: CompileOptions) -> Kernel:
    p = step.params
    constants = (Constant("rows", p.rows), Constant("columns", p.columns))
    fields = f"{p.batch}, {p.in_h}, {p.in_w}, {p.rows.size}, {p.columns.size}, {p.pixel_bytes}"
    pointers = "@_rows, @_columns, (const uint8_t *)in0, (uint8_t *)out0"
    return call("nn_resize_nearest", "resize.c", "nn_resize", fields, pointers, constants=constants)


def arg_max(step: ProgramStep[ArgMax], options: CompileOptions) -> Kernel:
    p = step.params
    return Kernel(lambda _: f"nn_{step.kind}({p.outer}, {p.n}, {p.inner}, in0, out0);", sources=("portable/arg_max.c",))


def log_softmax(step: ProgramStep[LogSoftmax], options: CompileOptions) -> Kernel:
    p = step.params
    if type_of(step) == "f32":
        text = f"nn_log_softmax_f32({p.rows}, {p.depth}, in0, out0);"
        return Kernel(lambda _: text, inplace=(0,), sources=("portable/log_softmax.c",))
    fields = f"{p.rows}, {p.depth}, {p.scale[0]}, {p.scale[1]}, {p.reverse[0]}, {p.reverse[1]}, {p.diff_min}"
    return call("nn_log_softmax_s8", "log_softmax.c", "nn_log_softmax_int", fields, "in0, out0", inplace=(0,))


def move(step: ProgramStep[Move], options: CompileOptions) -> Kernel:
    p = step.params
    lines: list[str] = []
    tables: list[str] = []
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

    return Kernel(lambda prefix: "\n".join(lines).replace("@", prefix), file_scope=file_scope, sources=("portable/move.c",))


NN_MOVE_RANK = 6
"""NN_MOVE_RANK of nn.h: tensors have at most six dimensions."""


def _fill_bits(fill: bytes) -> str:
    return f"0x{int.from_bytes(fill, 'little'):x}u" + ("ll" if len(fill) == 8 else "")


def _each(names: str, kernel: Select) -> dict[str, Select]:
    return {kind: kernel for kind in names.split()}


KERNELS: dict[str, Select] = {
    **_each("conv2d_s8 conv2d_s16 conv2d_f32", conv2d),
    **_each("depthwise_conv2d_s8 depthwise_conv2d_s16 depthwise_conv2d_f32", depthwise),
    **_each("computed_conv2d_s8 computed_conv2d_s16 computed_conv2d_f32", conv2d),
    **_each("computed_depthwise_conv2d_s8 computed_depthwise_conv2d_s16 computed_depthwise_conv2d_f32", depthwise),
    **_each("fully_connected_s8 fully_connected_s16 fully_connected_f32", dense),
    **_each("average_pool_s8 average_pool_s16 average_pool_f32 max_pool_s8 max_pool_s16 max_pool_f32", pool),
    **_each("mean_s8 mean_s16 mean_f32", mean),
    **_each("softmax_s8 softmax_s16 softmax_f32", softmax),
    **_each("clamp_s8 clamp_s16 clamp_f32", clamp),
    **_each("rescale_s8_s8 rescale_s8_s16 rescale_s16_s8 rescale_s16_s16 rescale_u8_s8 rescale_s8_u8", rescale),
    **_each("rescale_s32_s8 rescale_s32_s16 rescale_s8_s32 rescale_s16_s32", rescale),
    **_each("quantize_s8 quantize_s16", convert),
    "move": move,
    **_each("transpose_conv_s8 transpose_conv_s16 transpose_conv_f32", transpose_conv),
    **_each("add_s8 add_s16 add_f32 sub_s8 sub_s16 sub_f32 mul_s8 mul_s16 mul_f32 prelu_s8 prelu_s16 prelu_f32", binary),
    **_each(
        "add_s32 sub_s32 mul_s32 div_s32 floor_div_s32 floor_mod_s32 floor_div_f32 floor_mod_f32 logical_and_u8 logical_or_u8",
        binary,
    ),
    **_each("squared_difference_s8 squared_difference_s16 squared_difference_f32 div_f32", binary),
    **_each(
        "minimum_s8 minimum_s16 minimum_s32 minimum_s64 maximum_s64 minimum_f32 maximum_s8 maximum_s16 maximum_s32 maximum_f32",
        binary,
    ),
    **_each("logistic_f32 tanh_f32 hard_swish_f32 abs_f32 rsqrt_f32 leaky_relu_f32", unary),
    **_each("elu_f32 exp_f32 log_f32 sqrt_f32 square_f32 neg_f32 floor_f32 ceil_f32 round_f32 sin_f32 cos_f32", unary),
    **_each("sign_f32 gelu_f32 gelu_tanh_f32", unary),
    **_each("sum_f32 reduce_max_s16 reduce_min_s16 reduce_max_s8 reduce_max_f32 reduce_min_s8 reduce_min_f32 sum_s32", reduce_),
    **_each("reduce_max_s32 reduce_min_s32", reduce_),
    **_each("batch_matmul_s8 batch_matmul_s16 batch_matmul_f32", batch_matmul),
    **_each("resize_bilinear_s8 resize_bilinear_f32", bilinear),
    "lut_s8": lut,
    "leaky_relu_s16": leaky_relu,
    "abs_s16": leaky_relu,
    **_each("logistic_s16 tanh_s16", sigmoid),
    "resize_nearest": resize,
    **_each("arg_max_s8 arg_max_f32 arg_min_s8 arg_min_f32", arg_max),
    **_each("log_softmax_s8 log_softmax_f32", log_softmax),
    **_each("dequantize_s8 dequantize_s16 dequantize_u8", convert),
}
