"""Claim: on the board every variant computes what the oracle computes."""

from harness.claims import parity_claim


def test_outputs_agree_with_the_oracle(outcome, config):
    assert outcome.parity is not None and outcome.parity.compared > 0
    assert parity_claim(outcome, config) is None
