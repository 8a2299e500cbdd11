"""Starts one of QEMU's machines with an image: they share nothing with the virtual board, neither emulator nor peripherals.
firmware/port/mps2 says what their counter counts.

An image is put in place by restarting the emulator; its bytes stay behind one TCP port of this machine all the while.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tinyrig.board.emulator import Emulator
from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.errors import HostError

SHIFT = 7
"""An instruction takes 2^7 ns of the machine's time. The ports turn their timers' ticks into instructions by this figure."""
OPTIONS = (
    "-display",
    "none",
    "-monitor",
    "none",
    "-parallel",
    "none",
    "-net",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
    # With sleep=on the machine's time is the host's while the processor waits, so silence on the line is silence.
    "-icount",
    f"shift={SHIFT},sleep=on",
)
EXTRA = {
    # machine: what it takes beside OPTIONS
    "microbit": ("-global", "nrf51-soc.sram-size=262144", "-global", "nrf51-soc.flash-size=1048576"),
    "virt": ("-cpu", "rv32", "-m", "16M", "-bios", "none"),
}
ARM, RISCV = "qemu-system-arm", "qemu-system-riscv32"
PROGRAM = ARM
PACKAGES = {ARM: "qemu-system-arm", RISCV: "qemu-system-misc"}
"""Debian's."""


def program_of(board: Board) -> str:
    return ARM if board.core.arm else RISCV


def find_qemu(program: str = PROGRAM) -> str:
    """Its path. Raises HostError when it is not installed."""
    path = shutil.which(program)
    if not path:
        raise HostError(
            "QEMU is missing",
            expected=f"{program} on the PATH",
            received="nothing",
            remedy=f"apt-get install --no-install-recommends {PACKAGES[program]}, or use --board virtual",
        )
    return path


class QemuBoard(Emulator):
    """Raises HostError without QEMU."""

    title = "QEMU"

    def __init__(self, board: Board = BOARDS["qemu"]) -> None:
        self._start = (find_qemu(program_of(board)), "-M", board.machine, *OPTIONS, *EXTRA.get(board.machine, ()))
        super().__init__()

    def command(self, image: Path, base: int) -> Sequence[str]:
        # The processor takes its vectors from 0 and does nothing sensible without an image; the loader serves each reset.
        return (*self._start, "-device", f"loader,file={image},addr=0x{base:x},force-raw=on")
