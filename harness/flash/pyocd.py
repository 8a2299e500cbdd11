"""pyOCD: any CMSIS-DAP, J-Link or ST-LINK probe. A process of its own keeps its hangs and dependencies out of ours.

Two of its defaults would be fatal to a Nano 33 BLE. A chip that is locked (APPROTECT) is unlocked by erasing all of it, the
bootloader too; `auto_unlock` is off here. A pyocd.yaml in the working directory may ask for a chip erase; none is read.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError
from tinyrig.flash.sectors import CHIPS, Piece, check_chip, compare, only, pieces
from tinyrig.host.run_tool import run_tool
from tinyrig.places.remedies import extra

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.flash.job import FlashJob

START = {"nrf52840": ("write32 0x4000051C 0",)}
"""Before the reset. POWER.GPREGRET may still ask for the bootloader (chip.py); it survives the reset."""
CONNECT = {"nrf52840": "halt", "stm32f401retx": "under-reset", "rp2040": "halt"}
"""A program that hangs is stopped either way. Under reset needs the probe's reset line, which the ST-LINK of a Nucleo has."""
FAILURES: tuple[tuple[str, type[RigError], str, str], ...] = (
    # (in what it says, class, what the user reads, remedy)
    (
        r"No connected debug probe|No available debug probe",
        LinkError,
        "the debug probe is not attached",
        "check its cable; `tinyrig boards` lists what is attached",
    ),
    (
        r"not recognized",
        HostError,
        "pyOCD does not know this chip",
        "install its description: .venv/bin/python -m pyocd pack install {target}",
    ),
    (
        r"[Ii]nsufficient permissions|[Aa]ccess denied|LIBUSB_ERROR_ACCESS",
        HostError,
        "the debug probe may not be opened",
        "install the probe's udev rule (https://pyocd.io/docs/installing.html, udev rules), then plug it in again",
    ),
    (
        r"APPROTECT enabled|[Tt]arget is locked|device is locked",
        DeviceError,
        "the chip is locked against debugging",
        "flash it through its bootloader; unlocking would erase everything, the bootloader too",
    ),
    (r"[Ff]lash erase", DeviceError, "the flash could not be erased", "check the board's power; flash again"),
    (r"[Ff]lash program|[Ff]lash .*fail", DeviceError, "the flash could not be written", "check the board's power; flash again"),
    (
        r"No ACK|[Nn]o response|SWD|Transfer|transfer|[Cc]onnection refused|[Dd]isconnected|timed out",
        LinkError,
        "the debug probe does not reach the chip",
        "check SWDIO, SWCLK, ground and the board's power",
    ),
)


def find() -> list[str] | None:
    """How pyOCD is called; None where it is not installed."""
    if path := shutil.which("pyocd"):
        return [path]
    return [sys.executable, "-P", "-m", "pyocd"] if importlib.util.find_spec("pyocd") else None


def knows(target: str, deadline: Deadline) -> bool:
    """Whether pyOCD is installed and can flash this chip."""
    return find() is not None and any(t.get("name") == target for t in _json("--targets", deadline)["targets"])


class PyocdProbe:
    """One debug probe by its id ("": the only one that is attached)."""

    def __init__(self, board: Board, probe: str, deadline: Deadline, folder: Path) -> None:
        self._target, self._deadline, self._folder = board.swd_target, deadline, folder
        self._id = probe or only([b["unique_id"] for b in _json("--probes", deadline)["boards"]], "debug probe")

    def check(self) -> None:
        """Raises LinkError when it is another chip."""
        address = CHIPS[self._target][0]
        self._run(f"savemem {address:#x} 4 found.bin")
        check_chip(self._target, int.from_bytes(self._found(), "little"))

    def write(self, job: FlashJob) -> None:
        """Erases, writes, verifies and starts."""
        self._run("reset halt", f"erase {job.board.flash_base:#x} 1")
        done = 0
        for piece in pieces(job):
            self._write(piece)
            done += len(piece.data)
            job.progress(done, len(job.image))
        self.reset()

    def reset(self) -> None:
        self._run(*START.get(self._target, ()), "reset")

    def _write(self, piece: Piece) -> None:
        (self._folder / "image.bin").write_bytes(piece.data)
        (self._folder / "found.bin").unlink(missing_ok=True)
        self._run(f"load image.bin {piece.address:#x}", f"savemem {piece.address:#x} {len(piece.data)} found.bin")
        compare(piece, self._found())

    def _found(self) -> bytes:
        file = self._folder / "found.bin"
        return file.read_bytes() if file.exists() else b""

    def _run(self, *commands: str) -> None:
        options = [
            "--no-config",
            "-W",
            "-t",
            self._target,
            "-u",
            self._id,
            "-M",
            CONNECT[self._target],
            "-O",
            "auto_unlock=false",
            "-O",
            "chip_erase=sector",
        ]
        words = [word for command in commands for word in ("-c", command)]
        _call(["commander", *options, *words], self._deadline, self._target, self._folder)


def _json(what: str, deadline: Deadline) -> dict[str, Any]:
    text = _call(["json", what], deadline, "")
    try:
        found: dict[str, Any] = json.loads(text)
        return found
    except ValueError as error:
        raise HostError(
            "pyOCD's list can't be read",
            expected="JSON",
            received=text[:200],
            remedy="install pyocd again: pip install --force-reinstall pyocd",
        ) from error


def _call(words: list[str], deadline: Deadline, target: str, folder: Path | None = None) -> str:
    command = find()
    if command is None:
        raise HostError(
            "pyOCD is missing", expected="pyocd on the PATH or beside tinyrig", received="nothing", remedy=extra("swd")
        )
    limit_s = deadline.within(deadline.seconds, "while flashing", LinkError)
    done = run_tool([*command, *words], limit_s, deadline=deadline, folder=folder)
    if done.returncode:
        raise failure(done.stdout + done.stderr, target)
    return done.stdout


def failure(said: str, target: str) -> RigError:
    """What pyOCD's last words mean."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", said).strip()
    for pattern, kind, what, remedy in FAILURES:
        if re.search(pattern, said):
            return kind(what, received=said[-500:], remedy=remedy.format(target=target))
    return DeviceError(
        "pyOCD failed",
        expected="its exit status 0",
        received=said[-500:] or "no word",
        remedy="check the probe's wires and the board's power; flash again",
    )
