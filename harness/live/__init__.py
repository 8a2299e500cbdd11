"""The live phase: samples from a board's sensor to a dataset, and decisions as they fall."""
