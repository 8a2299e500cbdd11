"""Claim: on the board every variant computes what the oracle computes."""


def test_outputs_agree_with_the_oracle(measurement, claim):
    claim("parity")
    assert measurement.parity.compared > 0
