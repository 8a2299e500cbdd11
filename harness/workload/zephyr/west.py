"""The user's west and the Zephyr that it works in."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, UserError
from tinyrig.host.run_tool import run_tool

WEST = "west"
BASE = "ZEPHYR_BASE"
OLDEST = (3, 5)
"""The first Zephyr with CONFIG_REQUIRES_FULL_LIBC, which gives an application the functions of math.h."""
GUIDE = "https://docs.zephyrproject.org/latest/develop/getting_started"
_VERSION = re.compile(r"^\s*(VERSION_MAJOR|VERSION_MINOR|PATCHLEVEL)\s*=\s*(\d+)", re.MULTILINE)
_QUOTED = 2000


@dataclass(frozen=True)
class West:
    """Where west is, and which Zephyr it works in."""

    path: str
    version: str
    base: Path
    zephyr: str

    @property
    def name(self) -> str:
        return f"{WEST} {self.version}, Zephyr {self.zephyr}"


def missing() -> HostError:
    """Of west itself."""
    return HostError(
        f"{WEST} is missing, which builds and flashes Zephyr applications",
        expected=f"{WEST} on the PATH",
        received="nothing",
        remedy=f"activate the Python environment of your Zephyr workspace, or install it ({GUIDE}); see docs/zephyr.md",
    )


def find_west(limit_s: float = Limits.build_s) -> West:
    """Raises HostError, saying what to do, where west or Zephyr is missing or too old."""
    path = shutil.which(WEST)
    if not path:
        raise missing()
    done = run_tool([path, "--version"], limit_s)
    number = re.search(r"\d+(\.\d+)+\S*", done.stdout)
    if done.returncode or not number:
        raise HostError(
            f"{path} does not say its version",
            expected="a number, and exit status 0",
            received=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-_QUOTED:] or 'it said nothing'}",
            remedy=f"check the installation of {WEST}",
        )
    base = _base(path, limit_s)
    return West(path, number[0], base, _zephyr(base))


def _base(path: str, limit_s: float) -> Path:
    """The Zephyr that ZEPHYR_BASE names, else that of the workspace around the current folder."""
    if given := os.environ.get(BASE):
        if (Path(given) / "VERSION").is_file():
            return Path(given)
        raise HostError(
            f"{BASE} names no Zephyr",
            expected="a folder with Zephyr's VERSION file",
            received=given,
            remedy=f"export {BASE}=WORKSPACE/zephyr",
        )
    done = run_tool([path, "topdir"], limit_s)
    base = Path(done.stdout.strip() or "/") / "zephyr"
    if not done.returncode and (base / "VERSION").is_file():
        return base
    where = "this folder is in no workspace" if done.returncode else "the workspace here has none"
    raise HostError(
        f"no Zephyr is known: {BASE} is not set, and {where}",
        expected=f"{BASE}=WORKSPACE/zephyr in the environment, or a current folder inside a west workspace",
        received=(done.stderr or done.stdout).strip()[-_QUOTED:] or f"exit status {done.returncode} of `{WEST} topdir`",
        remedy=f"export {BASE}=WORKSPACE/zephyr (a new workspace: {GUIDE})",
    )


def _zephyr(base: Path) -> str:
    """Its version, from its VERSION file."""
    found = dict(_VERSION.findall((base / "VERSION").read_text(errors="replace")))
    numbers = [int(found.get(name, 0)) for name in ("VERSION_MAJOR", "VERSION_MINOR", "PATCHLEVEL")]
    version = ".".join(map(str, numbers))
    if tuple(numbers[:2]) < OLDEST:
        raise HostError(
            f"Zephyr {version} is too old",
            expected=f"Zephyr {'.'.join(map(str, OLDEST))} or later",
            received=f"{version} in {base}",
            remedy="`west update` a newer one, or set ZEPHYR_BASE to it",
        )
    return version


def build_command(west: West, board: str, snippets: Sequence[str], out: Path, app: Path) -> list[str]:
    """A build from nothing in `out`. Without sysbuild: one image is wanted, not a bootloader beside it."""
    wanted = [word for snippet in snippets for word in ("-S", snippet)]
    return [west.path, "build", "-p", "always", "--no-sysbuild", "-b", board, "-d", str(out), *wanted, str(app)]


def check_board(west: West, board: str, limit_s: float) -> None:
    """Raises UserError for a board that this Zephyr does not have."""
    done = run_tool([west.path, "boards", "--format", "{name}"], limit_s)
    names = done.stdout.split()
    name = re.split(r"[@/]", board)[0]
    if done.returncode or not names or name in names:
        return
    near = difflib.get_close_matches(name, names, 3, 0.5) or names[:3]
    raise UserError(
        f"Zephyr {west.zephyr} has no board {name}",
        expected=" or ".join(near),
        received=board,
        remedy=f"`{WEST} boards` lists every board that it has",
    )
