"""Claim: model, rig and measured stack fit the board."""


def test_fits_the_board(claim):
    claim("memory")
