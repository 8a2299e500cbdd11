"""The portable engine's kernels of custom operators."""
