"""The portable engine's kernels of what keeps state, SVDF and the fused LSTM, whose states are outputs 1 and 2 of their
steps; and of control flow."""

from __future__ import annotations

from tinyrig.compiler.kernels.ctext import c_float
from tinyrig.compiler.kernels.portable import pair
from tinyrig.compiler.model.params import If, Lstm, LstmInt, Svdf, While
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Constant, Kernel, ProgramStep, Select
from tinyrig.compiler.model.tables import sigmoid_table


def svdf(step: ProgramStep[Svdf], options: CompileOptions) -> Kernel:
    p = step.params
    constants = [Constant("features", p.features), Constant("times", p.times)]
    constants += [] if p.bias is None else [Constant("bias", p.bias)]
    shape = f"{p.batch}, {p.inputs}, {p.filters}, {p.rank}, {p.memory}"
    q = p.integers
    scales = "" if q is None else f"{q.in_zero}, {q.state_zero}, {q.out_zero}, {pair(q.feature)}, {pair(q.time)}"

    def file_scope(prefix: str) -> str:
        text = f"static const nn_svdf {prefix}_params = {{{shape}}};\n"
        return text + (f"static const nn_svdf_int {prefix}_scales = {{{scales}}};\n" if scales else "")

    def body(prefix: str) -> str:
        extra = f"&{prefix}_scales" if scales else f"{c_float(p.act_min)}, {c_float(p.act_max)}"
        bias = "0" if p.bias is None else f"{prefix}_bias"
        return f"nn_{step.kind}(&{prefix}_params, {extra}, {prefix}_features, {prefix}_times, {bias}, in0, out1, out0);"

    return Kernel(body, tuple(constants), file_scope, sources=("portable/svdf.c",))


_BIASES = {"lstm_f32": "float", "lstm_s8": "int32_t", "lstm_s16": "int64_t"}


def lstm(step: ProgramStep[Lstm], options: CompileOptions) -> Kernel:
    p, q = step.params, step.params.integers
    weights = [Constant(f"weights{i}", w) for i, w in enumerate(p.weights)]
    biases = [Constant(f"bias{i}", b) for i, b in enumerate(p.biases)]
    table = [] if q is None else [Constant("table", sigmoid_table())]
    shape = f"{p.batch}, {p.time}, {p.inputs}, {p.units}, {int(p.time_major)}"
    cell = "float" if q is None else "int16_t"

    def file_scope(prefix: str) -> str:
        of = "float" if q is None else "int8_t"
        text = f"static const nn_lstm {prefix}_params = {{{shape}}};\n"
        text += f"static const {of} *const {prefix}_weights[] = {{{', '.join(f'{prefix}_{c.name}' for c in weights)}}};\n"
        bias_type = _BIASES[step.kind]
        text += f"static const {bias_type} *const {prefix}_biases[] = {{{', '.join(f'{prefix}_{c.name}' for c in biases)}}};\n"
        return text + ("" if q is None else f"static const nn_lstm_int {prefix}_scales = {{{_scales(q, prefix)}}};\n")

    def body(prefix: str) -> str:
        extra = c_float(p.clip) if q is None else f"&{prefix}_scales"
        rest = f"in0, out1, out2, ({cell} *)(void *)scratch, out0"
        return f"nn_{step.kind}(&{prefix}_params, {extra}, {prefix}_weights, {prefix}_biases, {rest});"

    scratch = 4 * p.units * (4 if q is None else 2)
    sources = ("portable/lstm.c", "portable/unary.c")
    return Kernel(body, (*weights, *biases, *table), file_scope, scratch, sources=sources)


def _scales(q: LstmInt, prefix: str) -> str:
    gates = ", ".join("{" + ", ".join(map(pair, side)) + "}" for side in (q.gates, q.recurrent))
    products = ", ".join(map(pair, (q.forget_cell, q.in_cell, q.hidden)))
    return f"{q.in_zero}, {q.hidden_zero}, {gates}, {products}, {q.tanh[0]}, {q.tanh[1]}, {q.clip}, {prefix}_table"


def _copies(step: AnyStep, first: int, n: int) -> list[str]:
    """What a block gave -> the outputs; a value that lies there already is left out."""
    return [f"nn_copy({step.outputs[i].nbytes}, in{first + i}, out{i});" for i in range(n)]


def while_(step: ProgramStep[While], options: CompileOptions) -> Kernel:
    p = step.params
    lines = ["for (;;) {", f"@block {p.cond}", "    if (!*in0) {", "        break;", "    }", f"@block {p.body}"]
    lines += ["    " + line for line in _copies(step, 1, p.carried)] + ["}"]
    return Kernel(lambda _: "\n".join(lines), sources=("portable/move.c",))


def if_(step: ProgramStep[If], options: CompileOptions) -> Kernel:
    p = step.params
    yes, no = ([f"    {line}" for line in _copies(step, 1 + i * p.outputs, p.outputs)] for i in range(2))
    lines = ["if (*in0) {", f"@block {p.yes}", *yes, "} else {", f"@block {p.no}", *no, "}"]
    return Kernel(lambda _: "\n".join(lines), sources=("portable/move.c",))


KERNELS: dict[str, Select] = {
    **dict.fromkeys(("svdf_f32", "svdf_s8", "svdf_s16"), svdf),
    "while": while_,
    "if": if_,
    **dict.fromkeys(("lstm_f32", "lstm_s8", "lstm_s16"), lstm),
}
