"""What a user allows a model to cost, with units."""
