"""Whichever tool for a debug probe is there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError
from tinyrig.flash import pyocd, stlink
from tinyrig.places.remedies import extra

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.flash.job import FlashJob


class Probe(Protocol):
    """A debug probe by a tool of its own; `check` and `write` raise RigError, as does `reset`."""

    def check(self) -> None: ...

    def write(self, job: FlashJob) -> None: ...

    def reset(self) -> None: ...


PROBES: dict[str, Callable[[Board, str, Deadline, Path], Probe]] = {"pyocd": pyocd.PyocdProbe, "st-flash": stlink.StLink}


def _flash(name: str, job: FlashJob, before: RigError | None) -> RigError | None:
    """One try; see `flash.flash`. Returns what broke it off. Raises what another try can't mend."""
    with _folder(name) as folder:
        probe = PROBES[name](job.board, job.port, job.deadline, folder)
        probe.check()
        try:
            probe.write(job)
        except (LinkError, DeviceError) as error:
            return error
    return None


def _restart(name: str, board: Board, probe: str, deadline: Deadline) -> None:
    """Resets the chip, whatever its program does. Raises RigError."""
    with _folder(name) as folder:
        PROBES[name](board, probe, deadline, folder).reset()


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"tinyrig-{name}-") as folder:
        yield Path(folder)


FLASHERS: dict[str, Callable[[FlashJob, RigError | None], RigError | None]] = {
    **{name: partial(_flash, name) for name in PROBES},
    "probe": lambda job, before: _flash(tool(job.board, job.deadline), job, before),
}
RESTARTERS: dict[str, Callable[[Board, str, Deadline], None]] = {
    **{name: partial(_restart, name) for name in PROBES},
    "probe": lambda board, probe, deadline: _restart(tool(board, deadline), board, probe, deadline),
}


def tool(board: Board, deadline: Deadline) -> str:
    """`pyocd` or `st-flash`. Raises HostError where neither can be used."""
    if pyocd.knows(board.swd_target, deadline):
        return "pyocd"
    if board.swd_target.startswith("stm32") and stlink.find():
        return "st-flash"
    raise HostError(
        f"no tool to flash {board.title} is installed",
        expected=f"pyOCD with the target {board.swd_target}, or st-flash",
        received="neither",
        remedy=f"apt-get install stlink-tools; or {extra('swd')}, then python -m pyocd pack install {board.swd_target}",
    )
