"""The size that is reported is that of bytes which can be read back."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyrig.variants.lab import coding

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=12)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-4, 4, width=32).map(lambda v: v + 0.0)))
def test_floats_come_back(tensor):
    np.testing.assert_array_equal(coding.decode(coding.encode(tensor), tensor.shape, "<f4"), tensor)


@given(hnp.arrays(np.int8, SHAPES, elements=st.sampled_from([0, 0, 0, 0, 0, 1, -1, 5, -128, 127])))
def test_few_values_and_many_zeros_come_back(tensor):
    np.testing.assert_array_equal(coding.decode(coding.encode(tensor), tensor.shape, "i1"), tensor)


@given(zeros=st.integers(0, 100), seed=st.integers(0, 20))
def test_every_form_comes_back(zeros, seed):
    """Long gaps and their escapes; each form by itself, not only the shortest."""
    rng = np.random.default_rng(seed)
    flat = np.concatenate([np.zeros(zeros), rng.integers(1, 4, 3), np.zeros(zeros), [2.0]]).astype(np.float32)
    sparse = bytes([coding.SPARSE]) + coding._sparse(flat)
    values, indices = np.unique(flat, return_inverse=True)
    indexed = bytes([coding.INDEXED]) + coding._coded(values, indices.tolist())
    for data in (sparse, indexed, bytes([coding.RAW]) + flat.tobytes()):
        np.testing.assert_array_equal(coding.decode(data, flat.shape, "<f4"), flat)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_strange_floats_come_back(value):
    tensor = np.full(50, value, np.float32)
    np.testing.assert_array_equal(coding.decode(coding.encode(tensor), (50,), "<f4"), tensor)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=300).filter(lambda s: len(set(s)) > 1))
def test_code_is_a_huffman_code(symbols):
    """Within one bit a symbol of the entropy, never below it, and complete (Kraft's sum is 1)."""
    lengths = coding.code_lengths(symbols, 10)
    counts = Counter(symbols)
    entropy = -sum(n / len(symbols) * math.log2(n / len(symbols)) for n in counts.values())
    mean = sum(n * lengths[s] for s, n in counts.items()) / len(symbols)
    assert entropy - 1e-9 <= mean < entropy + 1
    assert sum(2.0**-n for n in lengths if n) == 1
    words = list(coding.canonical(lengths).values())
    assert not any(a != b and b.startswith(a) for a in words for b in words)


def test_what_shrinks_and_what_does_not():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(3, 35, 16)).astype(np.float32)
    assert len(coding.encode(dense)) == dense.nbytes + 1  # nothing is shared: stored as it is
    shared = rng.choice(rng.normal(size=16), dense.shape).astype(np.float32)
    assert dense.size / 2 < len(coding.encode(shared)) < dense.size / 2 + 120  # 4 bits a weight and a codebook of 16
    pruned = np.where(rng.random(dense.shape) < 0.9, 0, dense).astype(np.float32)
    assert len(coding.encode(pruned)) < 0.2 * dense.nbytes
    both = np.where(pruned == 0, 0, shared).astype(np.float32)
    assert len(coding.encode(both)) < 0.06 * dense.nbytes
