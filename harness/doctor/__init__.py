"""What this machine has of what the rig's boards need. Never flashes anything, never hangs."""
