"""Bytes on a line: ports, frames, and the session with a board."""
