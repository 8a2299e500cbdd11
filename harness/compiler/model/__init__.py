"""A .tflite file -> a checked graph with known shapes."""
