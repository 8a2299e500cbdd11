"""A dimension of 0 in any activation of any op: refused in words, or compiled to the same code as without it, where the file
says that the dimension is open. Never a constant of no elements that code writes to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.model.obstacle import obstacles_of
from tinyrig.compiler.tests import test_ops, test_rare_ops
from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.compiler.tests.fuzz_mutate import pack
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.test_free_batch import dilated
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle

CASES = [*test_ops.STRATEGIES, *test_rare_ops.STRATEGIES]


def code(data: bytes) -> str:
    """model.c without the file's hash."""
    text = compile_model(data, flash_bytes=983_040, ram_bytes=262_144).sources["model.c"]
    return re.sub(r"model SHA-256\n.*|\"tinyrig\", \{.*", "", text)


def zeroed(data: bytes, open_too: bool) -> Iterator[tuple[bytes, str]]:
    """Each dimension of each activation set to 0 in turn, with the empty buffer of its own that converters give a tensor:
    the mark that once made it a constant. `open_too`: the signature says that the dimension is open."""
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    model.buffers.append(schema.BufferT())
    for i, t in enumerate(model.subgraphs[0].tensors):
        old = list(t.shape), t.buffer, t.shapeSignature
        if model.buffers[t.buffer].data is None:
            for at in range(len(old[0])):
                t.shape = [0 if k == at else d for k, d in enumerate(old[0])]
                t.shapeSignature = [-1 if k == at else d for k, d in enumerate(old[0])] if open_too else None
                t.buffer = len(model.buffers) - 1
                yield pack(model), f"dimension {at} of tensor {i}"
            t.shape, t.buffer, t.shapeSignature = old


def judged(data: bytes, good: str, open_too: bool) -> tuple[int, list[str]]:
    """-> how many were refused, and those that are neither refused nor the same."""
    refused, wrong = 0, []
    for mutant, what in zeroed(data, open_too):
        try:
            if code(mutant) != good:
                wrong.append(f"{what}: other code")
        except ModelError as e:
            refused += 1
            if not all(o.expected or o.received for o in obstacles_of(e)):
                wrong.append(f"{what}: no words")
        except Exception as e:
            wrong.append(f"{what}: {e!r}")
    return refused, wrong


@pytest.mark.parametrize("name", CASES)
def test_a_zero_in_any_activation_is_refused(name: str) -> None:
    data = corpus()[f"{name}_1"]
    refused, wrong = judged(data, "", open_too=False)
    assert wrong == [] and refused > 0


@pytest.mark.parametrize("name", [*CASES, "dilated"])
def test_a_zero_in_an_open_dimension_changes_no_code(name: str) -> None:
    data = dilated() if name == "dilated" else corpus()[f"{name}_1"]
    assert judged(data, code(data), open_too=True)[1] == []


def test_zeros_in_open_dimensions_equal_the_oracle() -> None:
    data, run = dilated(), 0
    x = [np.random.default_rng(1).standard_normal((1, 8, 1, 3)).astype(np.float32)]
    for mutant, _ in zeroed(data, open_too=True):
        try:
            model = compile_model(mutant, flash_bytes=1 << 20, ram_bytes=1 << 18)
        except ModelError:
            continue
        run += 1
        np.testing.assert_allclose(HostModel(model).invoke(x)[0], LitertRefOracle(mutant).run(x)[0], rtol=0, atol=1e-5)
    assert run > 4


def with_constants(code: str, value: np.ndarray, **options: Any) -> bytes:
    """x reshaped by `code`'s result or constant."""
    b = ModelBuilder()
    x, y = b.tensor((1, 1)), b.tensor(())
    shape = b.tensor(value.shape, "int32", data=value)
    if code == "REDUCE_PROD":
        product, size = b.tensor((), "int32"), b.tensor((1,), "int32", data=[0])
        b.op("REDUCE_PROD", [shape, size], [product], keepDims=False)
        b.op("RESHAPE", [x, b.tensor((0,), "int32", data=np.zeros(0))], [y], **options)
        return b.finish([x], [y, product])
    b.op(code, [x, shape], [y], **options)
    return b.finish([x], [y])


@pytest.mark.parametrize("code", ["RESHAPE", "REDUCE_PROD"])
def test_empty_constants_are_taken_where_an_op_means_them(code: str) -> None:
    model = compile_model(with_constants(code, np.zeros(0, np.int32)), flash_bytes=1 << 20, ram_bytes=1 << 18)
    got = HostModel(model).invoke([np.full((1, 1), 3, np.float32)])
    assert [float(v) for v in got] == [3.0, 1.0][: len(got)]


def test_an_empty_constant_elsewhere_is_refused() -> None:
    with pytest.raises(ModelError, match="it is empty"):
        compile_model(with_constants("MEAN", np.zeros(0, np.int32)), flash_bytes=1 << 20, ram_bytes=1 << 18)
