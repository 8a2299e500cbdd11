"""The user's arduino-cli: whether it and the core of a board are there, and what it says of the board."""
