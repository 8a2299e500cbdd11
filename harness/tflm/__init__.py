"""tflite-micro as an engine of the comparison: built from a tree of the user's own."""
