"""Claim, with --nightly: no metric got worse since the last accepted runs."""


def test_nothing_got_worse(measurement, night):
    night.check(measurement)
