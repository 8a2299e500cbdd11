"""Claim: on the board every variant is as accurate as on the host, window for window."""

import numpy as np
import pytest

from tinyrig.analysis.outputs import top1_hits
from tinyrig.workload.oracle import ORACLES
from tinyrig.workload.windows import load_windows


def test_accuracy_reaches_the_hosts(claim):
    claim("accuracy")


def test_the_board_is_right_where_the_oracle_is(measurement, variant):
    """The oracle is asked again, and its hits are counted without what the rig keeps of the board's run."""
    hits = top1_hits(measurement)
    if hits is None or measurement.parity is None or variant.test_set is None:
        pytest.skip("not measured: no labels, or no oracle to compare with")
    windows = load_windows(variant.test_set, measurement.image.inputs, len(hits))
    oracle = ORACLES[measurement.parity.oracle](variant.model)
    predicted = [int(np.argmax(oracle.run(list(inputs))[0])) for inputs in windows.inputs]
    assert hits.tolist() == [top1 == label for top1, label in zip(predicted, windows.labels, strict=True)]
