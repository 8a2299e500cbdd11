"""Estimates of the virtual board beside what a physical one measured."""
