"""Lowering of operators that LiteRT runs and tflite-micro does not."""
