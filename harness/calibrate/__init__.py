"""A board's memory system, found by loops whose cycles tell its parameters."""
