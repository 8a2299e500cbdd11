"""What to install, in one line, on the system at hand: a compiler from its packages, an optional part of tinyrig from pip."""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path

ARM, HOST, RISCV = "the Arm compiler", "a host C compiler", "the RISC-V compiler"
_NO_PACKAGE = "riscv64-unknown-elf-gcc and picolibc with its picolibc.specs, from source or from Debian in a container"
_PIPX = "pipx"
"""A folder above every environment that pipx makes; pip is not within them."""
AGAIN = "install tinyrig again; in its checkout: `make setup`"
"""For what belongs to every installation and is gone."""
_COMMANDS: dict[str, dict[str, str]] = {
    # system: a word of os-release's ID or ID_LIKE, or darwin
    "debian": {
        ARM: "sudo apt-get install --no-install-recommends gcc-arm-none-eabi libnewlib-arm-none-eabi",
        HOST: "sudo apt-get install gcc libc6-dev",
        RISCV: "sudo apt-get install --no-install-recommends gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    },
    "fedora": {
        ARM: "sudo dnf install arm-none-eabi-gcc-cs arm-none-eabi-newlib",
        HOST: "sudo dnf install gcc glibc-devel",
        RISCV: _NO_PACKAGE,
    },
    "arch": {ARM: "sudo pacman -S arm-none-eabi-gcc arm-none-eabi-newlib", HOST: "sudo pacman -S gcc", RISCV: _NO_PACKAGE},
    "darwin": {ARM: "brew install --cask gcc-arm-embedded", HOST: "xcode-select --install", RISCV: _NO_PACKAGE},
}
_TITLES = {"debian": "Debian, Ubuntu", "fedora": "Fedora", "arch": "Arch", "darwin": "macOS"}


def extra(name: str) -> str:
    """Brings an optional part of tinyrig into the environment that it is installed in."""
    part = f"'tinyrig[{name}]'"
    return f"pipx inject tinyrig {part}" if _PIPX in Path(sys.prefix).parts else f"pip install {part}"


def compiler(what: str) -> str:
    """The command that installs ARM or HOST here; on a system that nobody has described, those of all others."""
    return _compiler(what, _system())


def _compiler(what: str, system: str) -> str:
    if system in _COMMANDS:
        return _COMMANDS[system][what]
    every = "; ".join(f"{_TITLES[name]}: {commands[what]}" for name, commands in _COMMANDS.items())
    return f"{every}; Windows: as Debian, in WSL (wsl --install)"


@functools.cache
def _system() -> str:
    """A key of _COMMANDS, else empty."""
    if sys.platform == "darwin":
        return "darwin"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    words = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    return next((word for word in words if word in _COMMANDS), "")
