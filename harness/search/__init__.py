"""Architecture and compression search with the board in the loop (`tinyrig search`)."""
