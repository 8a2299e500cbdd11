"""More fast kernels for Cortex-M4: 16x8 layers, transposed convolutions, what keeps state, products of two activations."""
