"""Foreign networks to .tflite: `tinyrig convert`."""
