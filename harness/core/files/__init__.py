"""What the user's files hold: read once, with a hash of what was read."""
