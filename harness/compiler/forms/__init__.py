"""Copies of a model in the forms that oracles take as they are meant: parts of oracle_form.py."""
