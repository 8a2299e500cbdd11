"""Chains of steps, what was built already, and repetitions of it."""
