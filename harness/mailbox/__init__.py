"""A debug probe as the line: bytes pass through RAM of the board (docs/probe_link.md)."""
