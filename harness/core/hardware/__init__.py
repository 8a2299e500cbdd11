"""Facts of boards and processors: records and rows, no behaviour."""
