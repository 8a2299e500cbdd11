"""What the virtual board's cycle counter counts."""
