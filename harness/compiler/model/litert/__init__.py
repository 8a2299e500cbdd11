"""What LiteRT runs and tflite-micro does not: records of its operators, and weights stored as integers under floats."""
