"""Flasher `arduino-cli`: the user's arduino-cli puts the image on the board with the uploader of the core.

Every owner of such a board has used that; our own flasher has not met silicon yet. arduino-cli touches the port, waits for the
bootloader's and calls the core's uploader (the Nano 33 BLE's bossac writes but reads nothing back): that the right image runs is
proved by the hello that follows.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.arduino.cli import CLI, FQBN, NAME, missing
from tinyrig.core.errors import LinkError, RigError
from tinyrig.core.hardware.arduino import platform_of
from tinyrig.host.run_tool import run_tool
from tinyrig.workload.arduino_sketch import UPLOAD

if TYPE_CHECKING:
    from tinyrig.flash.job import FlashJob


def flash_arduino(job: FlashJob, before: RigError | None) -> RigError | None:
    """One try; returns what went wrong. Raises HostError where arduino-cli is missing or takes longer than flash_s allows."""
    path = shutil.which(CLI)
    if not path:
        raise missing(platform_of(job.board.fqbn or FQBN))
    job.deadline.check("while flashing", LinkError)
    # bossac gets the last part of the name only, so a link such as /dev/serial/by-id/... would mean nothing to it
    port = os.path.realpath(job.port) if os.path.exists(job.port) else job.port
    with tempfile.TemporaryDirectory(prefix="tinyrig-upload-") as folder:
        files = _files(job) or _alone(job, Path(folder))
        command = [path, "upload", "--fqbn", job.board.fqbn or FQBN, "--port", port, "--input-dir", str(files)]
        done = run_tool(command, job.deadline.left(), limit="flash_s")
    if not done.returncode:
        job.progress(len(job.image), len(job.image))
        return None
    said = (done.stdout + done.stderr).strip()
    return LinkError(
        f"{CLI} could not upload to {port}",
        expected="exit status 0",
        received=f"exit status {done.returncode}: {said[-1000:]}",
        remedy=_remedy(job.board.fqbn, port),
    )


def _files(job: FlashJob) -> Path | None:
    """What the core's uploader may want beside the image, as an ESP32 its partitions: the build kept it."""
    kept = Path(job.files.get("elf", "")).parent / UPLOAD
    return kept if job.board.fqbn and kept.is_dir() else None


def _alone(job: FlashJob, folder: Path) -> Path:
    (folder / f"{NAME}.ino.bin").write_bytes(job.image)
    return folder


BOOTLOADER = {
    # core: how its boards are brought into their bootloader by hand, as the core's makers describe it
    "rp2040": "hold the board's BOOTSEL button while you plug it in, and name the port UF2_Board once: "
    'flash = "UF2_Board" beside link in rig.toml (docs/your_board.md)',
    "esp32": "hold the board's BOOT button while the upload connects",
    "stm32": "connect the ST-LINK's USB port; its uploader needs STM32CubeProgrammer (docs/your_board.md)",
}
TWICE = "press the board's reset button twice quickly (its LED pulses), find its port with `tinyrig boards`, try again"


def _remedy(fqbn: str, port: str) -> str:
    by_hand = BOOTLOADER.get(fqbn.split(":")[1], TWICE) if fqbn else TWICE
    return by_hand if not fqbn else f"check that `{CLI} board list` shows this board at {port}; {by_hand}"
