"""Claim: on the board every variant is as accurate as on the host."""

from tinyrig.analysis.metrics import accuracy


def test_accuracy_reaches_the_hosts(outcome, claim):
    claim("accuracy")
    measured, interval = accuracy(outcome)
    assert measured is not None and interval[0] <= measured <= interval[1]
