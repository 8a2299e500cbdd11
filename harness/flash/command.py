"""The user's own flash command, with what it is to flash put in for {bin}, {elf}, {port} and {base}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinyrig.core.errors import DeviceError, HostError, LinkError, RigError
from tinyrig.host.run_tool import ToolEnded, ToolHangs, run_tool

TOLD = 4000
"""Characters of its output that an error shows: the last ones, where tools say what failed."""


def flash_by_command(command: Sequence[str], values: Mapping[str, str], left_s: float) -> RigError | None:
    """Runs it, without a shell; None when its exit status is 0, else the error with all that it said. Raises HostError when it
    can't be run or is not done within `left_s` seconds (flash_s)."""
    words = [_filled(word, values) for word in command]
    try:
        done = run_tool(words, left_s)
    except ToolHangs as error:
        raise HostError(
            f"the flash command {words[0]} did not finish",
            expected=f"done within flash_s, {left_s:.0f} s left",
            received=error.received,
            remedy="see flash_command in rig.toml, and flash_s under [limits]",
        ) from error
    except ToolEnded as error:
        return HostError(
            f"the flash command {error.what}", expected="exit status 0", received=error.received, remedy=error.remedy
        )
    except HostError as error:
        raise HostError(
            f"the flash command {words[0]} can't be run", received=error.received, remedy="see flash_command in rig.toml"
        ) from error
    if done.returncode == 0:
        return None
    said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
    return DeviceError(
        f"the flash command failed with exit status {done.returncode}",
        expected="exit status 0",
        received=f"{' '.join(words)}\n{said[-TOLD:] or 'it said nothing'}",
        remedy="run it by hand; check probe, cable and power, or correct flash_command in rig.toml",
    )


def no_flasher(name: str) -> LinkError:
    """For a board that runs another firmware and that nobody can flash."""
    return LinkError(
        f"{name} can't be flashed",
        expected=f"flash_command under [boards.{name}] in rig.toml",
        received="none",
        remedy="name the command that flashes it; docs/porting.md shows one",
    )


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
