"""Files that the fuzzer found to compile and then differ, crash or overflow: each is refused now, and says why. And files made
to cost time or memory: refused before they can."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.lower import program
from tinyrig.compiler.model import extent, graph
from tinyrig.compiler.model.obstacle import obstacles_of
from tinyrig.compiler.model.verify import verify
from tinyrig.compiler.tests.fuzz_mutate import pack
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import ModelError


def refused(data: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=told) as e:
        compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert all(o.expected or o.received for o in obstacles_of(e.value))


def parsed(data: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def one_op(code: str, inputs: list[tuple], output: tuple, **options: Any) -> bytes:
    """Tensors as arguments of ModelBuilder.tensor; those without data are inputs of the model."""
    b = ModelBuilder()
    xs = [b.tensor(*t[:4], data=t[4] if len(t) > 4 else None) for t in inputs]
    y = b.tensor(*output)
    b.op(code, xs, [y], **options)
    return b.finish([i for i, t in zip(xs, inputs, strict=True) if len(t) < 5], [y])


Q = ("int8", 0.1, 0)
H = ("int16", 0.1, 0)
W = np.ones((5, 4))

FOUND: dict[str, tuple[bytes, str]] = {
    "PACK whose options say 2 of 4": (one_op("PACK", [((4,),)] * 4, ((4, 4),), axis=0, valuesCount=2), "4 parts in the options"),
    "UNPACK": (one_op("UNPACK", [((1, 4),)], ((4,),), axis=0, num=3), "1 parts in the options"),
    "SPLIT": (one_op("SPLIT", [((), "int32", None, 0, 0), ((2, 4),)], ((2, 4),), numSplits=2), "1 parts in the options"),
    "depth multiplier": (
        one_op(
            "DEPTHWISE_CONV_2D",
            [((1, 4, 4, 2),), ((1, 1, 1, 4), "float32", None, 0, np.ones((1, 1, 1, 4)))],
            ((1, 4, 4, 4),),
            strideH=1,
            strideW=1,
            depthMultiplier=1,
        ),
        "a depth multiplier of 2",
    ),
    "dense rows by another size": (
        one_op("FULLY_CONNECTED", [((3, 4),), ((5, 4), "float32", None, 0, W)], ((5, 3),)),
        "3 rows of 5 elements",
    ),
    "dense weights' zero point": (
        one_op("FULLY_CONNECTED", [((1, 4), *H), ((5, 4), "int8", 0.1, -(2**30), W)], ((1, 5), *H)),
        "a zero point in",
    ),
    "infinite weights": (
        one_op("FULLY_CONNECTED", [((1, 4),), ((5, 4), "float32", None, 0, W * np.inf)], ((1, 5),)),
        "finite weights",
    ),
    "NaN": (one_op("FULLY_CONNECTED", [((1, 4),), ((5, 4), "float32", None, 0, W * np.nan)], ((1, 5),)), "20 of 20 NaN"),
    "endless slope": (one_op("LEAKY_RELU", [((5,), *Q)], ((5,), *Q), alpha=3e38), "scales nearer"),
    "16-bit softmax of a huge scale": (
        one_op("SOFTMAX", [((1, 4), "int16", 1e6, 0)], ((1, 4), "int16", 1 / 32768, 0), beta=1.0),
        "scale \\* beta below 2",
    ),
    "a beta that is no number": (one_op("SOFTMAX", [((1, 4),)], ((1, 4),), beta=float("nan")), "a beta above 0"),
    "a negative beta": (one_op("SOFTMAX", [((1, 4),)], ((1, 4),), beta=-1.0), "a beta above 0"),
    "a hard swish of a tiny scale": (one_op("HARD_SWISH", [((3,), "int8", 1e-6, 0)], ((3,), *Q)), "512 times the input's"),
    "a root of a huge scale": (one_op("RSQRT", [((3,), *Q)], ((3,), "int8", 2e9, 0)), "scales nearer"),
    "a logistic of a tiny scale": (
        one_op("LOGISTIC", [((3,), "int8", 1e-10, 0)], ((3,), "int8", 1 / 256, -128)),
        "an input scale of at least",
    ),
    "a tanh of a tiny scale": (
        one_op("TANH", [((3,), "int8", 1e-10, 0)], ((3,), "int8", 1 / 128, 0)),
        "an input scale of at least",
    ),
    **{
        f"a 16-bit {code} of a tiny scale": (
            one_op(code, [((3,), "int16", 1e-16, 0)], ((3,), "int16", 2**-15, 0)),
            "an input scale of at least 4e-14",
        )
        for code in ("LOGISTIC", "TANH")
    },
    "a magnitude in a tiny scale": (one_op("ABS", [((3,), *Q)], ((3,), "int8", 1e-20, 0)), "scales nearer"),
    "an ELU in a tiny scale": (one_op("ELU", [((3,), *Q)], ((3,), "int8", 1e-30, 0)), "scales nearer"),
    "a slice of which runtimes make different things": (
        one_op(
            "STRIDED_SLICE",
            [((4, 3),), *(((2,), "int32", None, 0, np.array(v)) for v in ([0, 0], [0, 3], [-2, 1]))],
            ((3,),),
            beginMask=1,
            shrinkAxisMask=1,
        ),
        "runtimes disagree",
    ),
    "a scale without an inverse": (
        one_op("RELU6", [((4,), "int8", 1e-45, 0)], ((4,), "int8", 1e-45, 0)),
        "one quantisation scale",
    ),
    "16-bit multiplier beyond 2^14": (
        one_op("FULLY_CONNECTED", [((1, 4), "int16", 1e4, 0), ((5, 4), "int8", 1e2, 0, W)], ((1, 5), *H)),
        r"below 2\^14",
    ),
    "a stride of 2^31 - 1": (
        one_op(
            "CONV_2D",
            [((1, 4, 4, 2), *Q), ((3, 2, 2, 2), "int8", 0.1, 0, np.ones((3, 2, 2, 2)))],
            ((1, 1, 1, 3), *Q),
            strideH=1,
            strideW=2**31 - 1,
        ),
        "strides, dilations and filter sizes from 1 to",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_the_fuzzer_found_is_refused(name: str) -> None:
    refused(*FOUND[name])


def test_a_64_bit_bias_beyond_the_accumulator_is_refused() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4), *H), b.tensor((1, 5), *H)
    w, bias = b.tensor((5, 4), *Q, data=W), b.tensor((5,), "int64", 0.01, data=np.full(5, -(2**63)))
    b.op("FULLY_CONNECTED", [x, w, bias], [y])
    refused(b.finish([x], [y]), "values within")


def test_scales_without_zero_points_are_refused() -> None:
    """Runtimes take such a tensor for one that is not quantised."""
    model = parsed(finish_net(conv_net()))
    model.subgraphs[0].tensors[2].quantization.zeroPoint = None
    refused(pack(model), "as many zero points")


def test_the_larger_operator_code_counts() -> None:
    """TFLite takes the larger of the old and the new field; the reader's own accessor prefers the old one."""
    b = ModelBuilder()
    x, y = b.tensor((4,)), b.tensor((4,))
    b.op("HARD_SWISH", [x], [y])
    model = parsed(b.finish([x], [y]))
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.ROUND
    assert compile_model(pack(model), flash_bytes=1 << 20, ram_bytes=1 << 18).ops[0].op == "HARD_SWISH"


def test_verify_takes_good_files_and_what_it_lets_pass_can_be_read() -> None:
    data = finish_net(conv_net())
    verify(data)
    for at in range(0, len(data) - 4, 4):
        spoilt = data[:at] + (0x7FFFFFF1).to_bytes(4, "little") + data[at + 4 :]
        try:
            verify(spoilt)
        except ValueError:
            continue
        with contextlib.suppress(ModelError):  # no pointer: what passes can be read, or is refused for another reason
            graph.read_model(spoilt)


@pytest.mark.parametrize("cut", [0.1, 0.3, 0.5, 0.9])
def test_truncated_files_are_called_corrupt(cut: float) -> None:
    data = finish_net(conv_net())
    refused(data[: int(len(data) * cut)], "truncated or corrupt")


def shared_ops(count: int) -> bytes:
    """`count` ops that share one list of inputs."""
    model = parsed(finish_net(conv_net()))
    model.subgraphs[0].operators = model.subgraphs[0].operators[:1] * count
    return pack(model)


def many_operands() -> bytes:
    model = parsed(finish_net(conv_net()))
    model.subgraphs[0].operators[0].inputs = [0] * (graph.MAX_OPERANDS + 1)
    return pack(model)


def huge_fill() -> bytes:
    b = ModelBuilder()
    y = b.tensor((1 << 12, 1 << 12))
    b.op("FILL", [b.tensor((2,), "int32", data=[1 << 12, 1 << 12]), b.tensor((), data=1.0)], [y])
    z, x = b.tensor((4,)), b.tensor((4,))
    b.op("RELU", [x], [z])
    return b.finish([x], [z, y])


def huge_tile() -> bytes:
    b = ModelBuilder()
    y, x, z = b.tensor((1 << 23,)), b.tensor((4,)), b.tensor((4,))
    b.op("TILE", [b.tensor((1,), data=[1.0]), b.tensor((1,), "int32", data=[1 << 23])], [y])
    b.op("RELU", [x], [z])
    return b.finish([x], [z, y])


def huge_shape(*dims: int) -> bytes:
    b = ModelBuilder()
    x, y = b.tensor(dims), b.tensor(dims)
    b.op("RELU", [x], [y])
    return b.finish([x], [y])


def many_gathers() -> bytes:
    """Each picks 1000 elements one by one: more copies than fit into any flash."""
    b = ModelBuilder()
    x, at = b.tensor((1000,)), b.tensor((1000,), "int32", data=np.arange(1000)[::-1])
    outputs = [b.tensor((1000,)) for _ in range(60)]
    for y in outputs:
        b.op("GATHER", [x, at], [y], axis=0)
    return b.finish([x], outputs)


def wide_space_to_batch() -> bytes:
    b = ModelBuilder()
    n = 1 << 20
    x, y = b.tensor((1, n, 1, 1), *Q), b.tensor((1024, n // 1024, 1, 1), *Q)
    b.op("SPACE_TO_BATCH_ND", [x, b.tensor((2,), "int32", data=[1024, 1]), b.tensor((2, 2), "int32", data=[[0, 0], [0, 0]])], [y])
    return b.finish([x], [y])


COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "10,000 ops": (lambda: shared_ops(10_000), "too many ops"),
    "an op with 65,537 inputs": (many_operands, "too many inputs"),
    "a filled constant of 64 MB": (huge_fill, "too large for any board"),
    "a tiled constant of 32 MB": (huge_tile, "too large for any board"),
    "2^31 elements": (lambda: huge_shape(1 << 16, 1 << 15), "unusable shape"),
    "a dimension of 2^31 - 1 beside one of 0": (lambda: huge_shape(0, 2**31 - 1), "unusable shape"),
    "an arena of 128 MB": (lambda: huge_shape(1 << 24), "arena needs"),
    "60,000 single copies": (many_gathers, "copies of blocks"),
    "1024 blocks of a long row": (wide_space_to_batch, "need|RAM"),
    "70 MB of nothing": (lambda: finish_net(conv_net()) + bytes(70 << 20), "too large for any board"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_models_are_refused_at_little_cost(name: str) -> None:
    """5 s of processor time is the promise; what it takes is under a tenth of it, so this does not time the machine."""
    make, told = COSTLY[name]
    data, began = make(), time.process_time()
    refused(data, told)
    assert time.process_time() - began < 5.0


def test_folded_constants_have_a_limit_of_their_own() -> None:
    assert program.MAX_FOLDED_BYTES <= 1 << 22 < extent.MAX_ELEMENTS
