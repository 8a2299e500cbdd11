"""The user's arduino-cli and its core for the Nano 33 BLE."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError
from tinyrig.host.run_tool import run_tool

CLI = "arduino-cli"
CORE = "arduino:mbed_nano"
FQBN = f"{CORE}:nano33ble"
NAME = "tinyrig"
"""Of the sketch: arduino-cli names its results after it."""


@dataclass(frozen=True)
class Tools:
    """The user's arduino-cli and its core."""

    path: str
    cli: str
    core: str

    @property
    def name(self) -> str:
        return f"{CLI} {self.cli}, {CORE} {self.core}"


def missing() -> HostError:
    """Of arduino-cli itself."""
    return HostError(
        f"{CLI} is missing, which builds and uploads the firmware that speaks over the board's own USB port",
        expected=f"{CLI} on the PATH",
        received="nothing",
        remedy=f"install it (https://arduino.github.io/arduino-cli), then `{CLI} core install {CORE}`; see docs/nano33ble.md",
    )


def find_tools(limit_s: float = Limits.build_s) -> Tools:
    """Raises HostError, saying what to install, where arduino-cli or the core is missing."""
    path = shutil.which(CLI)
    if not path:
        raise missing()
    version = _ask([path, "version", "--format", "json"], limit_s)
    core = _core_version(_ask([path, "core", "list", "--format", "json"], limit_s))
    if not core:
        raise HostError(
            f"the Arduino core {CORE} is not installed",
            expected=f"{CORE} in `{CLI} core list`",
            received="other cores, or none",
            remedy=f"{CLI} core update-index && {CLI} core install {CORE}",
        )
    return Tools(path, str(version.get("VersionString", "?")) if isinstance(version, dict) else "?", core)


def _ask(command: list[str], limit_s: float) -> object:
    done = run_tool(command, limit_s)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise HostError(
            f"`{' '.join(command)}` gave no usable answer",
            expected="JSON and exit status 0",
            received=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}",
            remedy=f"run it by hand, or update {CLI}",
        ) from error


def _core_version(answer: object) -> str:
    """The core's version, "" where it is not installed. arduino-cli 1 has other names for this than 0.35."""
    platforms = answer.get("platforms") or [] if isinstance(answer, dict) else answer or []
    for platform in platforms if isinstance(platforms, list) else []:
        if isinstance(platform, dict) and platform.get("id") == CORE:
            return str(platform.get("installed_version") or platform.get("installed") or "")
    return ""
