"""Operators of a model -> steps of a program."""
