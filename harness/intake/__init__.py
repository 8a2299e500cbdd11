"""What a file really is, told by its content: a model, a C array that holds one, or something else."""
