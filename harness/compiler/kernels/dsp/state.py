"""Fast kernels of what keeps state for Cortex-M4 (firmware/nn/m4/lstm.h, svdf.h): the fused LSTM and SVDF of integers."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.kernels.dsp.int16_scale import LOWEST, pack
from tinyrig.compiler.kernels.dsp.rescale import record, record_64
from tinyrig.compiler.kernels.m4_pack import pad_to
from tinyrig.compiler.kernels.portable import pair
from tinyrig.compiler.model.params import Lstm, LstmInt, Svdf
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select
from tinyrig.compiler.model.tables import sigmoid_table

FARTHEST = 255
"""The largest distance of an int8 value from a zero point."""
PRODUCT = 32767 << 15
"""The largest product of a sigmoid and another value of int16."""


def packed(weights: np.ndarray) -> np.ndarray:
    """int8 [n, k] -> uint32, [group of 4 rows][step][4 words], both dimensions filled up with zeros."""
    words = pack(pad_to(pad_to(weights, 4, 1), 4, 0))
    return np.ascontiguousarray(words.reshape(-1, 4, words.shape[1]).transpose(0, 2, 1)).ravel()


def widest_sum(weights: np.ndarray, farthest: int) -> int:
    """Of the rows of weights [n, k], for values of up to `farthest`."""
    return farthest * int(np.abs(weights.astype(np.int64)).sum(1).max(initial=0))


def lstm(step: ProgramStep[Lstm], options: CompileOptions) -> Kernel | None:
    """lstm_s8, lstm_s16."""
    p, q, wide = step.params, step.params.integers, step.kind == "lstm_s16"
    if q is None or (wide and (q.in_zero or q.hidden_zero)):
        return None
    bias = np.concatenate([pad_to(b, 4, 0) for b in p.biases])
    scales = _lstm_scales(p, q, wide, int(np.abs(bias.astype(np.int64)).max(initial=0)))
    if scales is None:
        return None
    constants = (
        Constant("weights", np.concatenate([packed(w) for w in p.weights[:4]]), "[gate][four units][step][unit], four a word"),
        Constant("recurrent", np.concatenate([packed(w) for w in p.weights[4:]]), "likewise"),
        Constant("bias", bias.astype(np.int32), "[gate][unit]"),
        Constant("table", sigmoid_table()),
    )
    shape = f"{p.batch}, {p.time}, {p.inputs}, {p.units}, {int(p.time_major)}"
    rest = f"{q.in_zero}, {q.hidden_zero}, {scales}, {q.tanh[0]}, {q.tanh[1]}, {q.clip}"

    def body(prefix: str) -> str:
        arrays = f"{{{prefix}_weights, {prefix}_recurrent}}, {prefix}_bias, {prefix}_table"
        return (
            f"static const nn_lstm p = {{{shape}}};\n"
            f"static const m4_lstm_data d = {{{arrays}, {rest}}};\n"
            f"m4_{step.kind}(&p, &d, in0, out1, out2, scratch, out0);\n"
        )

    scratch = 2 * (_round4(p.inputs) + _round4(p.units) + 4 * p.units)
    return Kernel(body, constants, scratch_bytes=scratch, headers=("m4/lstm.h",))


def _lstm_scales(p: Lstm, q: LstmInt, wide: bool, bias: int) -> str | None:
    """The scales of an m4_lstm_data; bias: the largest."""
    made, farthest = (record_64, LOWEST) if wide else (record, FARTHEST)
    sums = [widest_sum(w, farthest) + (bias if i < 4 else 0) for i, w in enumerate(p.weights)]
    sides = [made(scale, widest) for scale, widest in zip((*q.gates, *q.recurrent), sums, strict=True)]
    products = [record(scale, PRODUCT) for scale in (q.forget_cell, q.in_cell, q.hidden)]
    known = [r for r in (*sides, *products) if r is not None]
    if len(known) < len(sides) + len(products):
        return None
    return f"{{{{{', '.join(known[:4])}}}, {{{', '.join(known[4:8])}}}}}, {', '.join(known[8:])}"


def svdf(step: ProgramStep[Svdf], options: CompileOptions) -> Kernel | None:
    """svdf_s8, svdf_s16, of the state."""
    p, q = step.params, step.params.integers
    if q is None or (step.kind == "svdf_s16" and q.state_zero):
        return None
    feature = record(q.feature, widest_sum(p.features, FARTHEST))
    if feature is None:
        return None
    constants = (
        Constant("features", packed(p.features), "[four filters][step][filter], four weights a word"),
        Constant("times", p.times),
        *(() if p.bias is None else (Constant("bias", p.bias),)),
    )
    scales = f"{q.in_zero}, {q.state_zero}, {q.out_zero}, {feature}, {pair(q.time)}"

    def body(prefix: str) -> str:
        arrays = f"{prefix}_features, {prefix}_times, {'0' if p.bias is None else f'{prefix}_bias'}"
        return (
            f"static const nn_svdf p = {{{p.batch}, {p.inputs}, {p.filters}, {p.rank}, {p.memory}}};\n"
            f"static const m4_svdf_data d = {{{arrays}, {scales}}};\n"
            f"m4_{step.kind}(&p, &d, in0, out1, scratch, out0);\n"
        )

    return Kernel(body, constants, scratch_bytes=2 * _round4(p.inputs), headers=("m4/svdf.h",))


def _round4(n: int) -> int:
    return -(-n // 4) * 4


KERNELS: dict[str, Select] = {**dict.fromkeys(("lstm_s8", "lstm_s16"), lstm), **dict.fromkeys(("svdf_s8", "svdf_s16"), svdf)}
"""Step kind -> choice, for the engine "tinyrig"."""
