"""st-flash of Debian's stlink-tools (1.7): the ST-LINK of a Nucleo board. It knows the chips itself and needs no description."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError
from tinyrig.flash.sectors import Piece, check_chip, compare, only, pieces
from tinyrig.host.run_tool import run_tool

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.flash.job import FlashJob

FAILURES: tuple[tuple[str, type[RigError], str, str], ...] = (
    # (in what it says, class, what the user reads, remedy)
    (
        r"Couldn't find any ST-Link|Unable to find|not found",
        LinkError,
        "the ST-LINK is not attached",
        "check its cable; `tinyrig boards` lists what is attached",
    ),
    (
        r"LIBUSB_ERROR_ACCESS|[Pp]ermission|Could not open USB",
        HostError,
        "the ST-LINK may not be opened",
        "the package stlink-tools installs the udev rules; plug the board in again",
    ),
    (
        r"[Pp]rotect(ed|ion)",
        DeviceError,
        "the chip is locked against debugging",
        "remove its read-out protection with ST's tools, which erases its flash",
    ),
    (
        r"[Vv]erification of flash failed",
        DeviceError,
        "flash verification failed",
        "flash again; if it happens again, the board's flash may be worn out",
    ),
    (r"[Ee]rase", DeviceError, "the flash could not be erased", "check the board's power; flash again"),
    (
        r"write.*fail|[Ff]ailed to write|Flash loader|WRPERR|PGSERR",
        DeviceError,
        "the flash could not be written",
        "check the board's power; flash again",
    ),
    (
        r"connect|[Cc]hip ?[Ii][Dd]|unknown chip|NRST|[Tt]arget",
        LinkError,
        "the ST-LINK does not reach the chip",
        "check its two CN2 jumpers (both on) and the board's power",
    ),
)


def find() -> str | None:
    """Its path; None where it is not installed."""
    return shutil.which("st-flash")


class StLink:
    """One ST-LINK by its serial number ("": the only one that is attached)."""

    def __init__(self, board: Board, serial: str, deadline: Deadline, folder: Path) -> None:
        self._deadline, self._folder, self._target = deadline, folder, board.swd_target
        attached = dict(_probes(_run(["st-info", "--probe", "--connect-under-reset"], deadline, folder)))
        self._serial = _listed(serial, list(attached)) if serial else only(list(attached), "ST-LINK")
        self._chip = attached[self._serial]

    def check(self) -> None:
        """Raises LinkError when it is another chip."""
        check_chip(self._target, self._chip)

    def write(self, job: FlashJob) -> None:
        """Erases, writes, verifies and starts."""
        self._put(Piece(job.board.flash_base, b"\xff" * 16))  # st-flash erases the sectors that it writes to, so: the first one
        done = 0
        for piece in pieces(job):
            self._put(piece)
            self._call("read", "found.bin", f"{piece.address:#x}", f"{len(piece.data):#x}")
            file = self._folder / "found.bin"
            compare(piece, file.read_bytes() if file.exists() else b"")
            done += len(piece.data)
            job.progress(done, len(job.image))
        self.reset()

    def reset(self) -> None:
        self._call("reset")

    def _put(self, piece: Piece) -> None:
        (self._folder / "image.bin").write_bytes(piece.data)
        (self._folder / "found.bin").unlink(missing_ok=True)
        self._call("write", "image.bin", f"{piece.address:#x}")

    def _call(self, *words: str) -> None:
        under_reset = [] if words[0] == "reset" else ["--connect-under-reset"]
        _run(["st-flash", *under_reset, "--serial", self._serial, *words], self._deadline, self._folder)


def _listed(serial: str, attached: list[str]) -> str:
    """The name that st-info has for the ST-LINK with this USB serial number: older ones print its letters' codes in hex. Raises
    LinkError when it is not there."""
    names = {name.lower(): name for name in attached}
    found = names.get(serial.lower()) or names.get(serial.encode().hex())
    if found is None:
        raise LinkError(
            "the ST-LINK is not attached",
            expected=serial,
            received=", ".join(attached) or "none",
            remedy='check its cable, and probe = "ID" in rig.toml; `st-info --probe` lists what is attached',
        )
    return found


def _probes(said: str) -> list[tuple[str, int]]:
    """(serial number, chip id) of what `st-info --probe` lists; 0 where it names no chip."""
    blocks = re.split(r"serial:\s*", said)[1:]
    chips = [re.search(r"chip-?id:\s*(?:0x)?([0-9a-fA-F]+)", block) for block in blocks]
    return [(block.split()[0], int(chip.group(1), 16) if chip else 0) for block, chip in zip(blocks, chips, strict=True)]


def _run(command: list[str], deadline: Deadline, folder: Path) -> str:
    if shutil.which(command[0]) is None:
        raise HostError(
            f"{command[0]} is missing",
            expected=f"{command[0]} on the PATH",
            received="nothing",
            remedy="apt-get install stlink-tools",
        )
    limit_s = deadline.within(deadline.seconds, "while flashing", LinkError)
    done = run_tool(command, limit_s, deadline=deadline, folder=folder)
    if done.returncode:
        raise failure(done.stdout + done.stderr)
    return done.stdout + done.stderr


def failure(said: str) -> RigError:
    """What st-flash's words mean."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", said).strip()
    for pattern, kind, what, remedy in FAILURES:
        if re.search(pattern, said):
            return kind(what, received=said[-500:], remedy=remedy)
    return LinkError(
        "st-flash failed",
        expected="its exit status 0",
        received=said[-500:] or "no word",
        remedy="check the board's USB cable, plug it in again",
    )
