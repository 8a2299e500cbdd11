"""One measurement: a variant on a board, as a stored run."""
