"""The firmware's sources, in C, as package data."""
