"""Flasher `arduino-cli`: the user's arduino-cli puts the image on the board with the uploader of the core.

Every owner of a Nano 33 BLE has used that; our own flasher has not met silicon yet. arduino-cli touches the port, waits for the
bootloader's and calls the core's bossac, which writes but reads nothing back: that the right image runs is proved by the hello
that follows.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import LinkError, RigError
from tinyrig.host.arduino_cli import CLI, FQBN, NAME, missing
from tinyrig.host.run_tool import run_tool

if TYPE_CHECKING:
    from tinyrig.flash.job import FlashJob


def flash_arduino(job: FlashJob, before: RigError | None) -> RigError | None:
    """One try; returns what went wrong. Raises HostError where arduino-cli is missing or takes longer than flash_s allows."""
    path = shutil.which(CLI)
    if not path:
        raise missing()
    job.deadline.check("while flashing", LinkError)
    # bossac gets the last part of the name only, so a link such as /dev/serial/by-id/... would mean nothing to it
    port = os.path.realpath(job.port) if os.path.exists(job.port) else job.port
    with tempfile.TemporaryDirectory(prefix="tinyrig-upload-") as folder:
        (Path(folder) / f"{NAME}.ino.bin").write_bytes(job.image)
        command = [path, "upload", "--fqbn", FQBN, "--port", port, "--input-dir", folder]
        done = run_tool(command, job.deadline.left(), limit="flash_s")
    if not done.returncode:
        job.progress(len(job.image), len(job.image))
        return None
    said = (done.stdout + done.stderr).strip()
    return LinkError(
        f"{CLI} could not upload to {port}",
        expected="exit status 0",
        received=f"exit status {done.returncode}: {said[-1000:]}",
        remedy="press the board's reset button twice quickly (its LED pulses), find its port with `tinyrig boards`, try again",
    )
