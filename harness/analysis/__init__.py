"""Numbers from samples, and what may be said of them. Pure functions."""
