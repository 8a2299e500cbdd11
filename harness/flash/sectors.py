"""What is written when, and whether it stands there: the same for every probe.

What starts the image, its first sector, is erased before anything is written and written last, after the rest was read back:
a job that is cut off leaves flash that does not start, and so never answers with the new build id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinyrig.core.errors import DeviceError, LinkError

if TYPE_CHECKING:
    from tinyrig.flash.job import FlashJob


@dataclass(frozen=True)
class Piece:
    """Bytes for one address."""

    address: int
    data: bytes


def pieces(job: FlashJob) -> list[Piece]:
    """The image in the order it is written: all behind the first sector, if anything is, then the first sector."""
    data = job.image + b"\xff" * (-len(job.image) % 4)  # flash is written in words
    base, size = job.board.flash_base, job.board.sector_bytes
    rest = [Piece(base + size, data[size:])] if len(data) > size else []
    return [*rest, Piece(base, data[:size])]


def compare(piece: Piece, found: bytes) -> None:
    """Raises DeviceError with the first address at which `found` is not what was written."""
    if found == piece.data:
        return
    at = next((i for i, (a, b) in enumerate(zip(piece.data, found, strict=False)) if a != b), len(found))
    raise DeviceError(
        f"flash verification failed at 0x{piece.address + at:08X}",
        expected=f"0x{piece.data[at]:02X}" if at < len(piece.data) else "nothing more",
        received=f"0x{found[at]:02X}" if at < len(found) else "no data",
        remedy="flash again; if the same address fails again, the board's flash may be worn out",
    )


CHIPS = {
    # target: (address, mask, value, what it is): which chip hangs on the probe
    "nrf52840": (0x10000100, 0xFFFFFFFF, 0x52840, "FICR.INFO.PART"),  # nRF52840 Product Specification v1.7, 4.4
    "stm32f401retx": (0xE0042000, 0xFFF, 0x433, "DBGMCU_IDCODE"),  # RM0368 23.6.1: STM32F401xD/E
    "rp2040": (0x10, 0xFFFFFF, 0x01754D, "the boot ROM's mark"),  # RP2040 datasheet 2.8.3: "Mu", 1; the RP2350's has a 2
}


def check_chip(target: str, word: int) -> None:
    """Raises LinkError when the probe has another chip: a Nucleo looks like every other on the USB."""
    _, mask, value, name = CHIPS[target]
    if word & mask != value:
        raise LinkError(
            "the debug probe is connected to another chip; nothing was flashed",
            expected=f"{target}: {name} 0x{value:X}",
            received=f"0x{word & mask:X}",
            remedy='name the port of the right board, or its probe = "ID" in rig.toml',
        )


def only(ids: list[str], what: str) -> str:
    """The one probe that is attached. Raises LinkError for none and for several: the wrong board would be flashed."""
    if len(ids) == 1:
        return ids[0]
    raise LinkError(
        f"several {what}s are attached" if ids else f"no {what} is attached",
        expected=f"one {what}, or its id in rig.toml",
        received=", ".join(ids) or "none",
        remedy='name it: probe = "ID" under [boards.NAME] in rig.toml'
        if ids
        else "check its cable; `tinyrig boards` lists what is attached, docs/rig.md leads to the board's page",
    )
