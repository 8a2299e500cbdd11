"""The Cortex-M4F timing model in Python: the reference of timing.c and its stand-in where no host compiler exists.

A block is straight-line code as the emulator runs it. Each of its instructions takes its own cycles plus what it pays or saves
because of its predecessor; a block that does not begin where the last one ended adds the taken branch. Where the emulator cut
straight-line code in two (at a page's border), the instructions across the cut count like any others.
What a block costs by itself is worked out once (`block_cost`), what it costs to arrive there each time (`arrival`). What fetching
the instructions and reading data adds to that is memory.py's.
Limits: a conditional instruction inside an IT block costs the same whether its condition holds or not; pairs across a branch,
taken or not, are not seen; exceptions cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinyrig.virtual.timing.table import NARROW, WIDE, Kind, Row

OPERANDS: dict[str, tuple[int, int, int]] = {
    # word: (how, bit, low bit), as struct timing_operand of instruction.h
    "": (0, 0, 0),
    "t0": (1, 0, 0),
    "t3": (1, 3, 0),
    "t6": (1, 6, 0),
    "t8": (1, 8, 0),
    "q0": (2, 0, 0),
    "q8": (2, 8, 0),
    "q12": (2, 12, 0),
    "q16": (2, 16, 0),
    "hi": (3, 0, 0),
    "sp": (4, 13, 0),
    "list8": (5, 8, 0),
    "list9": (5, 9, 0),
    "list16": (5, 16, 0),
    "sd": (6, 12, 22),
    "sn": (6, 16, 7),
    "sm": (6, 0, 5),
    "imm8": (7, 0, 0),
}

WIDE_RULE, FUSED_RULE = 1, 2
"""Bits of `rules`, as in timing.c: of runs of wide instructions (LONG_RUN), and of fused multiply-adds (_fused_forwards)."""
ALL_RULES = WIDE_RULE | FUSED_RULE
LONG_RUN = 3
"""The third wide instruction off a word border in a row costs one cycle more: [N] of systems.py fits better with it, and it is
one more fetch than the queue holds. Later ones cost nothing more there; float code suggests one more every six."""
_FUSED_CYCLES = 3
"""Own cycles of VMLA, VFMA and their kin, which no other row of Kind.FLOAT has."""

_STORES = (Kind.STORE_IMMEDIATE, Kind.STORE_REGISTER)


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction; register sets are integers with one bit a register."""

    kind: Kind
    cycles: int
    penalty: int
    base: int
    address: int
    writes: int
    fp_reads: int
    fp_writes: int
    source: str


@dataclass(frozen=True)
class CodeBlock:
    """Cost of straight-line code: `steps` has (cycles, bytes) of each instruction; `penalty` if control leaves it other than by
    falling through. `first` and `last` are its instructions there; None: it has none. `lead` and `trail`: how many wide
    instructions off a word border it begins and ends with."""

    end: int
    steps: tuple[tuple[int, int], ...] = ()
    penalty: int = 0
    first: Instruction | None = None
    last: Instruction | None = None
    lead: int = 0
    trail: int = 0

    @property
    def instructions(self) -> int:
        return len(self.steps)


def seam(before: CodeBlock | None, current: CodeBlock, rules: int) -> int:
    """Cycles of the pair across the border of two blocks that follow each other without a branch."""
    if before is None or before.last is None or before.penalty or current.first is None:
        return 0
    return pairing(before.last, current.first, rules)


def arrival(before: CodeBlock | None, current: CodeBlock, jumped: bool, run: int, rules: int = ALL_RULES) -> int:
    """Cycles between two blocks: of the taken branch, or of the instructions at their border. `run`: how many wide instructions
    off a word border ran last."""
    if jumped:
        return before.penalty if before else 0
    third = 0 < run < LONG_RUN <= run + current.lead
    counted = run > 0 and current.lead >= LONG_RUN
    return seam(before, current, rules) + (int(third) - int(counted) if rules & WIDE_RULE else 0)


def registers(words: str, code: int) -> int:
    """The set of registers that operand `words` name in instruction `code`."""
    result = 0
    for word in words.split():
        how, at, low = OPERANDS[word]
        if how == 1:
            result |= 1 << (code >> at & 7)
        elif how == 2:
            result |= 1 << (code >> at & 15)
        elif how == 3:
            result |= 1 << (code & 7 | code >> 4 & 8)
        elif how == 4:
            result |= 1 << at
        elif how == 5:
            result |= code & ((1 << at) - 1)
        elif how == 6:
            result |= 1 << ((code >> at & 15) << 1 | code >> low & 1)
    return result


def match(code: int, wide: bool) -> Row:
    """The first row of the table that fits; the tables' last rows make sure there is one (narrow words below 0xE800)."""
    return next(row for row in (WIDE if wide else NARROW) if code & row.mask == row.value)


def decode(code: int, wide: bool) -> Instruction:
    """A 16-bit `code`, or a 32-bit one with its first halfword in the upper bits, to its timing-relevant facts."""
    row = match(code, wide)
    count = code & 0xFF if row.counted == "imm8" else registers(row.counted, code).bit_count()
    return Instruction(
        row.kind,
        (row.cycles + count) & 0xFF,
        row.penalty,
        registers(row.base, code),
        registers(row.address, code),
        registers(row.writes, code),
        registers(row.fp_reads, code),
        registers(row.fp_writes, code),
        row.source,
    )


def pairing(before: Instruction, current: Instruction, rules: int = ALL_RULES) -> int:
    """Cycles that `current` pays (or saves, negative) because `before` stands directly before it."""
    waits = bool(before.writes & current.address)
    if current.kind is Kind.IT or (current.kind is Kind.NOP and before.kind is Kind.LOAD):
        return -current.cycles  # folded: TRM 3.3, IT and NOP ride along with a 16-bit or a loading predecessor
    change = 0
    if before.kind is Kind.LOAD and current.kind is Kind.LOAD and not waits and not before.base & current.base:
        change -= 1  # back-to-back loads pipeline: the address phase hides in the other's data phase
    elif before.kind is Kind.STORE_IMMEDIATE and current.kind is Kind.LOAD:
        change += 1  # the buffered store still holds the bus
    elif before.kind is Kind.LOAD and current.kind in _STORES and not waits:
        change -= 1  # a store behind a load hides in its second cycle
    if waits and before.kind is not Kind.LOAD_MANY:
        change += 1  # an address register is read one stage early; results are not forwarded to it
    if (
        before.kind is Kind.FLOAT
        and before.fp_writes & current.fp_reads
        and not (rules & FUSED_RULE and _fused_forwards(before, current))
    ):
        change += 1  # an FPU result used at once
    return change


def _fused_forwards(before: Instruction, current: Instruction) -> bool:
    """Whether the result of a fused multiply-add is there in time: for the next one's accumulator, and for a store."""
    if not _fused(before):
        return False
    return current.kind is Kind.STORE_IMMEDIATE or (_fused(current) and before.fp_writes == current.fp_writes)


def _fused(instruction: Instruction) -> bool:
    return instruction.kind is Kind.FLOAT and instruction.cycles == _FUSED_CYCLES


def instructions(code: bytes) -> Iterator[tuple[int, bool]]:
    """(word, wide) of the Thumb instructions in `code`; a cut-off last one is left out."""
    at = 0
    while at + 2 <= len(code):
        word = int.from_bytes(code[at : at + 2], "little")
        wide = word >> 11 >= 0x1D
        if wide and at + 4 > len(code):
            return
        if wide:
            word = word << 16 | int.from_bytes(code[at + 2 : at + 4], "little")
        yield word, wide
        at += 4 if wide else 2


def block_cost(code: bytes, address: int = 0, rules: int = ALL_RULES) -> CodeBlock:
    """Cost of the straight-line `code` at `address`. `rules`: which of WIDE_RULE and FUSED_RULE hold; the
    model for zero wait states does without both."""
    steps: list[tuple[int, int]] = []
    first: Instruction | None = None
    before: Instruction | None = None
    lead = trail = 0
    at = address
    for word, wide in instructions(code):
        current = decode(word, wide)
        trail = trail + 1 if wide and at & 2 else 0
        lead = trail if trail > len(steps) else lead
        extra = (pairing(before, current, rules) if before else 0) + int(bool(rules & WIDE_RULE) and trail == LONG_RUN)
        steps.append((current.cycles + extra & 0xFF, 4 if wide else 2))
        first, before = first or current, current
        at += 4 if wide else 2
    return CodeBlock(address + len(code), tuple(steps), before.penalty if before else 0, first, before, lead, trail)
