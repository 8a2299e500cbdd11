"""Claim: on the board every variant computes what the oracle computes."""


def test_outputs_agree_with_the_oracle(outcome, claim):
    claim("parity")
    assert outcome.parity.compared > 0
