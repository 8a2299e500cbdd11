"""Image -> board: one module for each way to flash."""
