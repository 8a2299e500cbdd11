"""Two stored runs as one HTML page: what changed, and in which step."""
