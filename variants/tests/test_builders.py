"""What builders do to weights; the trainings themselves are in test_build.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfraError, UserError
from variants import builders


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
    start = builders.literal_start(layers)
    assert start["conv"][0].shape == (3, channels, 8) and start["dense"][0].shape == (8, classes)
    for name in ("conv", "dense"):
        kernel = layers[name][0]
        assert start[name][0].reshape(-1).tolist() == kernel[kernel != 0].tolist()
    np.testing.assert_array_equal(start["conv"][1], layers["conv"][1][:8])
    np.testing.assert_array_equal(start["dense"][1], layers["dense"][1])


def test_literal_start_refuses_weights_that_do_not_fill_the_network():
    layers = pruned_layers()
    layers["conv"][0].reshape(-1)[np.flatnonzero(layers["conv"][0])[0]] = 0
    with pytest.raises(InfraError, match="don't fill"):
        builders.literal_start(layers)


def test_l1_start_keeps_the_strongest_filters_and_their_dense_rows():
    layers = pruned_layers()
    layers["conv"][0] = np.ones((3, 5, 16), np.float32) * np.array([9, 1] * 8, np.float32)
    start = builders.l1_start(layers)
    assert (start["conv"][0] == 9).all() and start["conv"][0].shape == (3, 5, 8)
    np.testing.assert_array_equal(start["dense"][0], layers["dense"][0][::2])
    np.testing.assert_array_equal(start["conv"][1], layers["conv"][1][::2])


def test_check_sparsity_takes_exactly_half():
    builders.check_sparsity(pruned_layers())


@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_check_sparsity_finds_the_pruning_that_never_happened(layer):
    layers = pruned_layers()
    layers[layer][0] = np.ones_like(layers[layer][0])
    with pytest.raises(InfraError, match=f"layer {layer}"):
        builders.check_sparsity(layers)


def test_chain_adds_parents_first():
    assert builders.chain(["pqt"]) == ["simple", "pruned", "reshaped", "pqt"]
    assert builders.chain(["reshaped-random"]) == ["reshaped-random"]
    assert builders.chain(["reshaped-l1", "simple"]) == ["simple", "reshaped-l1"]


def test_chain_refuses_unknown_names_with_the_known_ones():
    with pytest.raises(UserError, match=r"'tiny'[\s\S]*simple, pruned"):
        builders.chain(["simple", "tiny"])


def test_table_is_ordered_and_closed():
    names = list(builders.BUILDERS)
    for name, builder in builders.BUILDERS.items():
        assert builder.parent is None or names.index(builder.parent) < names.index(name)
    assert set(builders.DEFAULT) <= set(names)


def test_epochs_replace_only_where_there_is_training():
    assert builders.settings_of("simple", 3)["epochs"] == 3
    assert "epochs" not in builders.settings_of("pqt", 3)
    assert builders.settings_of("pruned")["epochs"] == 20 and builders.settings_of("reshaped")["epochs"] == 50
