"""A board's fault record -> what a person needs: which function and line, who called it, and what the processor objected to.

Bits and their meaning: Armv7-M Architecture Reference Manual (DDI 0403), B3.2.15 CFSR, B3.2.16 HFSR.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import DeviceError
from tinyrig.core.hardware.calls import Call, riscv_call, thumb_call
from tinyrig.core.records import FaultRecord

if TYPE_CHECKING:
    from elftools.dwarf.lineprogram import LineProgram
    from elftools.elf.elffile import ELFFile

PROCESSOR, HANG, STACK = 1, 2, 3

CFSR_BITS = {
    0: "instruction access violation",
    1: "data access violation",
    3: "memory fault on exception return",
    4: "memory fault on exception entry",
    5: "memory fault saving floating-point registers",
    8: "bus fault on an instruction fetch",
    9: "bus fault (precise)",
    10: "bus fault (imprecise: pc is a little late)",
    11: "bus fault on exception return",
    12: "bus fault on exception entry",
    13: "bus fault saving floating-point registers",
    16: "undefined instruction",
    17: "invalid state: a jump to an even address",
    18: "invalid exception return",
    19: "no coprocessor: the FPU is off",
    24: "unaligned access",
    25: "division by zero",
}
HFSR_BITS = {1: "bus fault on a vector read", 31: "debug event: a breakpoint"}
MMARVALID, BFARVALID = 1 << 7, 1 << 15

TEXTS = {
    # kind: (what happened, expected, remedy)
    PROCESSOR: (
        "the board faulted",
        "an inference without a fault",
        "your own engine: fix the access it names; tinyrig's: report this with the model",
    ),
    HANG: (
        "the board hung",
        "an inference that ends",
        "look for an endless loop there; an inference twenty times slower than the slowest before it counts as hung too",
    ),
    STACK: (
        "stack overflow",
        "an inference that fits the stack: all RAM that nothing else uses",
        "use less recursion and smaller local arrays there, or a model that leaves more RAM",
    ),
}


@dataclass(frozen=True)
class SourcePlace:
    """An address of the image in words; `source` is `file:line` or empty."""

    function: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.function} ({self.source})" if self.source else self.function


def fault_error(record: FaultRecord, elf: Path | None) -> DeviceError:
    """The error that reports `record`; without `elf` addresses stay numbers."""
    what, expected, remedy = TEXTS.get(record.kind, TEXTS[PROCESSOR])
    where = _where(record, _Symbols(elf) if elf and elf.exists() else None)
    when = " while the board started" if record.at_start else ""
    received = "; ".join(part for part in (", ".join(reasons(record)), registers(record)) if part)
    return DeviceError(f"{what}{where}{when}", expected=expected, received=received, remedy=remedy)


def reasons(record: FaultRecord) -> list[str]:
    """Why, as the fault status registers tell, with the address of a refused access."""
    if record.kind == HANG:
        return []
    texts = [text for bit, text in CFSR_BITS.items() if record.cfsr >> bit & 1]
    texts += [text for bit, text in HFSR_BITS.items() if record.hfsr >> bit & 1]
    if record.cfsr & BFARVALID:
        texts.append(f"at address 0x{record.bfar:08x}")
    elif record.cfsr & MMARVALID:
        texts.append(f"at address 0x{record.mmfar:08x}")
    return texts


def registers(record: FaultRecord) -> str:
    """`pc 0x..., lr 0x..., ...`; says so where nothing but the kind is known."""
    if not record.complete:
        return "the record of the registers did not survive the reset"
    status = f"CFSR 0x{record.cfsr:08x}, HFSR 0x{record.hfsr:08x}"
    if not any(record.registers):
        return f"registers lost, {status}"
    names = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr", "sp")
    values = dict(zip(names, record.registers, strict=True))
    order = ("pc", "lr", "sp", "r0", "r1", "r2", "r3", "r12", "xpsr")
    return ", ".join(f"{name} 0x{values[name]:08x}" for name in order) + f", {status}"


def _where(record: FaultRecord, symbols: _Symbols | None) -> str:
    """` in f (x.c:1), called from g (y.c:2)`; empty where nothing is known."""
    calls = [address for address in (record.lr, *record.trace) if address & 1]
    if symbols is None:
        address = record.pc or next(iter(calls), 0)
        return f" at 0x{address & ~1:08x}" if address else ""
    if record.kind == STACK:
        return _where_overflowed(calls, symbols)
    places = [symbols.place(record.pc)] if record.pc else []
    # A return address points behind the call; the call itself gives the line.
    places += [symbols.place((address & ~1) - 2) for address in calls if symbols.follows_call(address & ~1)]
    known = [place for place in places if place]
    if not known:
        return f" at 0x{record.pc:08x}" if record.pc else ""
    callers = [place for place in dict.fromkeys(known[1:]) if place.function != known[0].function]
    return f" in {known[0]}" + (f", called from {callers[0]}" if callers else "")


def _where_overflowed(calls: list[int], symbols: _Symbols) -> str:
    """Where the last call found on the stack went: the registers of an overflow are lost."""
    last = next((address & ~1 for address in calls if symbols.follows_call(address & ~1)), 0)
    caller = symbols.place(last - 2) if last else None
    if caller is None:
        return ""
    callee = symbols.place(symbols.call_target(last))
    if callee is None or callee.function == caller.function:
        return f" in {caller}"
    return f" in {callee.function} or what it calls, called from {caller}"


class _Symbols:
    """Functions and source lines of an ELF with debug information."""

    def __init__(self, elf: Path) -> None:
        from elftools.elf.elffile import ELFFile
        from elftools.elf.sections import SymbolTableSection

        with elf.open("rb") as stream:
            file = ELFFile(stream)
            table = file.get_section_by_name(".symtab")
            symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
            self._functions = sorted(
                (s["st_value"] & ~1, s["st_size"], s.name) for s in symbols if s["st_info"]["type"] == "STT_FUNC"
            )
            text = file.get_section_by_name(".text")
            self._start, self._code = (text["sh_addr"], text.data()) if text else (0, b"")
            self._decode = riscv_call if file["e_machine"] == "EM_RISCV" else thumb_call
            self._lines = sorted(_lines(file)) if file.has_dwarf_info() else []

    def place(self, address: int) -> SourcePlace | None:
        """Where `address` lies; None outside every function."""
        at = bisect_right(self._functions, (address, 1 << 32, "")) - 1
        if at < 0 or address >= self._functions[at][0] + max(self._functions[at][1], 2):
            return None
        return SourcePlace(self._functions[at][2].partition(".")[0], self._line(address))  # gcc appends .constprop and such

    def _line(self, address: int) -> str:
        at = bisect_right(self._lines, (address, 1 << 32, 1 << 32, "")) - 1
        if at < 0 or address >= self._lines[at][1]:
            return ""
        _, _, line, name = self._lines[at]
        return f"{name}:{line}"

    def follows_call(self, address: int) -> bool:
        """Whether a call stands directly before `address`, so that it may be a return address."""
        return self._call(address) is not None

    def call_target(self, address: int) -> int:
        """Where the call directly before `address` goes; 0 for one through a register."""
        call = self._call(address)
        return address + call.distance if call is not None and call.distance is not None else 0

    def _call(self, address: int) -> Call | None:
        offset = address - self._start
        return self._decode(self._code[offset - 4 : offset]) if 4 <= offset <= len(self._code) else None


def _lines(file: ELFFile) -> list[tuple[int, int, int, str]]:
    """(first address, end, line, file) of every row of the line tables."""
    rows: list[tuple[int, int, int, str]] = []
    dwarf = file.get_dwarf_info()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _file_names(program)
        states = [entry.state for entry in program.get_entries() if entry.state is not None]
        for now, then in pairwise(states):
            if not now.end_sequence and then.address > now.address:
                rows.append((now.address, then.address, now.line, names.get(now.file, "?")))
    return rows


def _file_names(program: LineProgram) -> dict[int, str]:
    """Number of a file in a DWARF 4 line program (from 1 on) -> its name with its last folder."""
    folders = program["include_directory"]
    names = {}
    for number, entry in enumerate(program["file_entry"], 1):
        folder = folders[entry.dir_index - 1].decode(errors="replace") if entry.dir_index else ""
        path = Path(folder) / entry.name.decode(errors="replace")
        names[number] = "/".join(path.parts[-2:]).removeprefix("./")
    return names
