"""The user's arduino-cli and its cores."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.arduino import board_of, platform_of
from tinyrig.host.run_tool import run_tool

CLI = "arduino-cli"
CORE = "arduino:mbed_nano"
FQBN = f"{CORE}:nano33ble"
"""Of the Nano 33 BLE, which has a port of its own."""
NAME = "tinyrig"
"""Of the sketch: arduino-cli names its results after it."""
INDEXES = {
    "rp2040:rp2040": "https://github.com/earlephilhower/arduino-pico/releases/download/global/package_rp2040_index.json",
    "esp32:esp32": "https://espressif.github.io/arduino-esp32/package_esp32_index.json",
    "esp8266:esp8266": "https://arduino.esp8266.com/stable/package_esp8266com_index.json",
    "STMicroelectronics:stm32": "https://github.com/stm32duino/BoardManagerFiles/raw/main/package_stmicroelectronics_index.json",
    "teensy:avr": "https://www.pjrc.com/teensy/package_teensy_index.json",
    "adafruit:nrf52": "https://adafruit.github.io/arduino-board-index/package_adafruit_index.json",
    "Seeeduino:nrf52": "https://files.seeedstudio.com/arduino/package_seeeduino_boards_index.json",
}
"""Core -> the index that arduino-cli must be told of, as its makers publish it. Arduino's own cores need none."""


@dataclass(frozen=True)
class Tools:
    """The user's arduino-cli and one of its cores."""

    path: str
    cli: str
    core: str
    platform: str = CORE

    @property
    def name(self) -> str:
        return f"{CLI} {self.cli}, {self.platform} {self.core}"


def install(platform: str) -> str:
    """The commands that install a core."""
    index = f" --additional-urls {INDEXES[platform]}" if platform in INDEXES else ""
    return f"{CLI} core update-index{index} && {CLI} core install {platform}{index}"


def missing(platform: str = CORE) -> HostError:
    """Of arduino-cli itself."""
    page = "docs/nano33ble.md" if platform == CORE else "docs/your_board.md"
    return HostError(
        f"{CLI} is missing, which builds and uploads the firmware that speaks over the board's own USB port",
        expected=f"{CLI} on the PATH",
        received="nothing",
        remedy=f"install it (https://arduino.github.io/arduino-cli), then `{install(platform)}`; see {page}",
    )


def find_tools(limit_s: float = Limits.build_s, fqbn: str = FQBN) -> Tools:
    """arduino-cli with the core of this board. Raises HostError, saying what to install, where one of them is missing."""
    platform = platform_of(fqbn)
    path = shutil.which(CLI)
    if not path:
        raise missing(platform)
    version = ask([path, "version", "--format", "json"], limit_s)
    cores = installed(ask([path, "core", "list", "--format", "json"], limit_s))
    if platform not in cores:
        raise HostError(
            f"the Arduino core {platform} is not installed",
            expected=f"{platform} in `{CLI} core list`",
            received=", ".join(cores) or "no core",
            remedy=install(platform) if platform in INDEXES or platform.startswith("arduino:") else _unknown_index(platform),
        )
    return Tools(path, str(version.get("VersionString", "?")) if isinstance(version, dict) else "?", cores[platform], platform)


def _unknown_index(platform: str) -> str:
    return (
        f"{install(platform)}; a core that is not Arduino's own needs --additional-urls with its makers' index in both. "
        f"`{CLI} core search {platform.split(':')[0]}` shows which cores are known"
    )


def ask(command: list[str], limit_s: float) -> object:
    """What arduino-cli answers, as JSON. Raises HostError."""
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


def installed(answer: object) -> dict[str, str]:
    """Core -> its version, from `core list`. arduino-cli 1 has other names for this than 0.35."""
    platforms = answer.get("platforms") or [] if isinstance(answer, dict) else answer or []
    rows = [p for p in platforms if isinstance(p, dict)] if isinstance(platforms, list) else []
    versions = {str(p.get("id")): str(p.get("installed_version") or p.get("installed") or "") for p in rows}
    return {platform: version for platform, version in versions.items() if version}


def check_board(tools: Tools, fqbn: str, limit_s: float) -> None:
    """Raises UserError for a board that the core, which is installed, does not have."""
    boards = _fqbns(ask([tools.path, "board", "listall", "--format", "json"], limit_s))
    own = [name for name in boards if platform_of(name) == tools.platform]
    if not own or board_of(fqbn) in own:
        return
    near = difflib.get_close_matches(board_of(fqbn), own, 3, 0.5) or own[:3]
    raise UserError(
        f"the Arduino core {tools.platform} {tools.core} has no board {fqbn.split(':')[2]}",
        expected=" or ".join(near),
        received=fqbn,
        remedy=f"`{CLI} board listall` shows every board of the installed cores, `{CLI} board list` the one that is plugged in",
    )


def _fqbns(answer: object) -> Sequence[str]:
    boards: Any = answer.get("boards") if isinstance(answer, dict) else answer
    return [str(b["fqbn"]) for b in boards or [] if isinstance(b, dict) and b.get("fqbn")] if isinstance(boards, list) else []
