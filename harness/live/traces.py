"""Channels as bars of a line of text."""

from __future__ import annotations

import numpy as np

BARS = "▁▂▃▄▅▆▇█"
TRACES = 8
"""So many channels fit a line."""


def bars(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """The channels that move most, each as a bar between its ends so far; all [C]."""
    span = high - low
    chosen = np.sort(np.argsort(-span, kind="stable")[:TRACES])
    share = (values - low) / np.where(span > 0, span, 1)
    return "".join(BARS[min(len(BARS) - 1, int(share[c] * len(BARS)))] for c in chosen)
