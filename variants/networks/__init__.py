"""Networks that variants start from."""
