"""Custom operators: what the file says of them, and what their steps must compute."""
