"""Stored results -> Markdown, plots, HTML; pure functions of what the store holds."""
