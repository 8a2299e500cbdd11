"""The training process of a search."""
