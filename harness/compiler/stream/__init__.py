"""Chains of layers that run row by row: how, when, and which."""
