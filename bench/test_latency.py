"""Claim: the latency of every variant is recorded, for every window and the repeats, from verified outputs."""

import pytest

from tinyrig.analysis.metrics import timed_cycles
from tinyrig.analysis.verification import withheld


def test_latency_is_recorded(measurement, config):
    if measurement.parity is None:
        pytest.skip("not measured: no oracle was requested, and unverified outputs yield no timing")
    assert withheld(measurement) is None
    cycles = timed_cycles(measurement)
    windows = sum(sample.kind == "window" for sample in measurement.samples)
    assert len(cycles) == windows + config.repeats
    assert (cycles > 0).all()


def test_profile_covers_every_op(measurement):
    profile = next(sample for sample in measurement.samples if sample.kind == "profile")
    assert len(profile.op_cycles) == len(measurement.image.ops) > 0
    assert all(cycles > 0 for cycles in profile.op_cycles)
