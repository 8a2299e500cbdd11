"""A board in hand: found, locked, flashed, asked who it is."""
