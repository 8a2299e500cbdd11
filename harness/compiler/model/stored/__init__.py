"""How a file stores constants."""
