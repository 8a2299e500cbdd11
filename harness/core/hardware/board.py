"""The record of a board."""

from __future__ import annotations

from dataclasses import dataclass

from tinyrig.core.hardware.cores import Core, core_of

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
    """How its image is made: "gcc" links a bare-metal one, "arduino" has arduino-cli compile a sketch."""
    swd_target: str = ""
    sector_bytes: int = 4096
    pins: str = ""
    timer_hz: int = 0
    seen: str = ""
    machine: str = ""

    @property
    def core(self) -> Core:
        return core_of(self.cpu_flags)
