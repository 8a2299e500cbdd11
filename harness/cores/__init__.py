"""One network on every core that QEMU has: outputs compared, instructions and memory in a table."""
