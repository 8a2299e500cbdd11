"""What is known of a model before a board is touched: obstacles, work, memory, whether it fits. No compiler, no TensorFlow."""
