"""Claim: model, rig and measured stack fit the board."""

from harness.claims import memory_claim


def test_fits_the_board(outcome, config):
    assert any(sample.stack_bytes for sample in outcome.samples), "the stack was not measured"
    assert memory_claim(outcome, config) is None
