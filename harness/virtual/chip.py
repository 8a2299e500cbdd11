"""The virtual chip's facts: memory map, identity and the constants that firmware and bootloader share.

Sources: nRF52840 Product Specification v1.7 (memory map; FICR, POWER and UARTE chapters); Arduino's Nano 33 BLE board files
for the pins, the start of an image, and the GPREGRET value that keeps its bootloader running.
"""

from __future__ import annotations

import struct

FLASH_BASE = 0x00000000
FLASH_BYTES = 1 << 20
RAM_BASE = 0x20000000
RAM_BYTES = 1 << 18
IMAGE_BASE = 0x10000
"""The Nano 33 BLE's bootloader owns the flash below."""
IMAGE_BYTES = FLASH_BYTES - IMAGE_BASE

FICR_BASE = 0x10000000
UICR_BASE = 0x10001000
PERIPHERALS_BASE = 0x40000000
PERIPHERALS_BYTES = 0x30000
GPIO_BASE = 0x50000000
PPB_BASE = 0xE0000000
PPB_BYTES = 0x100000
PAGE_BYTES = 0x1000

CLOCK_HZ = 64_000_000
CYCLES_PER_US = CLOCK_HZ // 1_000_000

GPREGRET_BOOTLOADER = 0xB0
"""POWER.GPREGRET value that keeps the Nano 33 BLE's bootloader running after a reset: Arduino's mbed core writes it
(DFU_MAGIC_SERIAL_ONLY_RESET in variants/ARDUINO_NANO33BLE/pins_arduino.h) on the 1200-baud touch. Firmware writes the same."""

PIN_TX = 32 + 3
"""P1.03, Serial1 TX of the Nano 33 BLE."""
PIN_RX = 32 + 10
"""P1.10, Serial1 RX of the Nano 33 BLE."""

ID_PREFIX = b"VIRTUAL"
"""First seven bytes of FICR.DEVICEID in memory order (lowest address first); the eighth distinguishes virtual boards.
tinyrig.core.boards.VIRTUAL_ID_PREFIX is the same text in hex."""


def ficr_page(board_number: int) -> bytes:
    """The factory information page, 4096 bytes; `board_number` 0 to 255 becomes the last byte of DEVICEID."""
    page = bytearray(b"\xff" * PAGE_BYTES)
    page[0x60:0x68] = ID_PREFIX + bytes([board_number])
    for offset, value in (
        (0x010, PAGE_BYTES),  # CODEPAGESIZE, bytes
        (0x014, FLASH_BYTES // PAGE_BYTES),  # CODESIZE, pages
        (0x100, 0x52840),  # INFO.PART
        (0x104, 0x41414430),  # INFO.VARIANT "AAD0"
        (0x108, 0x2004),  # INFO.PACKAGE: QI
        (0x10C, RAM_BYTES // 1024),  # INFO.RAM, KiB
        (0x110, FLASH_BYTES // 1024),  # INFO.FLASH, KiB
    ):
        struct.pack_into("<I", page, offset, value)
    return bytes(page)


def startable(flash: bytes | bytearray | memoryview, base: int = IMAGE_BASE) -> bool:
    """Whether the vector table at `base` could start: stack top in RAM, reset vector a Thumb address inside the image's flash."""
    stack_top, reset = struct.unpack_from("<II", flash, base)
    in_ram = RAM_BASE < stack_top <= RAM_BASE + RAM_BYTES and stack_top % 4 == 0
    return in_ram and bool(reset & 1) and base <= reset < FLASH_BYTES
