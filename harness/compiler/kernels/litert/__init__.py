"""Kernels of what LiteRT runs and tflite-micro does not: weights stored as integers under floats, operators of its own."""
