"""The page of a live session, from its log."""
