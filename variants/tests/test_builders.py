"""What the paper's builders do to weights; the trainings themselves are in test_build.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import InfraError, UserError
from tinyrig.variants.steps import paper


def pruned_layers(channels=5, classes=3, seed=0):
    """Layers shaped like the network's, half of each kernel zero."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name, shape in (("conv", (3, channels, 16)), ("dense", (16, classes))):
        kernel = rng.uniform(1, 2, shape).astype(np.float32)
        kernel.reshape(-1)[rng.permutation(kernel.size)[: kernel.size // 2]] = 0
        layers[name] = [kernel, rng.normal(size=shape[-1]).astype(np.float32)]
    return layers


@given(channels=st.integers(1, 8), classes=st.integers(2, 9), seed=st.integers(0, 99))
def test_literal_start_keeps_every_nonzero_weight_in_order(channels, classes, seed):
    layers = pruned_layers(channels, classes, seed)
    start = paper.literal_start(layers)
    assert start["conv"][0].shape == (3, channels, 8) and start["dense"][0].shape == (8, classes)
    for name in ("conv", "dense"):
        kernel = layers[name][0]
        assert start[name][0].reshape(-1).tolist() == kernel[kernel != 0].tolist()
    np.testing.assert_array_equal(start["conv"][1], layers["conv"][1][:8])
    np.testing.assert_array_equal(start["dense"][1], layers["dense"][1])


def test_literal_start_refuses_weights_that_do_not_fill_the_network():
    layers = pruned_layers()
    layers["conv"][0].reshape(-1)[np.flatnonzero(layers["conv"][0])[0]] = 0
    with pytest.raises(UserError, match="don't fill"):
        paper.literal_start(layers)


def test_literal_start_refuses_other_networks():
    with pytest.raises(UserError, match=r"paper's network only[\s\S]*conv, dense, more"):
        paper.literal_start({**pruned_layers(), "more": []})


def test_check_sparsity_takes_exactly_half():
    paper.check_sparsity(pruned_layers(), 0.5, ["conv", "dense"])


@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_check_sparsity_finds_the_pruning_that_never_happened(layer):
    layers = pruned_layers()
    layers[layer][0] = np.ones_like(layers[layer][0])
    with pytest.raises(InfraError, match=f"layer {layer}"):
        paper.check_sparsity(layers, 0.5, ["conv", "dense"])
    with pytest.raises(InfraError, match=r"expected: \d+ of 240|expected: \d+ of 48"):
        paper.check_sparsity(pruned_layers(), 0.75, ["conv", "dense"])
