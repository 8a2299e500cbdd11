"""Sparse constants: written here in every form, read back, and in a model beside LiteRT and tflite-micro."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.oracle_form import oracle_form
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle

VECTORS = {"Int32Vector": np.int32, "Uint16Vector": np.uint16, "Uint8Vector": np.uint8}


def vector(kind: str, values: list[int]) -> tuple[int, Any]:
    made = getattr(schema, f"{kind}T")()
    made.values = np.array(values, VECTORS[kind])
    return getattr(schema.SparseIndexVector, kind), made


def level(size: int, rows: list[list[int]] | None = None, kind: str = "Int32Vector") -> Any:
    """Dense, or the indices with values for each place before."""
    d = schema.DimensionMetadataT()
    d.format, d.denseSize = int(rows is not None), size
    if rows is not None:
        d.arraySegmentsType, d.arraySegments = vector(kind, [0, *np.cumsum([len(r) for r in rows]).tolist()])
        d.arrayIndicesType, d.arrayIndices = vector(kind, [i for r in rows for i in r])
    return d


def sparsity(order: list[int], blocks: list[int], levels: list[Any]) -> Any:
    s = schema.SparsityParametersT()
    s.traversalOrder, s.blockMap, s.dimMetadata = order, blocks, levels
    return s


def weights(rng: np.random.Generator) -> np.ndarray:
    w = rng.standard_normal((6, 8)).astype(np.float32)
    w[rng.random((6, 8)) < 0.6] = 0
    w[2] = 0
    return w


def by_rows(w: np.ndarray, kind: str) -> tuple[Any, np.ndarray]:
    rows = [np.flatnonzero(r).tolist() for r in w]
    return sparsity([0, 1], [], [level(6), level(8, rows, kind)]), w[w != 0]


def by_columns(w: np.ndarray, kind: str) -> tuple[Any, np.ndarray]:
    rows = [np.flatnonzero(c).tolist() for c in w.T]
    return sparsity([1, 0], [], [level(8), level(6, rows, kind)]), w.T[w.T != 0]


def by_blocks(w: np.ndarray, kind: str) -> tuple[Any, np.ndarray]:
    """1 x 4 blocks."""
    parts = w.reshape(6, 2, 4)
    rows = [[i for i in range(2) if r[i].any()] for r in parts]
    values = np.concatenate([parts[i, j] for i, row in enumerate(rows) for j in row])
    return sparsity([0, 1, 2], [1], [level(6), level(2, rows, kind), level(4)]), values


FORMS = {"rows": by_rows, "columns": by_columns, "blocks": by_blocks}


def model(form: str, kind: str) -> tuple[bytes, np.ndarray]:
    rng, b = np.random.default_rng(4), ModelBuilder()
    w = weights(rng)
    told, values = FORMS[form](w, kind)
    x, stored, full, y = b.tensor((1, 8)), b.tensor((6, 8), name="stored"), b.tensor((6, 8)), b.tensor((1, 6))
    b.make_constant(stored, values)
    b.patch("stored", sparsity=told)
    b.op("DENSIFY", [stored], [full])
    b.op("FULLY_CONNECTED", [x, full, -1], [y])
    return b.finish([x], [y]), w


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("form", FORMS)
def test_sparse_weights_are_read_as_dense_ones(form: str, kind: str) -> None:
    data, w = model(form, kind)
    np.testing.assert_array_equal(next(t for t in read_model(data).tensors if t.name == "stored").data, w)


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_with_sparse_weights_runs_as_both_oracles_say(form: str) -> None:
    data, _ = model(form, "Uint8Vector")
    given = [np.random.default_rng(0).standard_normal((1, 8)).astype(np.float32)]
    got = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)).invoke(given)
    compare(got, TflmOracle(data).run(given))
    with LitertRefOracle(data) as litert:
        compare(got, litert.run(given))


@pytest.mark.parametrize("spoil", ["order", "indices", "values", "segments", "size"])
def test_parts_that_do_not_fit_together_are_refused(spoil: str) -> None:
    w, b = weights(np.random.default_rng(4)), ModelBuilder()
    told, values = by_rows(w, "Int32Vector")
    if spoil == "order":
        told.traversalOrder = [0, 0]
    elif spoil == "indices":
        told.dimMetadata[1].arrayIndices.values[0] = 8
    elif spoil == "segments":
        told.dimMetadata[1].arraySegments.values[1] = 1 << 30
    elif spoil == "size":
        told.dimMetadata[0].denseSize = 1 << 30
    x, stored, y = b.tensor((1, 8)), b.tensor((6, 8), name="stored"), b.tensor((1, 6))
    b.make_constant(stored, values[1:] if spoil == "values" else values)
    b.patch("stored", sparsity=told)
    b.op("FULLY_CONNECTED", [x, stored, -1], [y])
    with pytest.raises(ModelError, match="stored sparsely, and its parts don't fit together"):
        read_model(b.finish([x], [y]))


def test_a_part_that_nothing_needs_does_not_stop_the_copy_for_the_oracle() -> None:
    """The compiler never reads the size of a compressed dimension, the copy reads all."""
    data, _ = model("rows", "Uint8Vector")
    root = schema.Model.GetRootAs(data)
    table = root.Subgraphs(0).Tensors(1).Sparsity().DimMetadata(1)._tab
    spoilt = bytearray(data)
    entry = table.Pos - int.from_bytes(spoilt[table.Pos : table.Pos + 4], "little", signed=True) + 6
    spoilt[entry : entry + 2] = (60000).to_bytes(2, "little")
    with pytest.raises(ModelError, match="can't be copied"):
        oracle_form(bytes(spoilt))
