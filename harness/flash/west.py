"""Flasher `west`: `west flash` puts the image on the board with the runner that its makers chose, or with the one that rig.toml
names. That the right image runs is proved by the hello that follows."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import HostError, LinkError, RigError
from tinyrig.host.run_tool import run_tool
from tinyrig.workload.zephyr.app import UPLOAD, unpack
from tinyrig.workload.zephyr.west import WEST, missing

if TYPE_CHECKING:
    from tinyrig.flash.job import FlashJob


def flash_west(job: FlashJob, before: RigError | None) -> RigError | None:
    """One try; returns what went wrong. job.port: the id of a debug probe, "": the only one. Raises HostError where west is
    missing, takes longer than flash_s allows or was not what built the image."""
    path = shutil.which(WEST)
    if not path:
        raise missing()
    kept = Path(job.files.get("elf", "")).parent / UPLOAD
    if not kept.is_dir():
        raise HostError(
            f"there is nothing that `{WEST} flash` could flash",
            expected=f"a folder {UPLOAD} beside the image",
            received=str(kept),
            remedy="remove the folder of builds, and run again",
        )
    with tempfile.TemporaryDirectory(prefix="tinyrig-flash-") as folder:
        build = Path(folder) / "built"
        unpack(kept, build)
        probe = ["--dev-id", job.port] if job.port else []
        command = [path, "flash", "--skip-rebuild", "-d", str(build), *probe]
        done = run_tool(command, job.deadline.left(), limit="flash_s")
    if not done.returncode:
        job.progress(len(job.image), len(job.image))
        return None
    said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
    return LinkError(
        f"`{WEST} flash` could not flash {job.board.name}",
        expected="exit status 0",
        received=f"exit status {done.returncode}: {said[-1500:]}",
        remedy="install the runner that it names and connect the board's debug probe or bootloader; of several probes name one: "
        'probe = "ID" under [boards] in rig.toml',
    )
