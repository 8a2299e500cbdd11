"""The virtual nRF52840: its own process, the real firmware image, a real tty."""
