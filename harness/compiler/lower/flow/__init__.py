"""Operators that keep state, and control flow."""
