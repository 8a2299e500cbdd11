"""Structured pruning as mathematics: on a network that is calculated here, without TensorFlow."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.variants.networks.task import Net
from tinyrig.variants.steps import filters

STEPS, CHANNELS, CLASSES = 9, 3, 4


def layer(kind, name, **settings):
    return {"class_name": kind, "config": {"name": name, **settings}}


def network(rng, tail="pool"):
    """conv 6 - batch norm - max pool 2 - conv 4 - pool or flatten - dense 5 - dense."""
    configs = [
        layer("InputLayer", "window", batch_input_shape=[None, STEPS, CHANNELS]),
        layer("Conv1D", "a", filters=6),
        layer("BatchNormalization", "norm"),
        layer("MaxPooling1D", "max"),
        layer("Conv1D", "b", filters=4),
        layer({"pool": "GlobalAveragePooling1D", "flat": "Flatten"}[tail], "tail"),
        layer("Dense", "hidden", units=5),
        layer("Dense", "out", units=CLASSES),
    ]
    rows = 4 if tail == "pool" else 4 * 2
    shapes = {"a": (2, CHANNELS, 6), "b": (3, 6, 4), "hidden": (rows, 5), "out": (5, CLASSES)}
    layers = {n: [rng.normal(size=s), rng.normal(size=s[-1])] for n, s in shapes.items()}
    layers["norm"] = [rng.normal(size=6) for _ in range(3)] + [rng.uniform(1, 2, 6)]
    return Net(json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": configs}}), layers)


def run(net, x):
    """The network's outputs for one window [T,C]."""
    for config in json.loads(net.architecture)["config"]["layers"]:
        kind, weights = config["class_name"], net.layers.get(config["config"]["name"])
        if kind == "Conv1D":
            kernel, bias = weights
            taps = np.stack([x[i : len(x) - len(kernel) + 1 + i] for i in range(len(kernel))])
            x = np.maximum(np.einsum("ktc,kcf->tf", taps, kernel) + bias, 0)
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = weights
            x = gamma * (x - mean) / np.sqrt(variance) + beta
        elif kind == "MaxPooling1D":
            x = x[: len(x) // 2 * 2].reshape(-1, 2, x.shape[1]).max(1)
        elif kind == "GlobalAveragePooling1D":
            x = x.mean(0)
        elif kind == "Flatten":
            x = x.ravel()
        elif kind == "Dense":
            x = x @ weights[0] + weights[1]
    return x


@pytest.mark.parametrize("tail", ["pool", "flat"])
@pytest.mark.parametrize("order", [1, 2])
@given(seed=st.integers(0, 50))
def test_filters_that_do_nothing_go_first_and_nothing_changes(tail, order, seed):
    """Half of each hidden layer's outputs is made zero; exactly those must go, so the outputs stay."""
    rng = np.random.default_rng(seed)
    net = network(rng, tail)
    for name, gone in (("a", 3), ("b", 2), ("hidden", 2)):
        dead = rng.permutation(net.layers[name][1].size)[:gone]
        net.layers[name][0][..., dead] = net.layers[name][1][dead] = 0
        if name == "a":
            net.layers["norm"][1][dead] = net.layers["norm"][2][dead] = 0
    small = filters.prune(net, 0.5, order)
    assert filters.counts(small.architecture) == [3, 2, 3]  # Python rounds 2.5 of 5 to the even 2
    assert [small.layers[n][0].shape[-1] for n in ("a", "b", "hidden", "out")] == [3, 2, 3, CLASSES]
    assert all(w.size == 3 for w in small.layers["norm"])
    x = rng.normal(size=(STEPS, CHANNELS))
    np.testing.assert_allclose(run(small, x), run(net, x), atol=1e-9)


def test_l1_and_l2_choose_differently():
    """One filter is large in one place, the other middling everywhere."""
    kernel = np.zeros((4, 1, 2))
    kernel[0, 0, 0], kernel[:, 0, 1] = 3, 1
    assert filters.strongest(kernel, 0.5, 1).tolist() == [1] and filters.strongest(kernel, 0.5, 2).tolist() == [0]


@given(count=st.integers(1, 64), ratio=st.floats(0.01, 0.99))
def test_a_ratio_removes_what_it_says_or_is_refused(count, ratio):
    gone = round(count * ratio)
    if 0 < gone < count:
        assert filters.kept(count, ratio) == count - gone
    else:
        with pytest.raises(UserError, match="the ratio removes"):
            filters.kept(count, ratio)


def test_layers_that_mix_channels_are_refused():
    net = network(np.random.default_rng(0))
    whole = json.loads(net.architecture)
    whole["config"]["layers"][3]["class_name"] = "LSTM"
    with pytest.raises(UserError, match=r"'max' \(LSTM\)"):
        filters.prune(Net(json.dumps(whole), net.layers), 0.5, 1)
    with pytest.raises(UserError, match="no filters to prune"):
        filters.prune(Net(json.dumps({"class_name": "Functional", "config": {}}), {}), 0.5, 1)
