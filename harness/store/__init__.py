"""The results database: runs, their history, what was accepted."""
