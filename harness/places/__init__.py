"""Where files lie: the firmware's sources, the user's project, caches."""
