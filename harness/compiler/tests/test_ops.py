"""Every op of the portable engine against tflite-micro's reference kernels: integers byte-equal, floats within 1e-5."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.compiler.tests import cases

ROUNDS = settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
"""Six models of up to 25 drawn ops each: the host compiler and the oracle run once a model. A failure names the drawn
cases as they are; shrinking them would cost minutes of compiling."""

STRATEGIES = {
    "conv2d_s8": cases.conv2d("int8"),
    "conv2d_f32": cases.conv2d("float32"),
    "conv2d_s16": cases.conv2d("int16"),
    "depthwise_s8": cases.depthwise("int8"),
    "depthwise_f32": cases.depthwise("float32"),
    "depthwise_s16": cases.depthwise("int16"),
    "dense_s8": cases.dense("int8"),
    "dense_f32": cases.dense("float32"),
    "dense_s16": cases.dense("int16"),
    "pools": st.one_of([cases.pool(t, c) for t in ("int8", "int16", "float32") for c in ("AVERAGE_POOL_2D", "MAX_POOL_2D")]),
    "mean": st.one_of([cases.mean(t) for t in ("int8", "int16", "float32")]),
    "softmax": st.one_of(cases.softmax("int8", "int8"), cases.softmax("int8", "int16"), cases.softmax("float32", "float32")),
    "relu": st.one_of([cases.elementwise(c, t) for c in ("RELU", "RELU6") for t in ("int8", "int16", "float32")]),
    "quantize": st.one_of(
        cases.quantize_float("int8"), cases.quantize_float("int16"), cases.elementwise("DEQUANTIZE", "int8", "float32"),
        cases.elementwise("DEQUANTIZE", "int16", "float32"),
        *[cases.elementwise("QUANTIZE", a, b) for a in ("int8", "int16") for b in ("int8", "int16")],
    ),
    "reshape": st.one_of(cases.reshape("int8"), cases.reshape("float32")),
}


@pytest.mark.parametrize("name", STRATEGIES)
@ROUNDS
@given(data=st.data())
def test_op_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))
