"""Whose fault it is that a compiler, linker or objcopy gave no result: told by its exit status and by what can be seen here."""

from __future__ import annotations

import errno
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.errors import HostError, RigError, UserError

TOOL_FLAGS = ("-pass-exit-codes",)
"""Has gcc end with CRASHED where the compiler proper crashed, instead of with 1 as for every refusal."""
CRASHED = 4
"""gcc's exit status after an internal compiler error (ICE_EXIT_CODE of its system.h)."""
ROOM_BYTES = 1 << 20
"""A file system with less room than this is taken for the cause: more than the object of any of our own sources."""
_PLACE = re.compile(r"^[^\s:][^:\n]*\.\w+:\d+:", re.MULTILINE)
"""`file.c:12:`, with which a compiler begins what it says about a source."""
_QUOTED = 4000


def failure(
    what: str, done: subprocess.CompletedProcess[str], folder: Path, *, theirs: Sequence[Path] = (), places: bool = True
) -> RigError:
    """The error for a tool that wrote into `folder` and ended with another status than 0. `what` it could not do; `theirs`: the
    user's own files among its sources; `places`: whether it names places in sources when it refuses them."""
    said = (done.stderr or done.stdout or "").strip()[-_QUOTED:]
    tool = Path(done.args[0]).name
    if full := no_room(folder):
        return HostError(
            f"{what}: there is no room for its result",
            expected=f"room to write in {full.folder}",
            received=full.error,
            remedy="free space there",
        )
    if done.returncode == CRASHED:
        return HostError(
            f"{what}: {tool} crashed",
            expected="the toolchain's exit status 0",
            received=said,
            remedy="run again; if it crashes again, install another version of the toolchain",
        )
    if places and not _PLACE.search(said):
        return HostError(
            f"{what}: {tool} failed, and names no place in a source",
            expected="the toolchain's exit status 0",
            received=f"exit status {done.returncode}: {said or 'it said nothing'}",
            remedy="run again; if it fails again, check memory and the installation of the toolchain",
        )
    if theirs:
        names = ", ".join(str(path) for path in theirs[:3])
        return UserError(what, expected=f"sources that build: {names}", received=said, remedy="correct what the message names")
    return HostError(
        what,
        expected="the toolchain's exit status 0",
        received=said,
        remedy="report this, with the model: generated C must always build",
    )


@dataclass(frozen=True)
class Full:
    """A folder that takes no more, and the system's words for it."""

    folder: Path
    error: str


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_room(folder: Path, bytes_: int = ROOM_BYTES) -> Full | None:
    """The one of `folder` and the folder for temporary files that takes no file of that size; None where both do. Written and
    taken away again: what a file system reports as free need not be ours to use."""
    for place in (folder, Path(tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(bytes(bytes_))
                file.flush()
        except OSError as error:
            if error.errno in _FULL:
                return Full(place, str(error))
    return None


# ---- what a build depends on ----

LARGE_BYTES = 1 << 22
"""A file beyond it is no C text; its size and time of change stand for it."""


def dependencies(folders: Iterable[Path]) -> list[tuple[str, bytes]]:
    """Name and content of every file below `folders`: an include may have any ending and lie in any folder. Without hidden ones,
    which are an editor's or a version control's."""
    found: dict[Path, tuple[str, bytes]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path in found or any(part.startswith(".") for part in inside.parts) or not path.is_file():
                continue
            about = path.stat()
            known = path.read_bytes() if about.st_size <= LARGE_BYTES else f"{about.st_size} {about.st_mtime_ns}".encode()
            found[path] = (inside.as_posix(), known)
    return [found[path] for path in sorted(found)]
