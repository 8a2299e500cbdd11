"""The host's own affairs: child processes, locks, signals, progress."""
