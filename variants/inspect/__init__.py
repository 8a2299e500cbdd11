"""`tinyrig dataset`: what a dataset holds."""
