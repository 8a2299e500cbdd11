"""Datasets, models and variant builders -> .tflite (the only package that imports TensorFlow)."""
