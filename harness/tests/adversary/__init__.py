"""The standing adversary: everything that comes from outside, made hostile; `python -m tinyrig.tests.adversary`."""
