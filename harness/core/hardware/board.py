"""The record of a board."""

from __future__ import annotations

from dataclasses import dataclass

from tinyrig.core.hardware.cores import Core, core_of

UNKNOWN_ROOM = 1 << 28
"""Bytes that stand for a memory of unknown size where room is compared: no microcontroller has more."""
UNKNOWN_ID = "0" * 16
"""What a board says whose firmware knows no number of its chip."""

_ZEPHYRS = (("CONFIG_FLASH_SIZE", "zephyr,flash"), ("CONFIG_SRAM_SIZE", "zephyr,sram"))
_NO_RAM = "arduino-cli states no upload.maximum_data_size of this board"
MAILBOX_FLAG = "-DPORT_MAILBOX"
"""Of an image whose bytes pass through RAM that a debug probe reads and writes (firmware/port/cortexm/mailbox.c)."""


@dataclass(frozen=True)
class Board:
    """Memory in bytes, clock in Hz. `flash_base`/`flash_bytes` are what the bootloader leaves to an image.

    starter: which emulator board/attachment.py starts for this board; "": a physical one, which is looked up.
    flash_command: of a board of the user's own, with flasher "command".
    timer_hz: steps of the timer behind the cycles; 0: it counts every cycle of the clock.
    seen: on which silicon and when this board's whole path was seen to work; "": not yet, or an emulator.
    flash_s, hello_s, window_s: time limits in seconds where rig.toml's [limits] say nothing.
    swd_target: pyOCD's name of the chip; "": not to be flashed through a debug probe. sector_bytes: the first flash sector's.
    machine: QEMU's name of the machine that starter "qemu" starts.
    fqbn: arduino-cli's name of the board, with builder "sketch". zephyr: west's, with builder "zephyr", and the snippets that it
    is built with. Then clock_hz, flash_bytes and ram_bytes may be 0: not known.
    pins: where a serial adapter is wired to; "": the data come through the board's own USB port.
    """

    name: str
    title: str
    port: str
    flasher: str
    timing: str
    clock_hz: int
    flash_base: int
    flash_bytes: int
    ram_base: int
    ram_bytes: int
    cpu_flags: tuple[str, ...]
    baud: int
    usb_ids: tuple[str, ...] = ()
    starter: str = ""
    flash_s: float = 180.0  # erasing takes at most 22 s; 960 KiB at 115200 baud about 90 s, and are read back
    hello_s: float = 10.0
    window_s: float = 30.0
    flash_command: tuple[str, ...] = ()
    builder: str = "gcc"
    """How its image is made: "gcc" links a bare-metal one; arduino-cli compiles a sketch, "arduino" the Nano 33 BLE's, "sketch"
    one for any board that it knows; "zephyr": west builds a Zephyr application."""
    swd_target: str = ""
    sector_bytes: int = 4096
    pins: str = ""
    timer_hz: int = 0
    seen: str = ""
    machine: str = ""
    fqbn: str = ""
    zephyr: str = ""
    zephyr_snippets: tuple[str, ...] = ()

    @property
    def flash_room(self) -> int:
        return self.flash_bytes or UNKNOWN_ROOM

    @property
    def ram_room(self) -> int:
        return self.ram_bytes or UNKNOWN_ROOM

    @property
    def unknown(self) -> dict[str, str]:
        """Fact -> why it is not known. Only a board of the Arduino route or of Zephyr's has any."""
        if not (self.fqbn or self.zephyr):
            return {}
        found = {"stack": "the Arduino API tells no bounds of the stack"} if self.fqbn else {}
        found |= {} if self.clock_hz else {"clock": "the running firmware finds it, and says it in its hello"}
        flash, ram = (
            tuple(f"neither {kconfig} nor the devicetree's {chosen} says it" for kconfig, chosen in _ZEPHYRS)
            if self.zephyr
            else ("arduino-cli states no upload.maximum_size of this board", _NO_RAM)
        )
        return found | ({} if self.flash_bytes else {"flash": flash}) | ({} if self.ram_bytes else {"RAM": ram})

    @property
    def core(self) -> Core:
        return core_of(self.cpu_flags)
