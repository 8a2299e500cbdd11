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
from pathlib import Path
from typing import Protocol

from tinyrig.core.errors import HostError
from tinyrig.virtual.timing.model import OPERANDS, CodeBlock, block_cost, seam
from tinyrig.virtual.timing.table import NARROW, WIDE, Row

SOURCE = Path(__file__).with_name("timing.c")
CFLAGS = ("-O2", "-shared", "-fPIC")


class CodeRegion(Protocol):
    """Host memory that code runs from."""

    start: int
    bytes: ctypes.Array


class Counter(Protocol):
    """Counts executed code; `attach` installs its hook into an emulator."""

    name: str
    cycles: int
    instructions: int

    def attach(self, uc: object) -> None: ...
    def forget(self) -> None: ...


class NoCounter:
    """Hook off: full speed, nothing counted."""

    name = "none"
    cycles = 0
    instructions = 0

    def attach(self, uc: object) -> None:
        """Nothing to install."""

    def forget(self) -> None:
        """Nothing is cached."""


class PythonCounter:
    """The Python model behind a Python hook: the same figures, some twenty times slower."""

    name = "python"

    def __init__(self, memories: list[CodeRegion]) -> None:
        self.cycles = self.instructions = 0
        self._memories = memories
        self._blocks: dict[tuple[int, int], CodeBlock] = {}
        self._expected = 0
        self._before: CodeBlock | None = None

    def attach(self, uc) -> None:
        from unicorn import UC_HOOK_BLOCK

        uc.hook_add(UC_HOOK_BLOCK, lambda _uc, address, size, _data: self.block(address, size))

    def forget(self) -> None:
        """The code may have changed."""
        self._blocks.clear()
        self._before = None

    def block(self, address: int, size: int) -> None:
        """The emulator enters straight-line code of `size` bytes at `address`."""
        block = self._blocks.get((address, size)) or self._cost(address, size)
        if block is None:
            return
        if address == self._expected:
            self.cycles += seam(self._before, block)
        else:
            self.cycles += (self._before.penalty if self._before else 0) + block.entry
        self.cycles += block.cycles
        self.instructions += block.instructions
        self._expected, self._before = block.end, block

    def _cost(self, address: int, size: int) -> CodeBlock | None:
        for memory in self._memories:
            offset = address - memory.start
            if offset >= 0 and offset + size <= len(memory.bytes):
                self._blocks[address, size] = block_cost(bytes(memory.bytes[offset : offset + size]), address)
                return self._blocks[address, size]
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


def _operands(words: str, count: int) -> ctypes.Array:
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


def _rows(rows: tuple[Row, ...]) -> ctypes.Array:
    """The table for C, ended by a row that matches everything (mask 0): one cycle."""
    return (_Row * (len(rows) + 1))(*(_row(row) for row in rows), _Row(cycles=1))


class CompiledCounter:
    """The model in C, called by the emulator itself without passing through Python."""

    name = "c"

    def __init__(self, memories: list[CodeRegion], library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.timing_new.restype = ctypes.c_void_p
        self._lib.timing_cycles.restype = self._lib.timing_instructions.restype = ctypes.c_uint64
        self._tables = _rows(NARROW), _rows(WIDE)
        self._state = ctypes.c_void_p(self._lib.timing_new(*self._tables))
        if not self._state:
            raise MemoryError("timing model")
        for index, memory in enumerate(memories):
            if self._lib.timing_region(self._state, index, memory.bytes, ctypes.c_uint32(memory.start), len(memory.bytes)):
                raise MemoryError("timing model")
        self._memories = memories  # the C side holds their addresses

    @property
    def cycles(self) -> int:
        return self._lib.timing_cycles(self._state)

    @property
    def instructions(self) -> int:
        return self._lib.timing_instructions(self._state)

    def attach(self, uc) -> None:
        """unicorn's Python binding takes only Python callbacks, so the C function goes to uc_hook_add directly."""
        from unicorn import UC_HOOK_BLOCK
        from unicorn.unicorn_py3.unicorn import uclib

        handle = ctypes.c_size_t()
        function = ctypes.cast(self._lib.timing_block, ctypes.c_void_p)
        # begin > end: everywhere
        status = uclib.uc_hook_add(
            uc._uch, ctypes.byref(handle), UC_HOOK_BLOCK, function, self._state, ctypes.c_uint64(1), ctypes.c_uint64(0)
        )
        if status:
            raise RuntimeError(f"uc_hook_add: status {status}")

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


def make_counter(clock: str, hook: str, memories: list[CodeRegion]) -> Counter:
    """`clock` cycles, instructions or off; `hook` auto, c or python. Raises HostError if `c` can't be had."""
    if clock == "off":
        return NoCounter()
    library = None if hook == "python" else compile_hook()
    if library is None and hook == "c":
        raise HostError("timing.c can't be compiled", expected="a working cc on PATH", remedy="install gcc or use --hook python")
    return CompiledCounter(memories, library) if library else PythonCounter(memories)
