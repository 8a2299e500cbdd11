"""The measuring instrument: .tflite -> firmware image -> board -> samples -> metrics -> store."""
