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
from dataclasses import astuple, fields
from pathlib import Path
from typing import Protocol

from tinyrig.core.errors import HostError
from tinyrig.places.project import cache_folder
from tinyrig.virtual.timing.layouts import Layout
from tinyrig.virtual.timing.memory import Memory, MemorySystem
from tinyrig.virtual.timing.model import ALL_RULES, OPERANDS, CodeBlock, arrival, block_cost
from tinyrig.virtual.timing.systems import Chip
from tinyrig.virtual.timing.table import NARROW, WIDE, Row

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / f"{name}.c" for name in ("timing", "instruction", "memory", "reads", "effect", "watch"))
HEADERS = tuple(FOLDER / f"{name}.h" for name in ("instruction", "memory", "reads", "watch"))
MOST_SYSTEMS = 64
"""MEMORIES of timing.c."""
HOOK_CODE = 4
"""unicorn's UC_HOOK_CODE."""
CFLAGS = ("-O3", "-flto", "-fno-semantic-interposition", "-shared", "-fPIC")


class CodeRegion(Protocol):
    """Host memory that code runs from: `start` is the chip's address of its first byte, which tells flash from RAM."""

    @property
    def start(self) -> int: ...
    @property
    def bytes(self) -> memoryview: ...
    @property
    def host_address(self) -> int: ...


class Hooks(Protocol):
    """An emulator that reports every block of straight-line code before it runs, and every read of data in flash.

    A native function is called without passing through Python. `native`: one of unicorn's own functions by its name, `engine`:
    what they take first; `registers`: its numbers of r0 to r14 and of xPSR. `begin_again`: asked whenever the emulator stops, how
    many bytes from there have to be translated again and run; 0: none."""

    def on_block(self, call: Callable[[int, int], None]) -> None: ...
    def on_read(self, call: Callable[[int], None]) -> None: ...
    def on_block_native(self, function: ctypes.c_void_p, state: ctypes.c_void_p) -> None: ...
    def on_read_native(self, function: ctypes.c_void_p, state: ctypes.c_void_p) -> None: ...
    def native(self, name: str) -> ctypes.c_void_p: ...
    @property
    def engine(self) -> ctypes.c_void_p: ...
    @property
    def registers(self) -> tuple[int, ...]: ...
    def begin_again(self, ask: Callable[[], int]) -> None: ...


class Counter(Protocol):
    """Counts executed code; `attach` installs its hooks into an emulator.

    cycles: with the first of its memory systems. all_cycles: with each of them. hits, misses: of the first one's cache, in words
    fetched. lay_out: until `forget`, the memory systems with the numbers `systems` count for each of the layouts too."""

    @property
    def name(self) -> str: ...
    @property
    def cycles(self) -> int: ...
    @property
    def all_cycles(self) -> tuple[int, ...]: ...
    @property
    def instructions(self) -> int: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    def attach(self, emulator: Hooks) -> None: ...
    def cached(self, on: bool) -> None: ...
    def forget(self) -> None: ...
    def lay_out(self, layouts: Sequence[Layout], systems: Sequence[int]) -> None: ...


class NoCounter:
    """Hooks off: full speed, nothing counted."""

    name = "none"
    cycles = 0
    all_cycles: tuple[int, ...] = ()
    instructions = 0
    hits = 0
    misses = 0

    def attach(self, emulator: Hooks) -> None:
        """Nothing to install."""

    def cached(self, on: bool) -> None:
        """Nothing is cached."""

    def forget(self) -> None:
        """Nothing is kept."""

    def lay_out(self, layouts: Sequence[Layout], systems: Sequence[int]) -> None:
        """No place costs more than another."""


class PythonCounter:
    """The Python model behind Python hooks: the same figures, many times slower."""

    name = "python"

    def __init__(self, regions: Sequence[CodeRegion], systems: Sequence[MemorySystem], rules: int = ALL_RULES) -> None:
        self.instructions = 0
        self._rules = rules
        self._memories = [Memory(system) for system in systems]
        self._linked = len(systems)
        self._regions = regions
        self._blocks: dict[tuple[int, int], CodeBlock] = {}
        self._expected = self._run = 0
        self._before: CodeBlock | None = None

    @property
    def cycles(self) -> int:
        return self._memories[0].now

    @property
    def all_cycles(self) -> tuple[int, ...]:
        return tuple(memory.now for memory in self._memories)

    @property
    def hits(self) -> int:
        return self._memories[0].hits

    @property
    def misses(self) -> int:
        return self._memories[0].misses

    def attach(self, emulator: Hooks) -> None:
        emulator.on_block(self.block)
        if any(memory.system.reads_wait for memory in self._memories):
            emulator.on_read(self.read)

    def cached(self, on: bool) -> None:
        """The program switches the instruction cache on or off; either way it is empty."""
        for memory in self._memories:
            memory.reset(on)

    def forget(self) -> None:
        """The chip starts again, maybe with other code: caches are off."""
        self._blocks.clear()
        del self._memories[self._linked :]
        self._before = None
        self._expected = self._run = 0
        self.cached(False)

    def lay_out(self, layouts: Sequence[Layout], systems: Sequence[int]) -> None:
        for layout in layouts:
            for index in systems:
                self._memories.append(Memory(self._memories[index].system, layout.moved))
                self._memories[-1].reset(self._memories[index].is_cached)

    def block(self, address: int, size: int) -> None:
        """The emulator enters straight-line code of `size` bytes at `address`."""
        block = self._blocks.get((address, size)) or self._place(address, size)
        if block is None:
            return
        jumped = address != self._expected
        extra = arrival(self._before, block, jumped, self._run, self._rules)
        for memory in self._memories:
            memory.block(address, block.steps, extra, jumped)
        self.instructions += block.instructions
        self._run = block.trail + (self._run if block.trail == block.instructions and not jumped else 0)
        self._expected, self._before = block.end, block

    def read(self, address: int) -> None:
        """An instruction of the last block reads data of the flash."""
        for memory in self._memories:
            memory.read(address)

    def _place(self, address: int, size: int) -> CodeBlock | None:
        """What the block costs by itself. None: it lies in no region and counts nothing."""
        for region in self._regions:
            offset = address - region.start
            if offset >= 0 and offset + size <= len(region.bytes):
                block = block_cost(bytes(region.bytes[offset : offset + size]), address, self._rules)
                self._blocks[address, size] = block
                return block
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


class _System(ctypes.Structure):
    _fields_ = tuple((field.name, ctypes.c_uint32) for field in fields(MemorySystem))


class _Calls(ctypes.Structure):
    """struct watch_calls of watch.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("read_batch", "add", "delete", "stop", "engine")),
        ("hook_code", ctypes.c_int),
        ("xpsr", ctypes.c_int),
        ("registers", ctypes.c_int * 15),
    )


def _calls(emulator: Hooks) -> _Calls:
    names = ("uc_reg_read_batch", "uc_hook_add", "uc_hook_del", "uc_emu_stop")
    *registers, xpsr = emulator.registers
    functions = (emulator.native(name) for name in names)
    return _Calls(*functions, emulator.engine, HOOK_CODE, xpsr, (ctypes.c_int * 15)(*registers))


class CompiledCounter:
    """The model in C, called by the emulator itself without passing through Python. It works out beforehand where straight-line
    code reads; `reported`: the emulator reports each read instead, which is much slower and the reference for that."""

    name = "c"

    def __init__(
        self,
        regions: Sequence[CodeRegion],
        systems: Sequence[MemorySystem],
        library: Path,
        rules: int = ALL_RULES,
        reported: bool = False,
    ) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.timing_new.restype = ctypes.c_void_p
        for name in ("cycles", "instructions", "hits", "misses"):
            getattr(self._lib, f"timing_{name}").restype = ctypes.c_uint64
        self._tables = _rows(NARROW), _rows(WIDE)
        self._state = ctypes.c_void_p(self._lib.timing_new(*self._tables))
        if not self._state:
            raise MemoryError("timing model")
        for index, region in enumerate(regions):
            place = ctypes.c_void_p(region.host_address), ctypes.c_uint32(region.start), ctypes.c_uint32(len(region.bytes))
            if self._lib.timing_region(self._state, index, *place):
                raise MemoryError("timing model")
        self._regions = regions  # the C side holds their addresses
        self._reads, self._reported = any(system.reads_wait for system in systems), reported
        self._layouts: tuple[Layout, ...] = ()  # the C side holds their addresses
        self._lib.timing_rules(self._state, rules)
        for index, system in enumerate(systems):
            self._lib.timing_memory(self._state, index, ctypes.byref(_System(*astuple(system))))

    @property
    def cycles(self) -> int:
        return int(self._lib.timing_cycles(self._state, 0))

    @property
    def all_cycles(self) -> tuple[int, ...]:
        return tuple(int(self._lib.timing_cycles(self._state, index)) for index in range(self._lib.timing_memories(self._state)))

    @property
    def hits(self) -> int:
        return int(self._lib.timing_hits(self._state))

    @property
    def misses(self) -> int:
        return int(self._lib.timing_misses(self._state))

    @property
    def instructions(self) -> int:
        return int(self._lib.timing_instructions(self._state))

    def attach(self, emulator: Hooks) -> None:
        emulator.on_block_native(ctypes.cast(self._lib.timing_block, ctypes.c_void_p), self._state)
        if self._reads and self._reported:
            access = emulator.native("uc_reg_read"), emulator.native("uc_reg_write"), emulator.registers[-1]
            self._lib.timing_emulator(self._state, *access)
            emulator.on_read_native(ctypes.cast(self._lib.timing_read, ctypes.c_void_p), self._state)
        elif self._reads:
            if self._lib.timing_watch(self._state, ctypes.byref(_calls(emulator))):
                raise MemoryError("timing model")
            emulator.begin_again(lambda: int(self._lib.timing_again(self._state)))

    def cached(self, on: bool) -> None:
        """The program switches the instruction cache on or off; either way it is empty."""
        self._lib.timing_cached(self._state, int(on))

    def forget(self) -> None:
        """The chip starts again, maybe with other code: caches are off."""
        self._lib.timing_forget(self._state)

    def lay_out(self, layouts: Sequence[Layout], systems: Sequence[int]) -> None:
        self._layouts = tuple(layouts)
        for layout in layouts:
            place = ctypes.c_void_p(layout.order.buffer_info()[0])
            for index in systems:
                if self._lib.timing_moved(self._state, index, place, layout.stride):
                    raise MemoryError("timing model")

    def block(self, address: int, size: int) -> None:
        """As the emulator calls it; for tests."""
        self._lib.timing_block(None, ctypes.c_uint64(address), ctypes.c_uint32(size), self._state)

    def read(self, address: int) -> None:
        """As the emulator calls it; for tests."""
        self._lib.timing_read(None, 0, ctypes.c_uint64(address), 4, ctypes.c_int64(0), self._state)


def cache_dir() -> Path:
    """Where compiled helpers are kept; made if missing."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except (OSError, RuntimeError):
        return Path(tempfile.mkdtemp(prefix="tinyrig-"))


def compile_hook() -> Path | None:
    """The shared library of timing.c and its neighbours, compiled unless cached; None where no host compiler works."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    text = b"".join(path.read_bytes() for path in (*SOURCES, *HEADERS))
    key = hashlib.sha256(text + " ".join(CFLAGS).encode() + os.uname().machine.encode()).hexdigest()[:16]
    library = cache_dir() / f"timing-{key}.so"
    if library.exists():
        return library
    part = library.with_name(f"{library.name}.{os.getpid()}")
    done = subprocess.run([compiler, *CFLAGS, "-o", str(part), *map(str, SOURCES)], capture_output=True, text=True)
    if done.returncode:
        return None
    part.replace(library)  # whole or not at all: several boards may start at once
    return library


def make_counter(clock: str, hook: str, regions: Sequence[CodeRegion], chip: Chip) -> Counter:
    """`clock` cycles, instructions or off; `hook` auto, c or python. Counts with the chip's memory systems, the default first.
    Raises HostError if `c` can't be had."""
    if clock == "off":
        return NoCounter()
    library = None if hook == "python" else compile_hook()
    if library is None and hook == "c":
        raise HostError("timing.c can't be compiled", expected="a working cc on PATH", remedy="install gcc or use --hook python")
    if library:
        return CompiledCounter(regions, chip.systems, library, chip.rules)
    return PythonCounter(regions, chip.systems, chip.rules)
