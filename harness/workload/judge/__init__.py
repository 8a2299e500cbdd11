"""The engine's portable kernels, operator by operator, against the numpy reference."""
