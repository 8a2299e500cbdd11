"""Fast int8 kernels without weights for Cortex-M4: ADD and SUB, pooling, mean, softmax (firmware/nn/m4/q8_add.h, q8_pool.h,
q8_softmax.h).

As in m4_int8.py, the shape is a constant of the call and a step that does not fit gets None, i.e. the portable kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from tinyrig.compiler.fixed_point import exp_negative, mul_high, wrap32
from tinyrig.compiler.model.layers import Mean, Pool, Window
from tinyrig.compiler.model.params import AddInt, Softmax
from tinyrig.compiler.model.step import KEPT, CompileOptions, Constant, Kernel, ProgramStep, Select

MAX_SUMMANDS = 256
"""int8 values that always fit an int16 sum."""

MAX_SUM_SHIFT = 22
"""Of a sum below 2^29 to the right, with the zero point beside it in 32 bits."""

TABLE_LENGTH = 64
"""So many exponentials take little more flash than computing them does (168 B)."""
TABLE_VALUES = 128
"""So many values of a softmax make the longest table, 1 KB, worth its flash: it saves some 400 us."""


def add(step: ProgramStep[AddInt], options: CompileOptions) -> Kernel | None:
    """add_s8 and sub_s8 of equal shapes."""
    p = step.params
    shifts = [-p.a[1], -p.b[1], -p.out[1]]
    # 2 * (zero << shift) and a sum below 2^29 must fit 32 bits together; the output's shift is at least 1 by its half.
    if not p.shape.plain or min(shifts) < 0 or shifts[2] < 1 or max(shifts[:2]) > 28 or shifts[2] > MAX_SUM_SHIFT:
        return None
    sign = -1 if step.kind.startswith("sub") else 1
    fields = [
        p.shape.size,
        p.left,
        p.zeros[0],
        p.a[0],
        shifts[0],
        p.zeros[1],
        p.b[0],
        shifts[1],
        sign,
        p.out[0],
        shifts[2],
        f"{{{p.zeros[2]}, {p.act_min}, {p.act_max}, 0}}",
    ]
    inplace = tuple(i for i, t in enumerate(step.inputs) if t.data is None)
    return _map_kernel("q8_add", "q8_add_shape", fields, "m4/q8_add.h", options, operands=2, inplace=inplace)


def pool(step: ProgramStep[Pool], options: CompileOptions) -> Kernel | None:
    """average_pool_s8 and max_pool_s8."""
    p = step.params
    w = p.window
    if step.kind == "average_pool_s8" and w.k_h * w.k_w > MAX_SUMMANDS:
        return None
    fields = [
        w.in_h,
        w.in_w,
        w.in_c,
        w.out_h,
        w.out_w,
        w.k_h,
        w.k_w,
        w.stride_h,
        w.stride_w,
        w.pad_top,
        w.pad_left,
        int(w.padded),
        p.act_min,
        p.act_max,
    ]
    template = f"q8_{step.kind.removesuffix('_s8')}"
    steps = w.in_h * w.in_w * w.in_c, w.out_h * w.out_w * w.out_c
    batches = (w.batch, *steps)
    return _map_kernel(template, "q8_pool_shape", fields, "m4/q8_pool.h", options, batches=batches, given=given_rows(w, options))


def mean(step: ProgramStep[Mean], options: CompileOptions) -> Kernel | None:
    """mean_s8 where the channels stay: [outer, reduced, inner] with inner a multiple of 4."""
    p = step.params
    if p.inner % 4 or p.reduced == 1:
        return None
    fields = [p.reduced, p.inner, p.in_zero, p.out_zero, p.multiplier, p.shift]
    batches = p.outer, p.reduced * p.inner, p.inner
    return _map_kernel("q8_mean", "q8_mean_shape", fields, "m4/q8_pool.h", options, batches=batches)


def softmax(step: ProgramStep[Softmax], options: CompileOptions) -> Kernel | None:
    """softmax_s8 with int8 out; the exponentials from a table where that is as short as the code, or much used."""
    p = step.params
    if p.out_dtype != "int8":
        return None
    exps = exponentials(p)
    much_used = options.fast and p.rows * p.depth >= TABLE_VALUES
    table = (Constant("exps", exps, "exp(-d * beta * scale) in Q0.31"),) if len(exps) <= TABLE_LENGTH or much_used else ()
    shape = f"{{{p.rows}, {p.depth}, {len(exps)}, {p.multiplier}, {p.shift}}}"

    def file_scope(prefix: str) -> str:
        pointer = f"{prefix}_exps" if table else "0"
        return (
            f'static __attribute__(({KEPT}, optimize("O2"))) void {prefix}_rows(const int8_t *in, int8_t *out) {{\n'
            f"    static const q8_softmax_shape shape = {shape};\n    q8_softmax(&shape, {pointer}, in, out);\n}}\n"
        )

    return Kernel(lambda prefix: f"{prefix}_rows(in0, out0);", table, file_scope, inplace=(0,), headers=("m4/q8_softmax.h",))


def exponentials(p: Softmax) -> np.ndarray:
    """int32 [n]: exp(-d * beta * scale) in Q0.31 for differences 0 .. n - 1, beyond which they count as zero."""
    count = min(-p.diff_min, 255) + 1
    scaled = (mul_high(wrap32(-d << p.shift), p.multiplier) for d in range(count))
    return np.array([exp_negative(a, 5) for a in scaled], np.int32)


def specialised(
    template: str,
    shape_type: str,
    shape: str,
    parameters: list[str],
    arguments: list[str],
    level: str,
    given: tuple[str, ...] = (),
) -> tuple[str, str]:
    """-> name and text of a function that is `template` with a constant shape, but for its fields `given`, which are parameters.
    Steps of equal shape share it: the text defines it only once. `level` is GCC's, O2 or O3."""
    name = f"{template}_{hashlib.sha256(' '.join((shape, *given)).encode()).hexdigest()[:8]}"
    record = f"{shape_type} shape = {shape};" if given else f"static const {shape_type} shape = {shape};"
    lines = [record, *(f"shape.{g} = {g};" for g in given), f"{template}(&shape, {', '.join(arguments)});"]
    every = [*parameters, *(f"int32_t {g}" for g in given)]
    return name, (
        f"#ifndef {name.upper()}\n#define {name.upper()}\n"
        f'static __attribute__(({KEPT}, optimize("{level}"))) void {name}({", ".join(every)}) {{\n'
        f"{''.join(f'    {line}' + chr(10) for line in lines)}}}\n#endif\n"
    )


def given_rows(w: Window, options: CompileOptions) -> tuple[str, ...]:
    """What a kernel that computes one row must be told: nothing where all rows that it reads are always there."""
    return ("in_h", "pad_top") if options.rows and w.padded_rows else ()


def _map_kernel(
    template: str,
    shape_type: str,
    fields: Sequence[object],
    header: str,
    options: CompileOptions,
    operands: int = 1,
    batches: tuple[int, int, int] = (1, 0, 0),
    inplace: tuple[int, ...] = (),
    given: tuple[str, ...] = (),
) -> Kernel:
    """`template` specialised for `fields`, shared by steps of equal shape; batches: count, bytes of one in and out."""
    shape = f"{{{', '.join(map(str, fields))}}}"
    names = ["a", "b"][:operands]
    parameters = [*(f"const int8_t *{n}" for n in names), "int8_t *out"]
    level = "O3" if options.fast else "O2"
    name, file_scope = specialised(template, shape_type, shape, parameters, [*names, "out"], level, given)
    more = "".join(f", {g}" for g in given)
    count, in_size, out_size = batches

    def body(prefix: str) -> str:
        if operands == 2:
            return f"{name}(in0, in1, out0);"
        if count == 1:
            return f"{name}(in0, out0{more});"
        return f"for (int b = 0; b < {count}; b++) {name}(in0 + b * {in_size}, out0 + b * {out_size});"

    return Kernel(body, file_scope=lambda _: file_scope, inplace=inplace, headers=(header,), rows=bool(given))


KERNELS: dict[str, Select] = {
    "add_s8": add,
    "sub_s8": add,
    "average_pool_s8": pool,
    "max_pool_s8": pool,
    "mean_s8": mean,
    "softmax_s8": softmax,
}
"""Step kind -> choice, for the engine "tinyrig"."""
