"""Programs of a sensor's maker, which are not part of tinyrig: from a file of the user's into the firmware."""
