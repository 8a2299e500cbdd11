"""Custom operators of TensorFlow Lite Micro: the signal library and the detection head."""
