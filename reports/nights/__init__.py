"""The page and the summary of nights."""
