"""What an image needs of a board's port, for tests that call the compiler themselves."""

from __future__ import annotations

from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload.cross import compile_flags, memory_script, port_files


def port_sources(board: Board) -> list[Path]:
    """The port's C files, with the shared ones that it does not replace."""
    return sorted(p for p in port_files(board).values() if p.suffix == ".c")


def port_flags(board: Board, folder: Path) -> list[str]:
    """Includes and linker script; `folder` takes the memory map."""
    (folder / "memory.ld").write_text(memory_script(board))
    return [*compile_flags(board.core), f"-I{FIRMWARE / 'port'}", "-L", str(folder), "-T", str(port_files(board)["link.ld"])]
