"""What is stored: runs, their history, what was accepted."""
