"""Which output of a model is scored, how, and what that comes to."""
