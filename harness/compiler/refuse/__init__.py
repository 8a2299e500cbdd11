"""Refusals that help: the layer as its author knows it, and a remedy that was tried."""
