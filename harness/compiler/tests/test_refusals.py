"""What can't be compiled is refused before any C compiler runs, naming op, index, tensor and what is supported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import ModelError, UserError
from tinyrig.core.records import CompiledModel


def compiled(data: bytes, flash: int = 1 << 20, ram: int = 1 << 18, engine: str = "tinyrig") -> CompiledModel:
    return compile_model(data, flash_bytes=flash, ram_bytes=ram, engine=engine)


def unknown_op(b: ModelBuilder) -> None:
    b.op("UNIQUE", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)])


def custom_op(b: ModelBuilder) -> None:
    b.op("CUSTOM", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)], custom="my_layer")


def dynamic_shape(b: ModelBuilder) -> None:
    b.patch("input", shapeSignature=[1, -1, 6, 3])


def wrong_dtype(b: ModelBuilder) -> None:
    b.patch("net/depthwise", type=schema.TensorType.UINT8)


def no_quantization(b: ModelBuilder) -> None:
    b.patch("net/dense", quantization=None)


def omitted_input(b: ModelBuilder) -> None:
    out = b.tensor((1, 10), "int8", 0.05, 3)
    b.op("CONCATENATION", [b.index("net/mean"), -1], [out], axis=1)


def sparse_tensor(b: ModelBuilder) -> None:
    b.patch("k1", sparsity=schema.SparsityParametersT())


def variable(b: ModelBuilder) -> None:
    b.patch("net/mean", isVariable=True)


def wrong_output_shape(b: ModelBuilder) -> None:
    b.patch("net/conv/Relu", shape=[1, 8, 6, 7])


def wrong_axis_count(b: ModelBuilder) -> None:
    b.patch("axes", shape=[1])


def zero_stride(b: ModelBuilder) -> None:
    b.patch_op(0, strideH=0)


def tanh_fused(b: ModelBuilder) -> None:
    b.patch_op(0, fusedActivationFunction=4)


def int4_weights_of_int8_size(b: ModelBuilder) -> None:
    b.patch("k3", type=schema.TensorType.INT4)


def too_many_scales(b: ModelBuilder) -> None:
    q = schema.QuantizationParametersT()
    q.scale, q.zeroPoint = np.full(3, 0.1, np.float32), np.zeros(3, np.int64)
    b.patch("k1", quantization=q)


REFUSED: list[tuple[Callable[[ModelBuilder], None], tuple[str, ...]]] = [
    (unknown_op, ("op 6 UNIQUE", "is not supported", "no fixed length")),
    (custom_op, ("op 6 CUSTOM 'my_layer'", "not supported")),
    (dynamic_shape, ("tensor 0 'input'", "dynamic shape", "-1")),
    (wrong_dtype, ("op 1 DEPTHWISE_CONV_2D", "'net/depthwise'", "uint8", "int8")),
    (no_quantization, ("op 4 FULLY_CONNECTED", "'net/dense'", "scale")),
    (sparse_tensor, ("'k1'", "sparse")),
    (variable, ("'net/mean'", "variable")),
    (wrong_output_shape, ("op 0 CONV_2D", "'net/conv/Relu'")),
    (wrong_axis_count, ("'axes'", "4 bytes", "8")),
    (zero_stride, ("op 0 CONV_2D", "strides")),
    (tanh_fused, ("op 0 CONV_2D", "RELU6", "TANH")),
    (int4_weights_of_int8_size, ("'k3'", "bytes of data")),
    (omitted_input, ("op 6 CONCATENATION", "omitted")),
    (too_many_scales, ("op 0 CONV_2D", "'k1'", "3")),
]


@pytest.mark.parametrize(("spoil", "told"), REFUSED, ids=lambda v: getattr(v, "__name__", ""))
def test_refusal_names_the_place(spoil: Callable[[ModelBuilder], None], told: tuple[str, ...]) -> None:
    b = conv_net()
    spoil(b)
    with pytest.raises(ModelError) as e:
        compiled(finish_net(b))
    assert [t for t in told if t not in str(e.value)] == [], str(e.value)


def test_the_unspoilt_net_compiles_with_a_free_batch() -> None:
    b = conv_net()
    b.patch("input", shapeSignature=[-1, 8, 6, 3])
    assert compiled(finish_net(b)).inputs[0].shape == (1, 8, 6, 3)


def test_two_subgraphs_are_refused() -> None:
    b = conv_net()
    with pytest.raises(ModelError, match="one subgraph"):
        compiled(b.finish([0], [b.index("out")], subgraphs=2))


def test_weights_beyond_flash_and_arena_beyond_ram_say_how_much_is_missing() -> None:
    data = finish_net(conv_net())
    model = compiled(data)
    small = compiled(data, flash=model.weight_bytes, ram=model.arena_bytes)
    assert small.arena_bytes <= model.arena_bytes and small.weight_bytes <= model.weight_bytes
    with pytest.raises(ModelError, match=r"weights need .*\n.*\n.* 1 too many"):
        compiled(data, flash=small.weight_bytes - 1)
    with pytest.raises(ModelError, match=r"arena needs .*\n.*\n.* 1 too many; most at op 0 CONV_2D"):
        compiled(data, flash=small.weight_bytes, ram=small.arena_bytes - 1)  # no room for code row by row
    assert compiled(data, ram=small.arena_bytes - 1).arena_bytes < small.arena_bytes, "row by row"


def test_unknown_engine_and_optimisation() -> None:
    with pytest.raises(UserError, match="portable"):
        compiled(finish_net(conv_net()), engine="none")
    with pytest.raises(UserError, match="speed or size"):
        compile_model(finish_net(conv_net()), flash_bytes=1 << 20, ram_bytes=1 << 20, optimise="both")


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"\x1c\0\0\0TFL3" + b"\xff" * 64, b"PK\3\4" + b"x" * 100])
def test_no_model_at_all(data: bytes) -> None:
    with pytest.raises(ModelError):
        compiled(data)


NETS = [finish_net(conv_net(dtype=t)) for t in ("int8", "float32")]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(NETS), st.data())
def test_truncation_is_refused(net: bytes, data: st.DataObject) -> None:
    with pytest.raises(ModelError):
        compiled(net[: data.draw(st.integers(0, len(net) - 1))])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(NETS), st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes_compile_or_are_refused(net: bytes, changes: list[tuple[int, int]]) -> None:
    """Never another exception, and never an arena that the limits do not allow."""
    spoilt = bytearray(net)
    for at, value in changes:
        spoilt[at % len(net)] = value
    with contextlib.suppress(ModelError):
        assert compiled(bytes(spoilt), engine="portable").arena_bytes <= 1 << 18


def test_shapes_of_more_dimensions_than_a_tensor_has_are_refused() -> None:
    """numpy broadcasts no shapes of 33 dimensions, and said so with an exception of its own."""
    b = ModelBuilder()
    x, shape, y = b.tensor((1, 4)), b.tensor((33,), "int32"), b.tensor((1, 4))
    one = b.tensor((33,), "int32", data=np.ones(33))
    b.op("BROADCAST_ARGS", [one, one], [shape])
    b.op("BROADCAST_TO", [x, shape], [y])
    with pytest.raises(ModelError, match="BROADCAST_ARGS"):
        compile_model(b.finish([x], [y]), flash_bytes=1 << 20, ram_bytes=1 << 18)
