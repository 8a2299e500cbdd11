"""A run as one HTML page: verdicts first, then what a reader looks at, then everything else folded."""
