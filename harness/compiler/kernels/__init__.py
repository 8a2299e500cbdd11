"""Which kernel runs a step, and the C text that calls it."""
