"""The grid of both model families; the paper doesn't give its own."""

from __future__ import annotations

from tinyrig.variants.networks.families import CNN, MLP, Layer, Network

PAPER = Network(CNN, (Layer(16, 3),))
"""The model that the paper's grid search chose."""
_RATES = (1, 10)
GRID: tuple[Network, ...] = (
    *(Network(CNN, (Layer(f, k),), rate=rate) for f in (4, 8, 16, 32) for k in (3, 5, 7) for rate in _RATES),
    *(
        Network(MLP, tuple(map(Layer, units)), "flat", rate=rate)
        for units in ((8,), (16,), (32,), (64,), (32, 16))
        for rate in _RATES
    ),
)
"""Sizes, kernels and learning rates."""
