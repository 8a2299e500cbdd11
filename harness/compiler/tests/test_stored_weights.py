"""Weights that are stored otherwise than they are used: integers behind DEQUANTIZE, four bits, behind the FlatBuffer."""

from __future__ import annotations

import struct

import flatbuffers
import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.model.verify import verify
from tinyrig.compiler.oracle_form import oracle_form
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle


def packed(values: np.ndarray) -> np.ndarray:
    """int8 in [-8, 7] -> two a byte, the low half first."""
    flat = np.append(values.ravel(), [0] * (values.size % 2)).astype(np.int8).view(np.uint8) & 15
    return flat[::2] | flat[1::2] << 4


def weight_only(dtype: str, axis: int | None) -> bytes:
    """A float dense layer whose weights are stored as integers, with one scale or one for each output."""
    rng, b = np.random.default_rng(0), ModelBuilder()
    x, y, real = b.tensor((1, 9)), b.tensor((1, 5)), b.tensor((5, 9))
    values = rng.integers(-7, 8, (5, 9)).astype(np.int8)
    scale = 0.03 if axis is None else rng.uniform(0.01, 0.1, 5)
    stored = b.tensor((5, 9), dtype, scale, 0, None, axis or 0)
    b.make_constant(stored, packed(values) if dtype == "int4" else values)
    b.op("DEQUANTIZE", [stored], [real], 3)
    b.op("FULLY_CONNECTED", [x, real, b.tensor((5,), data=rng.standard_normal(5))], [y])
    return b.finish([x], [y])


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_weight_only_layers_compute_in_float32(dtype: str, axis: int | None) -> None:
    data = weight_only(dtype, axis)
    x = [np.random.default_rng(1).standard_normal((1, 9)).astype(np.float32)]
    got = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)).invoke(x)[0]
    np.testing.assert_allclose(got, TflmOracle(data).run(x)[0], rtol=0, atol=1e-5)
    if dtype == "int8":  # LiteRT's reference DEQUANTIZE takes no 4-bit weights
        np.testing.assert_allclose(got, LitertRefOracle(data).run(x)[0], rtol=0, atol=1e-5)


def dense_int4() -> bytes:
    rng, b = np.random.default_rng(3), ModelBuilder()
    x, y = b.tensor((1, 8), "int8", 0.1), b.tensor((1, 6), "int8", 0.2, 3)
    w = b.tensor((6, 8), "int4", 0.05)
    b.make_constant(w, packed(rng.integers(-7, 8, (6, 8))))
    b.op("FULLY_CONNECTED", [x, w, b.tensor((6,), "int32", 0.005, data=rng.integers(-99, 99, 6))], [y], 7)
    return b.finish([x], [y])


def test_four_bit_weights_of_int8_layers_equal_tflm() -> None:
    data = dense_int4()
    x = [np.random.default_rng(1).integers(-128, 128, (1, 8)).astype(np.int8)]
    got = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)).invoke(x)[0]
    np.testing.assert_array_equal(got, TflmOracle(data).run(x)[0])


def values_behind(data: bytes) -> bytes:
    """The same model with its weights behind the FlatBuffer, as today's quantisers write large ones."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    parts = [bytes(np.asarray(b.data, np.uint8)) if b.data is not None else b"" for b in model.buffers]
    for b, part in zip(model.buffers, parts, strict=True):
        if part:
            b.data, b.offset, b.size = None, 1 << 40, len(part)  # a number that keeps its eight bytes in the file
    at = len(_written(model))
    for b, part in zip(model.buffers, parts, strict=True):
        if part:
            b.offset, at = at, at + len(part)
    return _written(model) + b"".join(parts)


def _written(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_weights_behind_the_flatbuffer_are_read_and_given_to_the_oracle_inline() -> None:
    inside = dense_int4()
    data = values_behind(inside)
    x = [np.random.default_rng(1).integers(-128, 128, (1, 8)).astype(np.int8)]
    want = TflmOracle(inside).run(x)[0]
    got = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)).invoke(x)[0]
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(TflmOracle(data).run(x)[0], want)
    assert oracle_form(inside) == inside


def test_weights_that_lie_behind_the_files_end_are_refused() -> None:
    with pytest.raises(ModelError, match="corrupt"):
        read_model(values_behind(dense_int4())[:-3])


def test_eight_byte_numbers_may_be_aligned_to_four() -> None:
    """As older Python writers of FlatBuffers do, and both runtimes load it."""
    data = bytearray(dense_int4())
    table = schema.Model.GetRootAs(bytes(data)).Subgraphs(0).Tensors(0).Quantization()._tab
    at = table.Vector(table.Offset(10)) - 4  # the zero points: their count, then one number of eight bytes
    start = len(data) + (-len(data)) % 8
    data += bytes(start - len(data)) + struct.pack("<Iq", 1, 0)
    place = table.Offset(10) + table.Pos
    assert at > 0
    struct.pack_into("<I", data, place, start - place)
    verify(bytes(data))
    assert read_model(bytes(data)).tensors[0].zero_point == 0


def test_litert_ref_judges_a_scale_a_channel_as_tflm_does() -> None:
    """LiteRT's dense layer rounds once where a scale stands for each channel, tflite-micro and the engine twice; as a convolution
    over one point it rounds as they do."""
    rng = np.random.default_rng(0)
    b = ModelBuilder()
    x, y = b.tensor((1, 64), "int8", 0.1), b.tensor((1, 32), "int8", 0.5)
    scales = list(rng.uniform(0.005, 0.03, 32))
    w = b.tensor((32, 64), "int8", scales, data=rng.integers(-127, 128, (32, 64)))
    b.op("FULLY_CONNECTED", [x, w], [y], 4)
    data = b.finish([x], [y])
    windows = [[rng.integers(-128, 128, (1, 64)).astype(np.int8)] for _ in range(20)]
    judges = (TflmOracle(data), LitertRefOracle(data))
    for window in windows:
        one, other = (judge.run(window) for judge in judges)
        assert np.array_equal(one[0], other[0])
