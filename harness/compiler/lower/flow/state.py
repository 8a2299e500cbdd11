"""Lowering of the ops that keep something from one inference to the next: SVDF and the fused LSTM."""

from __future__ import annotations

import math

import numpy as np

from tinyrig.compiler.lower.conv import activation, clamp_f32
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_quantized, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.params import Lstm, LstmInt, Svdf, SvdfInt
from tinyrig.compiler.model.quant import quantize_multiplier


def _kept(p: Program, op: Op, t: Tensor, elements: int) -> Tensor:
    check(op, t, t.index in p.graph.variables, "a variable of the model")
    check(op, t, t.size == elements, f"{elements} elements", str(t.size))
    check(op, t, t.index not in p.states, "a variable of this op alone")
    p.states.append(t.index)
    return t


def svdf(p: Program, op: Op) -> None:
    (x, features, times), (bias, state) = p.inputs_and_optional(op, 3, 5)
    y = p.output(op)
    check_dtype(op, x, "float32", "int8")
    check_dtype(op, y, x.dtype)
    check_dtype(op, features, x.dtype)
    check_dtype(op, times, *(("float32",) if x.dtype == "float32" else ("int8", "int16")))
    rank = op.options.number("rank")
    check(op, x, len(x.shape) == 2 and len(features.shape) == 2 and len(times.shape) == 2, "rank 2")
    filters, memory = features.shape[0], times.shape[1]
    check(op, features, features.shape[1] == x.shape[1], f"{x.shape[1]} inputs", str(features.shape[1]))
    check(op, features, rank > 0 and filters % rank == 0, f"a multiple of the rank {rank}", str(filters))
    check(op, times, times.shape[0] == filters, f"{filters} filters", str(times.shape[0]))
    check_shape(op, y, (x.shape[0], filters // rank))
    check(op, None, state is not None, "a state")
    assert state is not None
    check_dtype(op, state, times.dtype)
    _kept(p, op, state, x.shape[0] * filters * memory)
    values = None if bias is None else constant(op, bias, "the bias").ravel()
    check(op, bias, values is None or values.size == filters // rank, f"{filters // rank} elements")
    shape = (x.shape[0], x.shape[1], filters, rank, memory)
    weights = constant(op, features, "the features' weights"), constant(op, times, "the times' weights")
    macs = x.shape[0] * filters * (x.shape[1] + memory)
    if x.dtype == "float32":
        params = Svdf(*shape, *weights, values, *clamp_f32(op, x))
        p.emit("svdf_f32", op, [x], [y, state], params, macs)
        return
    kind = "svdf_s8" if state.dtype == "int8" else "svdf_s16"
    integers = _svdf_scales(op, x, features, times, state, y)
    check(op, bias, bias is not None and bias.dtype == "int32", "an int32 bias")
    p.emit(kind, op, [x], [y, state], Svdf(*shape, *weights, values, integers=integers), macs)


def _svdf_scales(op: Op, x: Tensor, features: Tensor, times: Tensor, state: Tensor, y: Tensor) -> SvdfInt:
    check_quantized(op, x, features, times, state, y)
    check(op, None, activation(op) in ("NONE", "RELU"), "no activation, or RELU by the output's zero point", activation(op))
    first = quantize_multiplier(float(np.float32(x.scale * features.scale) / state.scale))
    second = quantize_multiplier(float(np.float32(state.scale * times.scale) / y.scale))
    check(op, y, first[1] <= 30 and second[1] <= 30, "scales nearer to each other")
    return SvdfInt(x.zero_point, state.zero_point, y.zero_point, first, second)


GATES = ("input", "forget", "cell", "output")
_HIDDEN, _CELL = 18, 19


def lstm(p: Program, op: Op) -> None:
    """The plain form, as TFLM takes it: four gates, no peepholes, projection or layer norm. The hidden and the cell state begin
    with the model's reset."""
    check(op, None, len(op.inputs) == 24, "24 inputs", str(len(op.inputs)))
    given = [p.tensors[i] if i >= 0 else None for i in op.inputs]
    x, y = given[0], p.output(op)
    hidden, cell = given[_HIDDEN], given[_CELL]
    odd = [i for i in (9, 10, 11, 16, 17, 20, 21, 22, 23) if given[i] is not None]
    check(op, None, not odd, "no peepholes, projection or layer norm", f"input {odd[:1]}")
    whole = x is not None and hidden is not None and cell is not None and all(given[i] is not None for i in range(1, 9))
    check(op, None, whole, "input, weights of all gates, and states")
    assert x is not None and hidden is not None and cell is not None
    check_dtype(op, x, "float32", "int8", "int16")
    check_dtype(op, y, x.dtype)
    check_dtype(op, hidden, x.dtype)
    check_dtype(op, cell, "float32" if x.dtype == "float32" else "int16")
    check(op, x, len(x.shape) == 3, "rank 3")
    time_major = op.options.flag("time_major")
    batch, time = (x.shape[1], x.shape[0]) if time_major else (x.shape[0], x.shape[1])
    weights = _lstm_weights(op, given, x)
    units, inputs = weights[0].shape
    check(op, x, inputs == x.shape[2], f"{inputs} channels", str(x.shape[2]))
    check_shape(op, y, (x.shape[0], x.shape[1], units))
    for t in (hidden, cell):
        _kept(p, op, t, batch * units)
    word = op.options.word("activation")
    check(op, None, word == "TANH", "the cell gate's activation TANH", word)
    integers = None if x.dtype == "float32" else _lstm_scales(op, given, x, hidden, cell)
    params = Lstm(batch, time, inputs, units, time_major, weights, _lstm_biases(op, given, x, units), integers)
    if x.dtype == "float32":
        params = params.clipped(op.options.real("cell_clip"))
    kind = {"float32": "lstm_f32", "int8": "lstm_s8", "int16": "lstm_s16"}[x.dtype]
    p.emit(kind, op, [x], [y, hidden, cell], params, 4 * batch * time * units * (inputs + units))


def _lstm_weights(op: Op, given: list[Tensor | None], x: Tensor) -> tuple[np.ndarray, ...]:
    """Of the input, then of the hidden state, by gate."""
    found = []
    for i in range(1, 9):
        t = given[i]
        assert t is not None
        check_dtype(op, t, "float32" if x.dtype == "float32" else "int8")
        value = constant(op, t, f"the weights of the {GATES[(i - 1) % 4]} gate")
        check(op, t, value.ndim == 2, "rank 2")
        found.append(value)
    units = found[0].shape[0]
    for i, value in enumerate(found):
        wanted = found[0].shape if i < 4 else (units, units)
        check(op, given[i + 1], value.shape == wanted, f"shape {list(wanted)}", str(list(value.shape)))
    return tuple(found)


def _lstm_biases(op: Op, given: list[Tensor | None], x: Tensor, units: int) -> tuple[np.ndarray, ...]:
    dtype = {"float32": "float32", "int8": "int32", "int16": "int64"}[x.dtype]
    found = []
    for i in range(12, 16):
        t = given[i]
        check(op, t, t is not None, f"a bias of the {GATES[i - 12]} gate")
        assert t is not None
        check_dtype(op, t, dtype)
        value = constant(op, t, "the bias").ravel()
        check(op, t, value.size == units, f"{units} elements", str(value.size))
        found.append(value)
    return tuple(found)


GATE_SCALE, ACTIVATED = np.float32(2.0**-12), np.float32(2.0**-15)
"""Of a gate in front of its activation, Q3.12, and behind it, Q0.15."""


def _lstm_scales(op: Op, given: list[Tensor | None], x: Tensor, hidden: Tensor, cell: Tensor) -> LstmInt:
    check_quantized(op, x, hidden, cell)
    most = 14 if x.dtype == "int16" else 30

    def scale(real: float) -> tuple[int, int]:
        pair = quantize_multiplier(real)
        check(op, x, pair[1] <= most, "scales nearer to each other", str(real))
        return pair

    def gate(of: Tensor, i: int) -> tuple[int, int]:
        w = given[i]
        assert w is not None
        check_quantized(op, w)
        check(op, w, w.zero_point == 0, "weights with zero point 0", str(w.zero_point))
        return scale(float(np.float32(of.scale * w.scale)) / float(GATE_SCALE))

    power = round(math.log2(float(cell.scale)))
    check(
        op,
        cell,
        abs(math.log2(float(cell.scale)) - power) < 1e-3 and -24 <= power <= 0,
        "a power of two as scale",
        str(cell.scale),
    )
    left = 15 + power - 3
    clip = op.options.real("cell_clip")
    return LstmInt(
        x.zero_point,
        hidden.zero_point,
        tuple(gate(x, i) for i in range(1, 5)),
        tuple(gate(hidden, i) for i in range(5, 9)),
        scale(float(ACTIVATED) * float(cell.scale) / float(cell.scale)),
        scale(float(ACTIVATED) * float(ACTIVATED) / float(cell.scale)),
        scale(float(ACTIVATED) * float(ACTIVATED) / float(hidden.scale)),
        (3 << left, 0) if left >= 0 else (3, -left),
        int(min(clip / float(cell.scale), 32767.0)) if clip > 0 else 0,
    )
