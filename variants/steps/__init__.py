"""Builders: one module for each kind of step, one small function for each line of the tables in variants/lab/builders.py."""
