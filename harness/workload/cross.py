"""What an image takes from the cross compiler and from the ports, by the core of the board."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.board import MAILBOX_FLAG
from tinyrig.core.hardware.cores import CORTEX_M4F, Core
from tinyrig.host.run_tool import run_tool
from tinyrig.places.installed import FIRMWARE
from tinyrig.places.remedies import ARM, RISCV, compiler

_PICOLIBC = "--specs=picolibc.specs"


def compile_flags(core: Core) -> tuple[str, ...]:
    """Picolibc is no part of the compiler: its headers must be asked for."""
    return () if core.arm else (_PICOLIBC,)


def link_flags(core: Core) -> tuple[str, ...]:
    libc = "--specs=nano.specs" if core.arm else _PICOLIBC
    return ("-nostartfiles", libc, "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")


@cache
def find_compiler(core: Core = CORTEX_M4F) -> tuple[str, str]:
    """(path, "arm-none-eabi-gcc 12.2.1"). Raises HostError when it is not installed."""
    name, what = core.compiler, ARM if core.arm else RISCV
    path = shutil.which(name)
    if not path:
        raise HostError(f"{what} is missing", expected=f"{name} on the PATH", received="nothing", remedy=compiler(what))
    done = run_tool([path, "-dumpfullversion"], Limits.build_s)
    if done.returncode or not done.stdout.strip():
        raise HostError(
            f"{path} does not say its version",
            expected="a number, and exit status 0",
            received=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-500:] or 'it said nothing'}",
            remedy="check the installation of the toolchain",
        )
    return path, f"{name} {done.stdout.strip()}"


def port_folder(board: Board) -> Path:
    """A board's port: a folder of its own, or one of firmware/port."""
    return FIRMWARE / "port" / board.port  # an absolute path stays what it is


SHARED = ("armv7m.h", "entry.c", "fault.c", "fault.h", "mailbox.c", "mailbox.h", "sections.h")
"""Of firmware/port/cortexm, for every port: both ends of the wire rely on their record of a fault."""
REPLACEABLE = ("link.ld", "retained.c", "startup.c", "watchdog.c")
"""Of the same folder: a port that brings a file of this name uses its own."""
SHARED_RISCV = ("entry.c", "fault.c", "fault.h", "riscv.h", "sections.h")
REPLACEABLE_RISCV = ("link.ld", "startup.c")
"""The same of firmware/port/riscv. Its ports bring a watchdog.c of their own: no timer is common to them."""
RENAMED = {"guard.c": "watchdog.c", "mark.c": "retained.c"}
"""Names of before: a port's file of such a name would be linked beside the shared one that it means to replace."""


def port_files(board: Board) -> dict[str, Path]:
    """By name, the port's own files and the shared ones that it brings no replacement for. Raises UserError for a file that
    would hide a shared one which no port may replace."""
    arm, folder = board.core.arm, port_folder(board)
    shared = FIRMWARE / "port" / ("cortexm" if arm else "riscv")
    always, replaceable = (SHARED, REPLACEABLE) if arm else (SHARED_RISCV, REPLACEABLE_RISCV)
    own = {p.name: p for p in sorted(folder.glob("*")) if p.suffix in (".c", ".h", ".ld")}
    if hidden := [name for name in (*always, *RENAMED) if name in own]:
        name = hidden[0]
        raise UserError(
            f"the port of board {board.name} may not have a {name} of its own",
            expected=f"a name that {shared} does not use, or one of {', '.join(replaceable)}, which a port may replace",
            received=str(own[name]),
            remedy=f"call it {RENAMED[name]}, as port.h calls its functions" if name in RENAMED else "give the file another name",
        )
    return {name: shared / name for name in (*always, *replaceable)} | own


def memory_script(board: Board) -> str:
    """memory.ld, which a port's link.ld includes."""
    flash = f"FLASH (rx)  : ORIGIN = 0x{board.flash_base:08X}, LENGTH = {board.flash_bytes}"
    return f"MEMORY {{\n  {flash}\n  RAM   (rwx) : ORIGIN = 0x{board.ram_base:08X}, LENGTH = {board.ram_bytes}\n}}\n"


def mailbox_flags(board: Board, source: Path) -> tuple[str, ...]:
    """For an image whose line is a debug probe: mailbox.c has the two functions that a port has otherwise. The port's own go by
    other names then, and the linker leaves them out."""
    if MAILBOX_FLAG not in board.cpu_flags or source.parent != port_folder(board):
        return ()
    return tuple(f"-D{name}={name}_of_the_line" for name in ("port_read", "port_write"))
