"""Published cycles beside what the virtual board's timing model makes of the same: `python bench/published.py` prints the table,
`--write` puts it into docs/timing.md. test_published.py holds each point to its tolerance.

Every kernel is written for this file, from what its source says in words or from the algorithm's specification; no line is
anyone else's. So only points stand here whose instructions follow from that: which instructions, how many, in what order. What
was published of compiled C, or of hand-written code that is not described, can't be rebuilt without that code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from tinyrig.core.config import ROOT
from tinyrig.host.helper import module_command
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import ALL_RULES
from tinyrig.virtual.timing.systems import CHIPS, NO_WAIT, Chip
from tinyrig.workload.cross import find_compiler

PAGE = ROOT / "docs" / "timing.md"
BEGIN, END = "<!-- published points: python bench/published.py --write -->", "<!-- end of published points -->"
TIMES = 64
"""Instructions of a straight line."""
TURNS = 1000
"""Of a loop: what stands around it is less than 1 %."""
CORE = "core"
_CHIPS = {**CHIPS, CORE: replace(CHIPS[NO_WAIT], rules=ALL_RULES)}
"""CORE: the default model's core, with memory that never waits."""
STATE, RESULT, TABLE = 0x20003000, 0x20003080, 0x20004000
"""In RAM."""


@dataclass(frozen=True)
class Point:
    """`published`: from and to, equal where it is one number, in `unit`s. `kernels`: which functions' cycles, the second one's
    subtracted from the first one's, divided by `per`. `chip`: of _CHIPS. `tolerance`: how far the estimate may lie outside, as a
    share; None where it is known not to agree, for what docs/timing.md says."""

    name: str
    silicon: str
    source: str
    published: tuple[float, float]
    unit: str
    kernels: tuple[str, str]
    per: float
    chip: str
    tolerance: float | None
    cached: bool = True


@dataclass(frozen=True)
class Estimated:
    """`value` by the default parameters, `low` and `high` by the ends of the chip's band; `error` from the nearer published end,
    as a share."""

    point: Point
    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        nearest = min(max(self.value, self.point.published[0]), self.point.published[1])
        return self.value / nearest - 1


# ---- kernels ----


def function(name: str, body: str, align: int = 16) -> str:
    return f".balign {align}\n.thumb_func\n.global {name}\n{name}:\n{body}\n"


_SET_UP = f"mov32 r1, {STATE:#x}\nmov r8, r8\nmov r8, r8"
"""An address, and two instructions that nothing waits for."""


def straight(name: str, instruction: str) -> str:
    times = TIMES // len(instruction.split(";"))
    return function(name, f"{_SET_UP}\n.rept {times}\n{instruction}\n.endr\nbx lr")


def delay(name: str, place: int) -> str:
    """A loop of a subtraction and a branch that begins `place` bytes into a line of 16."""
    return function(name, f"movw r0, #{TURNS}\n.balign 16\n" + "nop\n" * (place // 2) + "1:\nsubs r0, #1\nbne.n 1b\nbx lr")


def lookups(name: str, table: str) -> str:
    """Bytes of a table of 1 KiB at places that a generator of random numbers chooses."""
    body = f"mov32 r1, {table}\nmov32 r2, 1664525\nmov32 r3, 1013904223\nmovw r0, #{TURNS}\nmov r12, r0\n.balign 16\n"
    body += "1:\nmla r12, r12, r2, r3\nlsr.w r3, r12, #22\nldrb.w r3, [r1, r3]\nsubs r0, #1\nbne.n 1b\nbx lr"
    return function(name, body)


# ---- ChaCha's permutation: RFC 8439, 2.1 to 2.3, without its key, counter and final addition ----

COLUMNS = tuple((i, i + 4, i + 8, i + 12) for i in range(4))
DIAGONALS = tuple((i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4))
REGISTERS = (*(f"r{n}" for n in range(13)), "lr")
PARKED, SWAPPED = (7, 11), (0, 5)
"""Words on the stack: while the first three columns are worked on, and then while the last column and three diagonals are."""


class ChaCha:
    """16 words in 14 registers, two on the stack. A word may stand in its register before its last rotation, which then costs
    nothing: the second operand of an instruction is rotated on the way."""

    def __init__(self) -> None:
        free = list(REGISTERS)
        self.lines: list[str] = []
        self.register = {word: free.pop(0) for word in range(16) if word not in PARKED}
        self.slot = dict(zip(PARKED, (0, 4), strict=True))
        self.turned = dict.fromkeys(range(16), 0)

    def quarter(self, a: int, b: int, c: int, d: int) -> None:
        for left, right, turn in ((a, b, 16), (c, d, 12), (a, b, 8), (c, d, 7)):
            other = d if left == a else b
            self._emit("add", left, left, right)
            self._emit("eor", other, left, other)
            self.turned[other] = turn

    def _emit(self, what: str, to: int, plain: int, rotated: int) -> None:
        ror = f", ror #{32 - self.turned[rotated]}" if self.turned[rotated] else ""
        self.lines.append(f"{what}.w {self.register[to]}, {self.register[plain]}, {self.register[rotated]}{ror}")

    def swap(self, out: Sequence[int]) -> None:
        """These words to the stack, those that are there into their registers; through the slots above."""
        back = list(self.slot)
        spare = [8, 12] if 0 in self.slot.values() else [0, 4]
        self.lines += [f"str {self.register[word]}, [sp, #{at}]" for word, at in zip(out, spare, strict=True)]
        freed = [self.register.pop(word) for word in out]
        for word, register in zip(back, freed, strict=True):
            self.lines.append(f"ldr {register}, [sp, #{self.slot[word]}]")
            self.register[word] = register
        self.slot = dict(zip(out, spare, strict=True))

    def double_round(self) -> None:
        for column in (0, 1, 2):
            self.quarter(*COLUMNS[column])
        self.swap(SWAPPED)
        self.quarter(*COLUMNS[3])
        for diagonal in (1, 2, 3):
            self.quarter(*DIAGONALS[diagonal])
        self.swap(PARKED)
        self.quarter(*DIAGONALS[0])


def chacha_of(rounds: int) -> str:
    """(result in r0, state in r1); both word-aligned, 64 bytes."""
    code = ChaCha()
    into = [f"ldr {r}, [r1, #{4 * word}]" for word, r in code.register.items() if r != "r1"]
    into += [f"ldr r1, [r1, #{4 * word}]" for word, r in code.register.items() if r == "r1"]
    for _ in range(rounds // 2):
        code.double_round()
    for word, register in code.register.items():
        if code.turned[word]:
            code.lines.append(f"ror {register}, {register}, #{32 - code.turned[word]}")
    base, second = code.register[14], code.register[15]
    out = [f"str {base}, [sp, #16]", f"ldr {base}, [sp, #20]"]
    out += [f"str {r}, [{base}, #{4 * word}]" for word, r in code.register.items() if word != 14]
    out += [f"ldr {second}, [sp, #16]", f"str {second}, [{base}, #56]"]
    for word, at in code.slot.items():
        out.append(f"ldr {second}, [sp, #{at}]")
        if code.turned[word]:
            out.append(f"ror {second}, {second}, #{32 - code.turned[word]}")
        out.append(f"str {second}, [{base}, #{4 * word}]")
    parked = [f"ldr r{2 + i}, [r1, #{4 * word}]" for i, word in enumerate(PARKED)]
    parked += [f"str r{2 + i}, [sp, #{4 * i}]" for i in range(2)]
    body = ["push {r0, r4-r11, lr}", "sub sp, #20", *parked, *into, *code.lines, *out, "add sp, #24", "pop {r4-r11, pc}"]
    return function(f"chacha{rounds}", "\n".join(body))


def mixed(state: list[int], a: int, b: int, c: int, d: int) -> None:
    """A quarter round of these four words."""
    for left, right, turn in ((a, b, 16), (c, d, 12), (a, b, 8), (c, d, 7)):
        other = d if left == a else b
        state[left] = (state[left] + state[right]) & 0xFFFFFFFF
        word = state[other] ^ state[left]
        state[other] = (word << turn | word >> (32 - turn)) & 0xFFFFFFFF


def permuted(state: Sequence[int], rounds: int) -> list[int]:
    """What the kernel has to come to."""
    found = list(state)
    for four in (*COLUMNS, *DIAGONALS) * (rounds // 2):
        mixed(found, *four)
    return found


STATE_WORDS = [(0x9E3779B9 * (i + 1)) & 0xFFFFFFFF for i in range(16)]


def chacha_call(rounds: int) -> str:
    """Where the kernel and its arguments are called from a program, which counts too: it did where it was measured."""
    words = f"push {{r4, lr}}\nmov32 r0, {RESULT:#x}\nmov32 r1, {STATE:#x}\nbl chacha{rounds}\npop {{r4, pc}}"
    return function(f"call_chacha{rounds}", words)


def chacha_check(rounds: int) -> str:
    """Stops the emulation where a word of the result is wrong."""
    into = (f"mov32 r2, {word:#x}\nstr r2, [r1, #{4 * i}]" for i, word in enumerate(STATE_WORDS))
    right = enumerate(permuted(STATE_WORDS, rounds))
    out = (f"ldr r3, [r0, #{4 * i}]\nmov32 r2, {word:#x}\ncmp r2, r3\nbne wrong" for i, word in right)
    call = (f"bl chacha{rounds}", f"mov32 r0, {RESULT:#x}")
    lines = ("push {r4, lr}", f"mov32 r0, {RESULT:#x}", f"mov32 r1, {STATE:#x}", *into, *call, *out, "pop {r4, pc}")
    return function(f"check_chacha{rounds}", "\n".join(lines))


# ---- points ----

MANUAL = {
    # name: (instruction, cycles of TIMES of them)
    "add": ("add.w r2, r3, r4", TIMES),
    "mla": ("mla r2, r3, r4, r5", TIMES),
    "smlad": ("smlad r2, r3, r4, r5", TIMES),
    "umaal": ("umaal r2, r3, r4, r5", TIMES),
    "ldr": ("ldr r2, [r1]", TIMES + 1),
    "str": ("str r2, [r1]", TIMES),
    "ldm": ("ldm r1, {r2, r3, r4, r5}", 5 * TIMES),
    "vadd": ("vadd.f32 s0, s1, s2", TIMES),
    "vmul": ("vmul.f32 s0, s1, s2", TIMES),
    "vfma": ("vfma.f32 s0, s1, s2; vfma.f32 s3, s1, s2", 3 * TIMES),
    "vdiv": ("vdiv.f32 s0, s1, s2", 14 * TIMES),
    "vsqrt": ("vsqrt.f32 s0, s1", 14 * TIMES),
}
"""Arm DDI 0439, tables 3-1 and 7-1. The model was made from these tables, so that only a slip of it would show."""
ROUNDS = {8: 414, 12: 572, 20: 888}
_RIJNEVELD = "joostrijneveld/chacha-arm-cortex-m, table of benchmarks"
_NRFCXX = "pabigot/nrfcxx, comment in delay_cycles.S"
_NIST = "usnistgov/Lightweight-Cryptography-Benchmarking, AES with tables in flash and in RAM"


def points() -> Iterator[Point]:
    for name, (instruction, cycles) in MANUAL.items():
        what, pair = f"{TIMES} in a row: `{instruction}`", (f"line_{name}", "line_none")
        yield Point(what, "Cortex-M4", "Arm DDI 0439", (cycles, cycles), "cycles", pair, 1, CORE, 0.001)
    chip = "STM32F407, 0 wait states"
    for rounds, cycles in ROUNDS.items():
        what = f"ChaCha's permutation, {rounds} rounds, with its call"
        pair = (f"call_chacha{rounds}", "nothing")
        yield Point(what, chip, _RIJNEVELD, (cycles, cycles), "cycles", pair, 1, CORE, 0.03)
    slope = (ROUNDS[20] - ROUNDS[8]) / 6
    pair = ("call_chacha20", "call_chacha8")
    yield Point("ChaCha's permutation, two rounds more", chip, _RIJNEVELD, (slope, slope), "cycles", pair, 6, CORE, 0.03)
    for place in (0, 4, 8, 14):
        what, pair = f"delay loop {place} B into a line", (f"delay_{place}", "nothing")
        yield Point(what, "nRF52", _NRFCXX, (3, 3), "cycles a turn", pair, TURNS, "nrf52840", 0.02)
    for place in (8, 14):
        what, pair = f"delay loop {place} B into a line, cache off", (f"delay_{place}", "nothing")
        yield Point(what, "nRF52", _NRFCXX, (7, 7), "cycles a turn", pair, TURNS, "nrf52840", None, False)
    what, pair = "random bytes of a table of 1 KiB, flash less RAM", ("lookups_flash", "lookups_ram")
    yield Point(what, "nRF52840", _NIST, (2.8, 4.0), "cycles a read", pair, TURNS, "nrf52840", 0.02)


def program() -> str:
    """All kernels."""
    parts = [function("nothing", "bx lr"), function("line_none", f"{_SET_UP}\nbx lr"), function("wrong", "udf #0")]
    parts += [straight(f"line_{name}", instruction) for name, (instruction, _) in MANUAL.items()]
    parts += [make(rounds) for rounds in ROUNDS for make in (chacha_of, chacha_call, chacha_check)]
    parts += [delay(f"delay_{place}", place) for place in (0, 4, 8, 14)]
    parts += [lookups("lookups_flash", "table"), lookups("lookups_ram", f"{TABLE:#x}"), ".balign 16\ntable:\n.space 1024, 0x5a"]
    macro = ".macro mov32 to, value\nmovw \\to, #:lower16:(\\value)\nmovt \\to, #:upper16:(\\value)\n.endm"
    return "\n".join((".syntax unified", ".cpu cortex-m4", ".fpu fpv4-sp-d16", ".thumb", macro, ".text", *parts))


# ---- estimates ----


@lru_cache(maxsize=1)
def estimates() -> tuple[Estimated, ...]:
    """Of all points, in their order. Raises CalledProcessError where a kernel can't be built, or comes to a wrong result."""
    found = tuple(points())
    with tempfile.TemporaryDirectory(prefix="tinyrig-published-") as folder:
        elf = _built(Path(folder))
        cycles = {
            chip: _cycles(elf, _CHIPS[chip], [p for p in found if p.chip == chip]) for chip in {p.chip: None for p in found}
        }
    return tuple(_estimated(point, cycles[point.chip]) for point in found)


def _estimated(point: Point, cycles: dict[tuple[str, bool], list[int]]) -> Estimated:
    first, second = (cycles[name, point.cached] for name in point.kernels)
    ends = [(a - b) / point.per for a, b in zip(first, second, strict=True)]
    return Estimated(point, ends[0], ends[1 % len(ends)], ends[-1])


def _built(folder: Path) -> Path:
    source, elf = folder / "kernels.s", folder / "kernels.elf"
    source.write_text(program() + "\n")
    compiler = find_compiler()[0]
    subprocess.run([compiler, "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-Ttext=0x10000,-e0", "-o", elf, source], check=True)
    return elf


def _cycles(elf: Path, chip: Chip, about: Sequence[Point]) -> dict[tuple[str, bool], list[int]]:
    """(kernel, whether the cache was on) -> cycles by each end of the band. The results of ChaCha are checked first."""
    systems: tuple[MemorySystem, ...] = chip.systems
    wanted = list(dict.fromkeys((name, p.cached) for p in about for name in p.kernels))
    checks = [(f"check_chacha{rounds}", True) for rounds in ROUNDS]
    at = _addresses(elf)
    calls = [[at[name], cached] for name, cached in (*checks, *wanted)]
    request = {"elf": str(elf), "calls": calls, "systems": [asdict(s) for s in systems], "rules": chip.rules}
    file = elf.with_name("request.json")
    file.write_text(json.dumps(request))
    done = subprocess.run(module_command("tinyrig.virtual.timing.predict", str(file)), check=True, capture_output=True, text=True)
    return dict(zip(wanted, json.loads(done.stdout)[len(checks) :], strict=True))


def _addresses(elf: Path) -> dict[str, int]:
    names = subprocess.run([find_compiler()[0].replace("gcc", "nm"), elf], check=True, capture_output=True, text=True).stdout
    return {name: int(address, 16) for address, name in re.findall(r"^(\w+) T (\w+)$", names, re.MULTILINE)}


# ---- the table ----


def table(found: Sequence[Estimated]) -> str:
    head = "| what | silicon | published | estimated | off | held to |\n|---|---|---:|---:|---:|---:|"
    return "\n".join((head, *map(_row, found)))


def _row(e: Estimated) -> str:
    low, high = e.point.published
    published = f"{low:,.4g}" if low == high else f"{low:g} to {high:g}"
    band = f" ({e.low:.3g}-{e.high:.3g})" if e.low != e.high else ""
    held = "not met" if e.point.tolerance is None else f"{100 * e.point.tolerance:g} %"
    cells = (
        e.point.name,
        e.point.silicon,
        f"{published} {e.point.unit}",
        f"{e.value:,.4g}{band}",
        f"{100 * e.error:+.1f} %",
        held,
    )
    return f"| {' | '.join(cells)} |"


def main() -> int:
    text = table(estimates())
    if "--write" not in sys.argv[1:]:
        print(text)
        return 0
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
