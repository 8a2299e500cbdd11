"""A model computed from its operators' definitions, in numpy, in float64: the third oracle's arithmetic. It shares the reader
of files and the shapes with the compiler, and nothing with its kernels."""
