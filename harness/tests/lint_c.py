"""The linters of firmware/: which commands of which Debian packages, over which files.

The strict warnings are asked of what every image carries, app and ports; the kernels trade them for density.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.hardware.cores import ARM_CC as CC
from tinyrig.core.hardware.cores import GENERIC
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload.cross import compile_flags, port_files

PACKAGES = {"cppcheck": "cppcheck", CC: "gcc-arm-none-eabi", "cc": "gcc"}
"""The tools, and the Debian package of each."""
CLANG_FORMAT = str(Path(sys.executable).with_name("clang-format"))
"""Of the dev extra, pinned: what it writes depends on its version."""
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wcast-qual", "-Wshadow", "-fsyntax-only")
FOLDERS = ("app", "port", "nn")
SUPPRESSED = (
    "missingIncludeSystem",
    "shiftTooManyBitsSigned",  # implementation-defined: GCC and clang shift arithmetically
)
Commands = list[list[str]]


def _files(*endings: str) -> list[str]:
    return sorted(str(p) for p in FIRMWARE.rglob("*") if p.suffix in endings)


def _includes() -> list[str]:
    return [f"-I{FIRMWARE / folder}" for folder in FOLDERS]


def clang_format() -> Commands:
    return [[CLANG_FORMAT, "--dry-run", "-Werror", *_files(".c", ".h", ".cpp", ".inc")]]


def cppcheck() -> Commands:
    checks = ["--enable=warning,performance,portability", *(f"--suppress={name}" for name in SUPPRESSED)]
    options = ["--std=c11", "--inline-suppr", "--quiet", "--error-exitcode=1"]
    return [["cppcheck", *checks, *options, *_includes(), str(FIRMWARE)]]


def _strict(compiler: Iterable[str], sources: Iterable[Path]) -> list[str]:
    app = (p for p in (FIRMWARE / "app").glob("*.c"))
    return [*compiler, "-std=gnu11", *STRICT, *_includes(), *map(str, sorted([*app, *sources]))]


def _port_sources(board: Board) -> list[Path]:
    if board.builder != "gcc":
        return list((FIRMWARE / "port" / board.port).glob("*.c"))  # its C++ needs the core's headers
    return [p for p in port_files(board).values() if p.suffix == ".c"]


def _defines(board: Board) -> list[str]:
    """What the sketch of any Arduino board says before its sources (harness/workload/arduino_sketch.py)."""
    return ["-DPORT_CLOCK_FOUND", "-DPORT_STACK_UNKNOWN"] if board.builder == "sketch" else []


def compiled_here() -> list[Board]:
    """One board for each port and core. RISC-V's only where its compiler is installed; of Xtensa there is none."""
    boards = {(b.port, b.core if b.fqbn else b.cpu_flags): b for b in BOARDS.values() if b.port and GENERIC not in b.cpu_flags}
    return [board for board in boards.values() if board.core.arm or shutil.which(board.core.compiler)]


def warnings() -> Commands:
    """Every port once for each core that it serves, and the host's."""
    cross = [
        _strict([board.core.compiler, *board.cpu_flags, *_defines(board), *compile_flags(board.core)], _port_sources(board))
        for board in compiled_here()
    ]
    return [*cross, _strict(["cc"], (FIRMWARE / "port" / "host").glob("*.c"))]


LINTERS: dict[str, Callable[[], Commands]] = {"clang-format": clang_format, "cppcheck": cppcheck, "C warnings": warnings}
