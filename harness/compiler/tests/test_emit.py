"""Unusual but legal models, the generated text, and the kernels' own cleanliness."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels.ctext import c_array, c_float, c_int
from tinyrig.compiler.model.step import Constant
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.workload.host_build import NN_DIR, HostModel, host_cc
from tinyrig.workload.oracle import TflmOracle


def identity(b: ModelBuilder) -> tuple[list[int], list[int]]:
    x = b.tensor((1, 4))
    return [x], [x]


def reshape_only(b: ModelBuilder) -> tuple[list[int], list[int]]:
    x, y = b.tensor((1, 4)), b.tensor((2, 2))
    b.op("RESHAPE", [x], [y])
    return [x], [y]


def constant_output(b: ModelBuilder) -> tuple[list[int], list[int]]:
    x, y, c = b.tensor((1, 4)), b.tensor((1, 4)), b.tensor((3,), data=[1, 2, 3])
    b.op("RELU", [x], [y])
    return [x], [y, c]


def chained_outputs(b: ModelBuilder) -> tuple[list[int], list[int]]:
    """A fused clamp would lose the first output."""
    x, y, z = (b.tensor((1, 4)) for _ in range(3))
    b.op("RELU", [x], [y])
    b.op("RELU6", [y], [z])
    return [x], [y, z]


def unused_input(b: ModelBuilder) -> tuple[list[int], list[int]]:
    unused, x, y = (b.tensor((1, 4)) for _ in range(3))
    b.op("RELU", [x], [y])
    return [unused, x], [y]


def doubled(b: ModelBuilder) -> tuple[list[int], list[int]]:
    x, y = b.tensor((1, 4)), b.tensor((1, 4))
    b.op("ADD", [x, x], [y])
    return [x], [y, y]


def folded_shape(b: ModelBuilder) -> tuple[list[int], list[int]]:
    """What converters write for a reshape with a free batch: SHAPE, STRIDED_SLICE, PACK; nothing of it is left."""
    x, y, z = b.tensor((2, 3, 2)), b.tensor((2, 6)), b.tensor((2, 6))
    shape, batch, target = b.tensor((3,), "int32"), b.tensor((), "int32"), b.tensor((2,), "int32")
    begin, end, step = (b.tensor((1,), "int32", data=[v]) for v in (0, 1, 1))
    b.op("SHAPE", [x], [shape], outType=2)
    b.op("STRIDED_SLICE", [shape, begin, end, step], [batch], shrinkAxisMask=1)
    b.op("PACK", [batch, b.tensor((), "int32", data=np.array(6))], [target], valuesCount=2)
    b.op("RESHAPE", [x, target], [y])
    b.op("RELU", [y], [z])
    return [x], [z]


MODELS = {identity: 0, reshape_only: 0, constant_output: 1, chained_outputs: 2, unused_input: 1, doubled: 1, folded_shape: 1}
"""Model -> steps that remain."""


@pytest.mark.parametrize("make", MODELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("engine", ["portable", "tinyrig"])
def test_unusual_models(make, engine: str) -> None:
    b = ModelBuilder()
    data = b.finish(*make(b))
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, engine=engine)
    assert len(model.ops) == MODELS[make]
    inputs = [random_values(np.random.default_rng(1), s.shape, s.dtype) for s in model.inputs]
    compare(HostModel(model).invoke(inputs), TflmOracle(data).run(inputs))


@pytest.mark.parametrize("name", ["conv²", "卷积/ﬁ", "a*/ int x; /*", "a\\", "a\nb", '%s"', ""])
def test_any_tensor_name_gives_c_that_compiles(name: str) -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4)), b.tensor((1, 4), name=name)
    b.op("RELU", [x], [y])
    model = compile_model(b.finish([x], [y]), flash_bytes=1 << 20, ram_bytes=1 << 20)
    assert HostModel(model).invoke([np.array([[-1, 1, 2, -3]], np.float32)])[0].tolist() == [[0, 1, 2, 0]]
    assert model.ops[0].name.isascii()


def test_sizes_names_and_offsets_are_those_of_the_text() -> None:
    data = finish_net(conv_net())
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, engine="portable")
    text = model.sources["model.c"]
    assert model.sha256 == hashlib.sha256(data).hexdigest() and model.sha256 in text
    assert f"static uint8_t arena[{model.arena_bytes}]" in text
    # A separate RELU6 has moved into the depthwise step; 5 + 5 channels and 4 outputs have a bias, multiplier and shift.
    assert [op.op for op in model.ops] == ["CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert model.weight_bytes == 5 * 27 + 45 + 20 + (5 + 5 + 4) * (4 + 4 + 1)
    assert model.macs == 48 * 5 * 27 + 12 * 5 * 9 + 20
    assert "step0_net_conv_relu" in text and "int8_t 1x8x6x3" not in text and "1x8x6x3 at arena + " in text


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_read_back_exactly(v: float) -> None:
    array = c_array("x", Constant("x", np.array([v], np.float32)))
    for literal in (c_float(v), array.split("{\n")[1].split(",")[0].strip()):
        assert literal.endswith("f") and np.float32(literal[:-1]).tobytes() == np.float32(v).tobytes()


@pytest.mark.parametrize("v", [-(2**63), -(2**31), -1, 0, 2**31 - 1, 2**31, 2**62])
def test_integer_literals(v: int) -> None:
    assert eval(c_int(v).replace("LL", "")) == v


PORTABLE = sorted((NN_DIR / "portable").glob("*.c"))
assert PORTABLE, "no portable kernels found"


@pytest.mark.parametrize("source", PORTABLE, ids=lambda p: p.name)
def test_portable_kernels_compile_without_warnings(source: Path, tmp_path: Path) -> None:
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2"]
    command = [host_cc(), *flags, f"-I{NN_DIR}", "-c", str(source), "-o", str(tmp_path / "x.o")]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""
