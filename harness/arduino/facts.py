"""What arduino-cli says of a board: its processor and how much memory a sketch may take.

`arduino-cli compile --show-properties` prints a line `name=value` for each property of the board's build. Which processor it is
stands in the compiler's call, recipe.c.o.pattern, itself or in a file that it names (@FILE).
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from subprocess import CompletedProcess

from tinyrig.arduino.cli import CLI, NAME, Tools, check_board, find_tools
from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.cores import processor_in
from tinyrig.host.run_tool import run_tool

C_RECIPE, C_FLAGS = "recipe.c.o.pattern", "compiler.c.extra_flags"
EIGHT_BIT = re.compile(r"(?:.*[/\\])?avr-gcc(?:\.exe)?")
DEEPEST, LARGEST_BYTES = 3, 1 << 20


@dataclass(frozen=True)
class Facts:
    """Bytes; 0: the core does not say. cpu_flags: as in Board. c_flags: what the core itself has in compiler.c.extra_flags."""

    cpu_flags: tuple[str, ...]
    flash_bytes: int
    ram_bytes: int
    c_flags: str = ""


def with_facts(board: Board, limit_s: float = Limits.build_s) -> Board:
    """A board of the Arduino route as arduino-cli knows it; another one as it is. What arduino-cli does not say stays. Raises
    HostError where arduino-cli or the core is missing, UserError for a board that can't be used."""
    if board.builder != "sketch":
        return board
    facts = facts_of(find_tools(limit_s, board.fqbn), board.fqbn, limit_s)
    flash, ram = facts.flash_bytes or board.flash_bytes, facts.ram_bytes or board.ram_bytes
    return replace(board, cpu_flags=facts.cpu_flags, flash_bytes=flash, ram_bytes=ram)


@lru_cache(maxsize=32)
def facts_of(tools: Tools, fqbn: str, limit_s: float = Limits.build_s) -> Facts:
    """Raises UserError for a board that the core does not have or that is too small, HostError where arduino-cli fails."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-facts-") as folder:
        sketch = Path(folder) / NAME
        sketch.mkdir()
        (sketch / f"{NAME}.ino").write_text("void setup() {}\nvoid loop() {}\n")
        done = run_tool([tools.path, "compile", "--show-properties", "--fqbn", fqbn, str(sketch)], limit_s)
        if done.returncode == 0:
            return facts_in(fqbn, properties(done.stdout))
    raise _untold(tools, fqbn, done, limit_s)


def _untold(tools: Tools, fqbn: str, done: CompletedProcess[str], limit_s: float) -> HostError:
    """Raises UserError where the board itself is the reason."""
    check_board(tools, fqbn, limit_s)
    return HostError(
        f"{CLI} does not tell the properties of {fqbn}",
        expected="exit status 0",
        received=f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-1000:]}",
        remedy=f"run `{CLI} board details --fqbn {':'.join(fqbn.split(':')[:3])}`: it lists the board's options and their values",
    )


def properties(text: str) -> dict[str, str]:
    """From lines `name=value`; others say something else."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def facts_in(fqbn: str, found: Mapping[str, str]) -> Facts:
    """Raises UserError for a processor of 8 bits."""
    words = _words(found.get(C_RECIPE, ""))
    if words and EIGHT_BIT.fullmatch(words[0]):
        raise UserError(
            f"{fqbn} has a processor of 8 bits",
            expected="a board with 32 bits: an int8 network and the firmware take 8 KiB of RAM and more",
            received=f"{found.get('build.mcu') or 'AVR'}, {found.get('upload.maximum_data_size') or 'few'} bytes of RAM",
            remedy="take another board; `tinyrig boards` lists some",
        )
    flash, ram = (_bytes(found.get(f"upload.maximum_{what}", "")) for what in ("size", "data_size"))
    return Facts(processor_in(words), flash, ram, found.get(C_FLAGS, ""))


def _bytes(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


def _words(command: str, depth: int = DEEPEST) -> list[str]:
    """Of a compiler's call, with those of the files that it names by @FILE."""
    found = list[str]()
    for word in _split(command):
        named = Path(word[1:]) if word.startswith("@") else None
        if named and depth and named.is_file() and named.stat().st_size <= LARGEST_BYTES:
            found += _words(named.read_text(errors="replace"), depth - 1)
        else:
            found.append(word)
    return found


def _split(text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that never ends
        return text.split()
