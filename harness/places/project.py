"""The user's project: the folder of the nearest rig.toml, and what tinyrig keeps there; and caches, which belong to the user."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RIG_TOML = "rig.toml"
STATE = ".tinyrig"
"""The folder below the project that holds results, builds, reports and variants, where rig.toml names no others."""
_IGNORE = "# Made by tinyrig: results and builds of this machine are not for git.\n*\n"


def rig_toml() -> Path | None:
    """That of the current folder or of the nearest one above that has one."""
    here = Path.cwd()
    return next((file for folder in (here, *here.parents) if (file := folder / RIG_TOML).exists()), None)


def project_folder() -> Path:
    """The folder of the nearest rig.toml, else the current one."""
    file = rig_toml()
    return file.parent if file else Path.cwd()


def made(folder: Path) -> Path:
    """`folder`, made if it is missing; one within STATE is hidden from git. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for state in (folder, *folder.parents):
        if state.name == STATE and not (state / ".gitignore").exists():
            with contextlib.suppress(OSError):  # a folder of somebody else's: only git's list of new files is longer
                (state / ".gitignore").write_text(_IGNORE)
    return folder


def cache_folder() -> Path:
    """Below XDG_CACHE_HOME; may be deleted at any time, and need not exist. Raises RuntimeError: home is unknown."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyrig"
