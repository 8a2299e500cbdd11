"""labgrid places: `labgrid:PLACE` -> the URL of the serial port that labgrid's exporter serves, ours while the rig is open.

labgrid runs in a process of its own (labgrid_helper.py), which holds the place and releases it when we end, however we end.
Should both have been killed, a note in the lock folder informs the next run on this host that the place was ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tinyrig.core.boards import PLACE
from tinyrig.core.config import Labgrid
from tinyrig.core.errors import HostError, LinkError, RigError
from tinyrig.host.helper import Helper, NoAnswer
from tinyrig.host.locks import lock_folder

log = logging.getLogger(__name__)

HELPER = Path(__file__).with_name("labgrid_helper.py")
ANSWER_S = 60.0
"""labgrid's client takes up to about 20 s to give up on a coordinator that does not answer."""
RELEASE_S = 20.0
DEFAULT_COORDINATOR = "127.0.0.1:20408"
SCHEMES = {"rfc2217": "rfc2217", "raw": "socket"}


class LabgridPlaces:
    """The places that this rig holds; `close` releases them."""

    def __init__(self, settings: Labgrid) -> None:
        self._settings = settings
        self._held: dict[str, LabgridPlace] = {}

    def reach(self, port: str) -> str:
        """`port` itself, or the URL behind a place, which is acquired first. Raises LinkError or HostError."""
        if not port.startswith(PLACE):
            return port
        name = port.removeprefix(PLACE)
        if name not in self._held:
            self._held[name] = LabgridPlace(name, self._settings)
        return self._held[name].url

    def close(self) -> None:
        """More than once is fine."""
        while self._held:
            self._held.popitem()[1].close()


class LabgridPlace:
    """One place, acquired. The caller holds the lock of its name, so no other process of this host uses it through tinyrig."""

    def __init__(self, name: str, settings: Labgrid) -> None:
        self.name = name
        self._coordinator = coordinator(settings)
        note = note_of(name, self._coordinator)
        left = _left_behind(note)
        options = [self._coordinator, name, f"{settings.wait_s:g}", "1" if left else "0", str(note)]
        try:
            self._helper = Helper([_python(settings), str(HELPER), *options])
        except OSError as error:
            raise _no_client(str(error)) from error
        try:
            self.url = self._acquire(settings.wait_s, left)
        except BaseException:
            self.close()
            raise

    def _acquire(self, wait_s: float, left: dict[str, Any] | None) -> str:
        while True:
            told = self._event(ANSWER_S + wait_s)
            if told["event"] == "waiting":
                log.warning(f"waiting up to {wait_s:g} s for labgrid place {self.name}, held by {told['holder']}")
            elif told["event"] == "acquired":
                break
            else:
                raise self._error(told, wait_s)
        if left and not told["fresh"]:
            log.warning(f"took labgrid place {self.name} over from process {left['pid']} of this host, which is gone")
        elif not told["own"]:
            log.warning(f"labgrid place {self.name} was already acquired by {told['user']}: it stays acquired")
        return f"{SCHEMES[told['protocol']]}://{told['host']}:{told['port']}"

    def _event(self, seconds: float) -> dict[str, Any]:
        """The helper's next line. Raises LinkError when none comes, HostError when it ended without one."""
        try:
            return self._helper.answer(seconds)
        except NoAnswer as error:
            if not error.ended:
                return {"event": "error", "kind": "coordinator", "received": str(error)}
            raise _no_client(error.said[-500:] or "no word") from error

    def _error(self, told: dict[str, Any], wait_s: float) -> RigError:
        received, name = told.get("received", ""), self.name
        where = "[labgrid] in rig.toml or LG_COORDINATOR"
        words = {
            "coordinator": (
                f"no labgrid coordinator answers at {self._coordinator}",
                "labgrid-coordinator running there",
                f"start it, or correct its address: {where}",
            ),
            "unknown": (
                f"labgrid has no place {name}",
                "one of the coordinator's places",
                "correct the name, or create it: `labgrid-client -p PLACE create`, then `add-match`",
            ),
            "held": (
                f"labgrid place {name} is held by somebody else",
                f"a place that is free within wait_s = {wait_s:g} s",
                "ask its holder to release it, or raise wait_s under [labgrid] in rig.toml",
            ),
            "no-serial": (
                f"labgrid place {name} can't be used as a board",
                "exactly one serial port (NetworkSerialPort)",
                f"export the board's port and match it: `labgrid-client -p {name} show` shows what the place has",
            ),
            "proxy": (
                f"the serial port of labgrid place {name} is behind a proxy",
                "a port that can be reached directly",
                "start the exporter without --isolated, or forward the port by ssh and name it rfc2217://host:port",
            ),
            "refused": (
                f"labgrid place {name} could not be acquired",
                "the coordinator's consent",
                f"see `labgrid-client -p {name} show`, and the exporter's log",
            ),
            "lost": (f"labgrid place {name} was lost", "the coordinator to stay", "start it again, then run again"),
        }
        what, expected, remedy = words[told["kind"]]
        return LinkError(what, expected=expected, received=received, remedy=remedy)

    def close(self) -> None:
        """Releases the place, if acquiring it was our doing."""
        if not self._helper.close(RELEASE_S):
            log.warning(f"labgrid did not confirm the release of {self.name}; see `labgrid-client -p {self.name} show`")


def _no_client(received: str) -> HostError:
    return HostError(
        "labgrid's client does not run",
        expected="labgrid 25 or newer",
        received=received,
        remedy="install labgrid (docs/remote.md) and name its interpreter: python = ... under [labgrid] in rig.toml",
    )


def coordinator(settings: Labgrid) -> str:
    """HOST:PORT, as labgrid's own tools find it (LG_CROSSBAR was its name before labgrid 24)."""
    return settings.coordinator or os.environ.get("LG_COORDINATOR") or os.environ.get("LG_CROSSBAR") or DEFAULT_COORDINATOR


def _python(settings: Labgrid) -> str:
    """The interpreter that has labgrid: as said, ours, or the one beside labgrid-client. Raises HostError."""
    if settings.python:
        return settings.python
    if importlib.util.find_spec("labgrid"):
        return sys.executable
    client = shutil.which("labgrid-client")
    beside = Path(client).resolve().with_name("python3") if client else None
    if beside is None or not beside.exists():
        raise HostError(
            "labgrid is not installed here",
            expected="labgrid-client on the PATH",
            received="none",
            remedy="install it into an environment of its own (docs/remote.md): python3 -m venv ... && pip install labgrid",
        )
    return str(beside)


def note_of(name: str, address: str) -> Path:
    """Where it is noted that this host's tinyrig has acquired a place."""
    return lock_folder() / f"labgrid-{name[:40]}-{hashlib.sha256(f'{address} {name}'.encode()).hexdigest()[:12]}.held"


def _left_behind(note: Path) -> dict[str, Any] | None:
    """What was noted by a process that was killed with its helper. One that still lives is given time to release the place."""
    until = time.monotonic() + RELEASE_S
    while (found := _read(note)) and _runs(found["helper"]) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _read(note: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(note.read_text())
        return {"pid": int(found["pid"]), "helper": int(found["helper"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _runs(pid: int) -> bool:
    """Whether this process is a helper: its number may have passed on."""
    with contextlib.suppress(OSError):
        return HELPER.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
