"""What a Zephyr build says of its board: `west build --cmake-only` leaves zephyr/.config, in which Kconfig has sizes and clock,
zephyr/zephyr.dts, the devicetree, and compile_commands.json, whose calls name the processor."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from subprocess import CompletedProcess

from tinyrig.arduino.facts import with_facts as with_arduinos_facts
from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.cores import GENERIC, processor_in
from tinyrig.host.run_tool import run_tool
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload.zephyr.west import WEST, West, build_command, check_board, find_west

PRJ_CONF = FIRMWARE / "port" / "zephyr" / "prj.conf"
LISTS = """cmake_minimum_required(VERSION 3.20.0)
find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(tinyrig)
"""
"""How every Zephyr application begins (Zephyr's documentation, "Application Development")."""
_SET = re.compile(r'^(CONFIG_\w+)=("?)(.*)\2$', re.MULTILINE)
SLOWEST_HZ = 1_000_000
OWN_COUNTERS = ("CONFIG_CPU_CORTEX_M_HAS_DWT", "CONFIG_SOC_HAS_TIMING_FUNCTIONS", "CONFIG_BOARD_HAS_TIMING_FUNCTIONS")
"""What Zephyr's timing functions count with, if there is one; else it is the system clock's timer."""


@dataclass(frozen=True)
class Facts:
    """Bytes and Hz; 0: the build does not say. cpu_flags: as in Board."""

    cpu_flags: tuple[str, ...]
    flash_base: int
    flash_bytes: int
    ram_base: int
    ram_bytes: int
    clock_hz: int


def with_facts(board: Board, limit_s: float = Limits.build_s) -> Board:
    """A board of Zephyr's as its build system knows it, one of the Arduino route as arduino-cli does; another one as it is. What
    is not said stays. Raises HostError where a tool or a core is missing, UserError for a board that can't be used."""
    if board.builder != "zephyr":
        return with_arduinos_facts(board, limit_s)
    facts = facts_of(find_west(limit_s), board.zephyr, board.zephyr_snippets, limit_s)
    return replace(
        board,
        cpu_flags=facts.cpu_flags,
        flash_base=facts.flash_base,
        flash_bytes=facts.flash_bytes or board.flash_bytes,
        ram_base=facts.ram_base,
        ram_bytes=facts.ram_bytes or board.ram_bytes,
        clock_hz=facts.clock_hz or board.clock_hz,
    )


@lru_cache(maxsize=32)
def facts_of(west: West, board: str, snippets: tuple[str, ...], limit_s: float = Limits.build_s) -> Facts:
    """Raises UserError for a board that Zephyr does not have or whose counter is too slow, HostError where west fails."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-facts-") as folder:
        app, out = Path(folder) / "app", Path(folder) / "built"
        app.mkdir()
        (app / "CMakeLists.txt").write_text(f"{LISTS}target_sources(app PRIVATE main.c)\n")
        (app / "prj.conf").write_text(PRJ_CONF.read_text())
        (app / "main.c").write_text("int main(void) { return 0; }\n")
        command = build_command(west, board, snippets, out, app)
        command.insert(2, "--cmake-only")
        done = run_tool(command, limit_s)
        if done.returncode == 0:
            tree = _text(out / "zephyr" / "zephyr.dts")
            check_console(board, tree)
            return facts_in(board, settings(_text(out / "zephyr" / ".config")), _calls(out), tree)
    raise untold(west, board, done, limit_s)


def untold(west: West, board: str, done: CompletedProcess[str], limit_s: float) -> HostError:
    """Of a configuration that failed. Raises UserError where the board itself is the reason."""
    check_board(west, board, limit_s)
    said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
    return HostError(
        f"{WEST} can't configure a build for {board}",
        expected="exit status 0",
        received=f"exit status {done.returncode}: {said[-2000:]}",
        remedy=f"build Zephyr's own sample first: `west build -b {board} $ZEPHYR_BASE/samples/hello_world`; what fails there is "
        "the workspace's (toolchain, modules, the board's qualifiers), not tinyrig's",
    )


def check_console(board: str, tree: str) -> None:
    """Raises UserError for a devicetree that chooses no console: there would be no line. tree: zephyr.dts, or ""."""
    if not tree or _chosen(tree, "zephyr,console"):
        return
    raise UserError(
        f"{board} has no line: its devicetree chooses no console",
        expected="zephyr,console under /chosen",
        received="none",
        remedy='for its own USB port name zephyr_snippets = ["cdc-acm-console"] under [boards] in rig.toml (docs/zephyr.md)',
    )


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() else ""


def settings(text: str) -> dict[str, str]:
    """From Kconfig's lines CONFIG_NAME=value."""
    return {name: value for name, _, value in _SET.findall(text)}


def _calls(out: Path) -> list[str]:
    """The words of all compiler calls."""
    file = out / "compile_commands.json"
    try:
        rows = json.loads(file.read_text())
        return [word for row in rows for word in row.get("arguments") or shlex.split(row.get("command", ""))]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def _chosen(tree: str, what: str) -> str:
    """The label of the node that /chosen names; "": none."""
    found = re.search(rf"^\s*{re.escape(what)}\s*=\s*(?:&(\w+)|[^;])", tree, re.MULTILINE)
    return found[1] or "?" if found else ""


def memory_in(tree: str, what: str) -> tuple[int, int]:
    """(base, bytes) of the memory that /chosen names, (0, 0) where that can't be read: cells of more than 32 bits."""
    number = r"(0x[0-9a-fA-F]{1,8}|\d{1,10})"
    node = rf"^\s*(?:\w+:\s*)*\b{_chosen(tree, what) or '?'}:[^{{;]*\{{[^{{}}]*?\breg\s*=\s*<\s*{number}\s+{number}\s*>"
    found = re.search(node, tree, re.MULTILINE) if _chosen(tree, what) not in ("", "?") else None
    return (int(found[1], 0), int(found[2], 0)) if found else (0, 0)


def facts_in(board: str, found: Mapping[str, str], words: list[str], tree: str = "") -> Facts:
    """What Kconfig does not say, as newer Zephyrs' may not, is taken from the devicetree, zephyr.dts. Raises UserError where no
    inference could be timed."""
    system_hz = _number(found, "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC")
    if 0 < system_hz < SLOWEST_HZ and not any(found.get(name) == "y" for name in OWN_COUNTERS):
        raise UserError(
            f"no inference can be timed on {board}: what Zephyr counts with is too slow",
            expected=f"a counter of {SLOWEST_HZ:,} Hz or more",
            received=f"CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC={system_hz}, and no DWT",
            remedy="take another board, or its bare-metal image if tinyrig has one (`tinyrig boards`)",
        )
    flash_kib, offset = _number(found, "CONFIG_FLASH_SIZE"), _number(found, "CONFIG_FLASH_LOAD_OFFSET")
    (flash_at, flash_all), (ram_at, ram_all) = memory_in(tree, "zephyr,flash"), memory_in(tree, "zephyr,sram")
    flash = _number(found, "CONFIG_FLASH_LOAD_SIZE") or max(0, (1024 * flash_kib or flash_all) - offset)
    return Facts(
        processor_in(words) if words else (GENERIC,),
        (_number(found, "CONFIG_FLASH_BASE_ADDRESS") or flash_at) + offset,
        flash,
        _number(found, "CONFIG_SRAM_BASE_ADDRESS") or ram_at,
        1024 * _number(found, "CONFIG_SRAM_SIZE") or ram_all,
        system_hz if found.get("CONFIG_CORTEX_M_SYSTICK") == "y" else 0,  # any other timer need not run at the processor's rate
    )


def _number(found: Mapping[str, str], name: str) -> int:
    text = found.get(name, "")
    return int(text, 0) if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|[1-9][0-9]{0,9}|0", text) else 0
