"""Flashing and resetting through a debug probe: pyOCD or st-flash, each run as a process of its own."""
