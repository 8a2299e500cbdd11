"""The compiler: .tflite -> C, with no interpreter left on the target."""
