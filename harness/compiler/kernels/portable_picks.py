"""The portable engine's kernels of comparisons, choices, casts, picks, running sums and norms."""

from __future__ import annotations

from tinyrig.compiler.kernels.ctext import c_float, c_window
from tinyrig.compiler.kernels.portable import NN_BROADCAST_RANK, call, each_dim, pair, reduce_, type_of
from tinyrig.compiler.model.layers import Mean, Pool
from tinyrig.compiler.model.params import AddInt, Broadcast, CompareInt, CumSum, L2Norm, Pick, PickNd, UpdateSlice
from tinyrig.compiler.model.params import Binary as BinaryParams
from tinyrig.compiler.model.params import Select as SelectParams
from tinyrig.compiler.model.params import Unary as UnaryParams
from tinyrig.compiler.model.step import CompileOptions, Kernel, ProgramStep, Select


def compare(step: ProgramStep[BinaryParams | CompareInt], options: CompileOptions) -> Kernel:
    p = step.params
    if isinstance(p, CompareInt):
        fields = f"{each_dim(p.shape)}, {p.zeros[0]}, {p.zeros[1]}, {pair(p.a)}, {pair(p.b)}"
        return call(f"nn_{step.kind}", "logic.c", "nn_compare_int", fields, "in0, in1, out0")
    return call(f"nn_{step.kind}", "logic.c", "nn_binary", each_dim(p.shape), "in0, in1, out0")


def logical_not(step: ProgramStep[UnaryParams], options: CompileOptions) -> Kernel:
    text = f"nn_logical_not_u8({step.params.size}, in0, out0);"
    return Kernel(lambda _: text, inplace=(0,), sources=("portable/logic.c",))


def cast(step: ProgramStep[UnaryParams], options: CompileOptions) -> Kernel:
    text = f"nn_{step.kind}({step.params.size}, in0, out0);"
    return Kernel(lambda _: text, sources=("portable/cast.c",), headers=("nn_cast.h",))


def select(step: ProgramStep[SelectParams], options: CompileOptions) -> Kernel:
    p = step.params
    dims = [(1, 0, 0, 0)] * (NN_BROADCAST_RANK - len(p.dims)) + list(p.dims)
    columns = ", ".join("{" + ", ".join(str(d[c]) for d in dims) + "}" for c in range(4))
    pointers = "in0, (const uint8_t *)in1, (const uint8_t *)in2, (uint8_t *)out0"
    return call("nn_select", "logic.c", "nn_select_shape", f"{p.bytes}, {columns}", pointers)


def reduce_all(step: ProgramStep[Mean], options: CompileOptions) -> Kernel:
    return reduce_(step, options, "logic.c")


def gather(step: ProgramStep[Pick], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.outer}, {p.rows}, {p.picks}, {p.row_bytes}"
    return call("nn_gather", "pick.c", "nn_pick", fields, "(const uint8_t *)in0, in1, (uint8_t *)out0")


def lookup(step: ProgramStep[Pick], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.outer}, {p.rows}, {p.picks}, {p.row_bytes}"
    return call("nn_lookup_s8_f32", "pick.c", "nn_pick", fields, f"{c_float(p.scale)}, in0, in1, out0")


def gather_nd(step: ProgramStep[PickNd], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.picks}, {len(p.sizes)}, {p.row_bytes}, {{{', '.join(map(str, p.sizes))}}}"
    return call("nn_gather_nd", "pick.c", "nn_pick_nd", fields, "(const uint8_t *)in0, in1, (uint8_t *)out0")


def update_slice(step: ProgramStep[UpdateSlice], options: CompileOptions) -> Kernel:
    p = step.params
    ones = [1] * (NN_BROADCAST_RANK - len(p.size))
    sides = ", ".join("{" + ", ".join(map(str, [*ones, *side])) + "}" for side in (p.size, p.part))
    fields = f"{len(p.size)}, {p.bytes}, {p.total_bytes}, {sides}"
    pointers = "(const uint8_t *)in0, (const uint8_t *)in1, in2, (uint8_t *)out0"
    return call(f"nn_{step.kind}", "pick.c", "nn_update", fields, pointers, inplace=(0,))


def cumsum(step: ProgramStep[CumSum], options: CompileOptions) -> Kernel:
    p = step.params
    shape = f"{p.outer}, {p.n}, {p.inner}, {int(p.exclusive)}, {int(p.reverse)}"
    if type_of(step) == "f32":
        return call("nn_cumsum_f32", "cumsum.c", "nn_cumsum", shape, "in0, out0", inplace=(0,))
    scales = f"{p.zeros[0]}, {p.zeros[1]}, {pair(p.half)}, {pair(p.out)}"

    def file_scope(prefix: str) -> str:
        return (
            f"static const nn_cumsum {prefix}_params = {{{shape}}};\nstatic const nn_cumsum_int {prefix}_scales = {{{scales}}};\n"
        )

    def body(prefix: str) -> str:
        return f"nn_cumsum_s8(&{prefix}_params, &{prefix}_scales, in0, out0);"

    return Kernel(body, file_scope=file_scope, inplace=(0,), sources=("portable/cumsum.c",))


def add_n(step: ProgramStep[Broadcast | AddInt], options: CompileOptions) -> Kernel:
    n, p = len(step.inputs), step.params
    names = [f"in{i}" for i in range(n)]
    size = step.outputs[0].size
    if not isinstance(p, AddInt):
        text = f"for (int32_t i = 0; i < {size}; i++) {{\n    out0[i] = {' + '.join(f'{x}[i]' for x in names)};\n}}"
        return Kernel(lambda _: text, inplace=tuple(range(n)))
    rest = [p.left, *p.zeros, pair(p.a), pair(p.b), pair(p.out), p.act_min, p.act_max]
    fields = ", ".join([each_dim(p.shape), *map(str, rest)])

    def file_scope(prefix: str) -> str:
        return f"static const nn_add_int {prefix}_params = {{{fields}}};\n"

    def body(prefix: str) -> str:
        operands = f"const int8_t *const operands[] = {{{', '.join(names)}}};\n"
        return f"{operands}nn_add_n_s8(&{prefix}_params, {size}, {n}, operands, out0);"

    return Kernel(body, file_scope=file_scope, sources=("portable/elementwise.c",))


def l2_normalization(step: ProgramStep[L2Norm], options: CompileOptions) -> Kernel:
    p = step.params
    zero = f", {p.zero_point}" if type_of(step) == "s8" else ""
    text = f"nn_{step.kind}({p.rows}, {p.depth}{zero}, in0, out0);"
    return Kernel(lambda _: text, inplace=(0,), sources=("portable/l2.c",))


def l2_pool(step: ProgramStep[Pool], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{c_window(p.window)}, {c_float(p.act_min)}, {c_float(p.act_max)}"
    return call("nn_l2_pool_f32", "l2.c", "nn_pool_float", fields, "in0, out0")


_ORDERS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
_NUMBERS = ("s8", "s16", "s32", "s64", "u8", "u32", "f32", "bool")
_CASTS = tuple(f"cast_{a}_{b}" for a in _NUMBERS for b in _NUMBERS if a != b and a + b != "f32u32")

KERNELS: dict[str, Select] = {
    **dict.fromkeys((f"{name}_{t}" for name in _ORDERS for t in ("f32", "s32", "s64", "s8")), compare),
    **dict.fromkeys(("equal_u8", "not_equal_u8"), compare),
    "logical_not_u8": logical_not,
    **dict.fromkeys(_CASTS, cast),
    "reduce_all_u8": reduce_all,
    "select": select,
    "gather": gather,
    "gather_nd": gather_nd,
    "lookup_s8_f32": lookup,
    **dict.fromkeys(("update_slice_s32", "update_slice_s64"), update_slice),
    **dict.fromkeys(("cumsum_f32", "cumsum_s8"), cumsum),
    **dict.fromkeys(("add_n_f32", "add_n_s8"), add_n),
    **dict.fromkeys(("l2_normalization_f32", "l2_normalization_s8"), l2_normalization),
    "l2_pool_f32": l2_pool,
}
