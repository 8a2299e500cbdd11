"""What feeds DWT.CYCCNT: the timing model (in C where a host compiler exists), instructions, or nothing.

Every clock also takes the wall time that the CPU spent waiting for the line, so that timeouts of the firmware work.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tinyrig.core.errors import HostError
from tinyrig.virtual.timing.model import OPERANDS, CodeBlock, arrival, block_cost
from tinyrig.virtual.timing.table import NARROW, WIDE, Row

SOURCE = Path(__file__).with_name("timing.c")
CFLAGS = ("-O2", "-shared", "-fPIC")


class CodeRegion(Protocol):
    """Host memory that code runs from: `start` is the chip's address of its first byte, which tells flash from RAM."""

    @property
    def start(self) -> int: ...
    @property
    def bytes(self) -> memoryview: ...
    @property
    def host_address(self) -> int: ...


class BlockHooks(Protocol):
    """An emulator that reports every block of straight-line code before it runs."""

    def on_block(self, call: Callable[[int, int], None]) -> None: ...
    def on_block_native(self, function: ctypes.c_void_p, state: ctypes.c_void_p) -> None: ...


class Counter(Protocol):
    """Counts executed code; `attach` installs its hook into an emulator."""

    @property
    def name(self) -> str: ...
    @property
    def cycles(self) -> int: ...
    @property
    def instructions(self) -> int: ...
    def attach(self, emulator: BlockHooks) -> None: ...
    def forget(self) -> None: ...


class NoCounter:
    """Hook off: full speed, nothing counted."""

    name = "none"
    cycles = 0
    instructions = 0

    def attach(self, emulator: BlockHooks) -> None:
        """Nothing to install."""

    def forget(self) -> None:
        """Nothing is cached."""


class PythonCounter:
    """The Python model behind a Python hook: the same figures, some twenty times slower."""

    name = "python"

    def __init__(self, regions: Sequence[CodeRegion]) -> None:
        self.cycles = self.instructions = 0
        self._regions = regions
        self._blocks: dict[tuple[int, int], tuple[CodeRegion, CodeBlock]] = {}
        self._expected = 0
        self._before: CodeBlock | None = None

    def attach(self, emulator: BlockHooks) -> None:
        emulator.on_block(self.block)

    def forget(self) -> None:
        """The code may have changed."""
        self._blocks.clear()
        self._before = None

    def block(self, address: int, size: int) -> None:
        """The emulator enters straight-line code of `size` bytes at `address`."""
        placed = self._blocks.get((address, size)) or self._place(address, size)
        if placed is None:
            return
        _region, block = placed
        self.cycles += arrival(self._before, block, falls_through=address == self._expected) + block.cycles
        self.instructions += block.instructions
        self._expected, self._before = block.end, block

    def _place(self, address: int, size: int) -> tuple[CodeRegion, CodeBlock] | None:
        """Where the block lies and what it costs by itself. None: it lies in no region and counts nothing."""
        for region in self._regions:
            offset = address - region.start
            if offset >= 0 and offset + size <= len(region.bytes):
                block = block_cost(bytes(region.bytes[offset : offset + size]), address)
                self._blocks[address, size] = region, block
                return region, block
        return None


class _Operand(ctypes.Structure):
    _fields_ = (("how", ctypes.c_uint8), ("at", ctypes.c_uint8), ("low", ctypes.c_uint8))


class _Row(ctypes.Structure):
    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("value", ctypes.c_uint32),
        ("kind", ctypes.c_uint8),
        ("cycles", ctypes.c_uint8),
        ("penalty", ctypes.c_uint8),
        ("counted", _Operand),
        ("base", _Operand),
        ("address", _Operand * 2),
        ("writes", _Operand * 2),
        ("fp_reads", _Operand * 3),
        ("fp_writes", _Operand),
    )


def _operands(words: str, count: int) -> ctypes.Array[_Operand]:
    return (_Operand * count)(*(_Operand(*OPERANDS[word]) for word in words.split()))


def _row(row: Row) -> _Row:
    return _Row(
        row.mask,
        row.value,
        row.kind,
        row.cycles,
        row.penalty,
        _operands(row.counted, 1)[0],
        _operands(row.base, 1)[0],
        _operands(row.address, 2),
        _operands(row.writes, 2),
        _operands(row.fp_reads, 3),
        _operands(row.fp_writes, 1)[0],
    )


def _rows(rows: tuple[Row, ...]) -> ctypes.Array[_Row]:
    """The table for C, ended by a row that matches everything (mask 0): one cycle."""
    return (_Row * (len(rows) + 1))(*(_row(row) for row in rows), _Row(cycles=1))


class CompiledCounter:
    """The model in C, called by the emulator itself without passing through Python."""

    name = "c"

    def __init__(self, regions: Sequence[CodeRegion], library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.timing_new.restype = ctypes.c_void_p
        self._lib.timing_cycles.restype = self._lib.timing_instructions.restype = ctypes.c_uint64
        self._tables = _rows(NARROW), _rows(WIDE)
        self._state = ctypes.c_void_p(self._lib.timing_new(*self._tables))
        if not self._state:
            raise MemoryError("timing model")
        for index, region in enumerate(regions):
            place = ctypes.c_void_p(region.host_address), ctypes.c_uint32(region.start), ctypes.c_uint32(len(region.bytes))
            if self._lib.timing_region(self._state, index, *place):
                raise MemoryError("timing model")
        self._regions = regions  # the C side holds their addresses

    @property
    def cycles(self) -> int:
        return int(self._lib.timing_cycles(self._state))

    @property
    def instructions(self) -> int:
        return int(self._lib.timing_instructions(self._state))

    def attach(self, emulator: BlockHooks) -> None:
        emulator.on_block_native(ctypes.cast(self._lib.timing_block, ctypes.c_void_p), self._state)

    def forget(self) -> None:
        """The code may have changed."""
        self._lib.timing_forget(self._state)

    def block(self, address: int, size: int) -> None:
        """As the emulator calls it; for tests."""
        self._lib.timing_block(None, ctypes.c_uint64(address), ctypes.c_uint32(size), self._state)


def cache_dir() -> Path:
    """Where compiled helpers are kept; made if missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (base / "tinyrig").mkdir(parents=True, exist_ok=True)
        return base / "tinyrig"
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tinyrig-"))


def compile_hook() -> Path | None:
    """The shared library of timing.c, compiled unless cached; None where no host compiler works."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join(CFLAGS).encode() + os.uname().machine.encode()).hexdigest()[:16]
    library = cache_dir() / f"timing-{key}.so"
    if library.exists():
        return library
    part = library.with_name(f"{library.name}.{os.getpid()}")
    done = subprocess.run([compiler, *CFLAGS, "-o", str(part), str(SOURCE)], capture_output=True, text=True)
    if done.returncode:
        return None
    part.replace(library)  # whole or not at all: several boards may start at once
    return library


def make_counter(clock: str, hook: str, regions: Sequence[CodeRegion]) -> Counter:
    """`clock` cycles, instructions or off; `hook` auto, c or python. Raises HostError if `c` can't be had."""
    if clock == "off":
        return NoCounter()
    library = None if hook == "python" else compile_hook()
    if library is None and hook == "c":
        raise HostError("timing.c can't be compiled", expected="a working cc on PATH", remedy="install gcc or use --hook python")
    return CompiledCounter(regions, library) if library else PythonCounter(regions)
