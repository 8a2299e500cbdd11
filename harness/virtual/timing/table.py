"""What one Cortex-M4F instruction does to the pipeline: the one description that the C hook and the Python fallback read.

A row matches `word & mask == value` (narrow: the halfword; wide: first halfword in the upper 16 bits); the first match wins.
Operand words name registers: t0 t3 t6 t8 = 3-bit field at that bit, q0 q8 q12 q16 = 4-bit field, hi = the split 4-bit field of
the high-register forms, sp = r13, list8 list9 list16 = a register list, sd sn sm = single-precision registers, imm8 = a number.

Sources: [T] ARM 100166 "Cortex-M4 Technical Reference Manual" r0p1, table 3-1 (instruction timings); [P] ibid. section 3.3.3,
load/store pairing and address-generation rules; [F] ibid. table 7-1 (FPU timings); [A] ARM DDI 0403 (v7-M encodings);
[M] compendium.i-0.nl, measured with
the DWT's counters of a Cortex-M4 (branch timing, instruction alignment); [E] an estimate, the text says of what.
What fetching an instruction and reading data adds is memory.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

PENALTY_DIRECT = 1
"""Extra cycles of a taken direct branch: two in all, three to a wide instruction off a word border, whose two words are fetched
one after the other. [T] allows 1 + P with P = 1 to 3. [M] measured so on a Cortex-M4; Nordic's own nRF52840 delay loop (SUBS,
BHI) counts three cycles a turn. With these the model lay 5.0 % below pqm4's published cycles of a real part on average."""
PENALTY_INDIRECT = 2
"""The same where the target comes from a register or from memory: three in all."""


class Kind(IntEnum):
    """How an instruction pairs with its neighbours."""

    ALU = 0
    LOAD = 1  # single load: pipelines with a following load or store
    LOAD_MANY = 2  # LDM, LDRD, VLDM: never pipelined
    STORE_IMMEDIATE = 3  # single store, immediate offset: its data phase is buffered
    STORE_REGISTER = 4  # single store, register offset: needs a third register read
    STORE_MANY = 5
    BRANCH = 6
    FLOAT = 7
    NOP = 8
    IT = 9


@dataclass(frozen=True)
class Row:
    """`cycles` without a taken branch; `counted` adds the number of registers in a list (or imm8); `penalty` if it branches."""

    mask: int
    value: int
    kind: Kind
    source: str
    cycles: int = 1
    penalty: int = 0
    address: str = ""
    writes: str = ""
    fp_reads: str = ""
    fp_writes: str = ""
    counted: str = ""
    base: str = ""


_LOAD, _IMM, _REG, _FP = Kind.LOAD, Kind.STORE_IMMEDIATE, Kind.STORE_REGISTER, Kind.FLOAT
_MANY, _STM, _ALU, _BR = Kind.LOAD_MANY, Kind.STORE_MANY, Kind.ALU, Kind.BRANCH

NARROW: tuple[Row, ...] = (
    Row(0xE000, 0x0000, _ALU, "[T] shift, add, sub", writes="t0"),
    Row(0xF800, 0x2800, _ALU, "[T] CMP immediate"),
    Row(0xE000, 0x2000, _ALU, "[T] MOV, ADD, SUB immediate", writes="t8"),
    Row(0xFFC0, 0x4200, _ALU, "[T] TST"),
    Row(0xFF80, 0x4280, _ALU, "[T] CMP, CMN"),
    Row(0xFC00, 0x4000, _ALU, "[T] data processing, MUL", writes="t0"),
    Row(0xFF00, 0x4700, _BR, "[T] BX, BLX", penalty=PENALTY_INDIRECT),
    Row(0xFF00, 0x4500, _ALU, "[T] CMP, high registers"),
    Row(0xFD87, 0x4487, _BR, "[T] ADD, MOV to PC", penalty=PENALTY_INDIRECT, writes="hi"),
    Row(0xFC00, 0x4400, _ALU, "[T] ADD, MOV, high registers", writes="hi"),
    Row(0xF800, 0x4800, _LOAD, "[T] LDR literal", cycles=2, writes="t8"),
    Row(0xFE00, 0x5000, _REG, "[T][P] STR register offset", cycles=2, address="t3 t6"),
    Row(0xFE00, 0x5200, _REG, "[T][P] STRH register offset", cycles=2, address="t3 t6"),
    Row(0xFE00, 0x5400, _REG, "[T][P] STRB register offset", cycles=2, address="t3 t6"),
    Row(0xF000, 0x5000, _LOAD, "[T] LDR* register offset", cycles=2, address="t3 t6", writes="t0"),
    Row(0xF800, 0x6000, _IMM, "[P] STR immediate", address="t3"),
    Row(0xF800, 0x7000, _IMM, "[P] STRB immediate", address="t3"),
    Row(0xF800, 0x8000, _IMM, "[P] STRH immediate", address="t3"),
    Row(0xF800, 0x6800, _LOAD, "[T] LDR immediate", cycles=2, address="t3", writes="t0"),
    Row(0xF800, 0x7800, _LOAD, "[T] LDRB immediate", cycles=2, address="t3", writes="t0"),
    Row(0xF800, 0x8800, _LOAD, "[T] LDRH immediate", cycles=2, address="t3", writes="t0"),
    Row(0xF800, 0x9000, _IMM, "[P] STR SP-relative", address="sp"),
    Row(0xF800, 0x9800, _LOAD, "[T] LDR SP-relative", cycles=2, address="sp", writes="t8"),
    Row(0xF000, 0xA000, _ALU, "[T] ADR, ADD from SP", writes="t8"),
    Row(0xF500, 0xB100, _BR, "[T] CBZ, CBNZ", penalty=PENALTY_DIRECT),
    Row(0xFF00, 0xB000, _ALU, "[T] ADD, SUB SP", writes="sp"),
    Row(0xFE00, 0xB400, _STM, "[T] PUSH: 1 + N", counted="list9", address="sp"),
    Row(
        0xFF00, 0xBD00, _BR, "[T] POP with PC: 1 + N + P", counted="list9", penalty=PENALTY_INDIRECT, address="sp", writes="list8"
    ),
    Row(0xFF00, 0xBC00, _MANY, "[T] POP: 1 + N", counted="list9", address="sp", writes="list8"),
    Row(0xFF0F, 0xBF00, Kind.NOP, "[T] NOP and hints"),
    Row(0xFF00, 0xBF00, Kind.IT, "[T] IT: folded into a preceding instruction"),
    Row(0xF000, 0xB000, _ALU, "[T] extend, reverse, CPS", writes="t0"),
    Row(0xF800, 0xC000, _STM, "[T] STM: 1 + N", counted="list8", address="t8"),
    Row(0xF800, 0xC800, _MANY, "[T] LDM: 1 + N", counted="list8", address="t8", writes="list8"),
    Row(0xFF00, 0xDF00, _ALU, "[E] SVC: the exception's entry is not counted"),
    Row(0xF000, 0xD000, _BR, "[T] B<cond>", penalty=PENALTY_DIRECT),
    Row(0xF800, 0xE000, _BR, "[T] B", penalty=PENALTY_DIRECT),
)

_FLOAT: tuple[Row, ...] = (
    Row(0xFF100010, 0xEE000010, _FP, "[F] VMOV core to single", fp_writes="sn"),
    Row(0xFF10F010, 0xEE10F010, _FP, "[F] VMRS to APSR", fp_reads="sn"),
    Row(0xFF100010, 0xEE100010, _FP, "[F] VMOV single to core", fp_reads="sn", writes="q12"),
    Row(0xFFB00010, 0xEE000000, _FP, "[F] VMLA, VMLS: 3", cycles=3, fp_reads="sn sm sd", fp_writes="sd"),
    Row(0xFFB00010, 0xEE100000, _FP, "[F] VNMLA, VNMLS: 3", cycles=3, fp_reads="sn sm sd", fp_writes="sd"),
    Row(0xFFB00010, 0xEE900000, _FP, "[F] VFNMA, VFNMS: 3", cycles=3, fp_reads="sn sm sd", fp_writes="sd"),
    Row(0xFFB00010, 0xEEA00000, _FP, "[F] VFMA, VFMS: 3", cycles=3, fp_reads="sn sm sd", fp_writes="sd"),
    Row(0xFFB00010, 0xEE800000, _FP, "[F] VDIV: 14", cycles=14, fp_reads="sn sm", fp_writes="sd"),
    Row(0xFFB00050, 0xEEB00000, _FP, "[F] VMOV immediate", fp_writes="sd"),
    Row(0xFFBF00D0, 0xEEB100C0, _FP, "[F] VSQRT: 14", cycles=14, fp_reads="sm", fp_writes="sd"),
    Row(0xFFBE0050, 0xEEB40040, _FP, "[F] VCMP, VCMPE", fp_reads="sm sd"),
    Row(0xFFB00010, 0xEEB00000, _FP, "[F] VMOV, VABS, VNEG, VCVT", fp_reads="sm", fp_writes="sd"),
    Row(0xFF000010, 0xEE000000, _FP, "[F] VADD, VSUB, VMUL, VNMUL", fp_reads="sn sm", fp_writes="sd"),
    Row(0xFFE00000, 0xEC400000, _FP, "[F] VMOV two core registers: 2", cycles=2),
    Row(0xFF3F0100, 0xED1F0000, _LOAD, "[F] VLDR literal, single", cycles=2, fp_writes="sd"),
    Row(0xFF3F0100, 0xED1F0100, _LOAD, "[F] VLDR literal, double: 3", cycles=3, fp_writes="sd"),
    Row(0xFF300100, 0xED100000, _LOAD, "[F] VLDR single", cycles=2, address="q16", fp_writes="sd"),
    Row(0xFF300100, 0xED100100, _LOAD, "[F] VLDR double: 3", cycles=3, address="q16", fp_writes="sd"),
    Row(0xFF300100, 0xED000000, _IMM, "[F][P] VSTR single", address="q16", fp_reads="sd"),
    Row(0xFF300100, 0xED000100, _IMM, "[F][P] VSTR double", cycles=2, address="q16", fp_reads="sd"),
    Row(0xEC100000, 0xEC100000, _MANY, "[F] VLDM, VPOP: 1 + N", counted="imm8", address="q16"),
    Row(0xEC100000, 0xEC000000, _STM, "[F] VSTM, VPUSH: 1 + N", counted="imm8", address="q16"),
)

_MEMORY: tuple[Row, ...] = (
    Row(
        0xFE508000,
        0xE8108000,
        _BR,
        "[T] LDM with PC: 1 + N + P",
        counted="list16",
        penalty=PENALTY_INDIRECT,
        address="q16",
        writes="list16",
    ),
    Row(0xFE500000, 0xE8100000, _MANY, "[T] LDM: 1 + N", counted="list16", address="q16", writes="list16"),
    Row(0xFE500000, 0xE8000000, _STM, "[T] STM: 1 + N", counted="list16", address="q16"),
    Row(0xFFF000E0, 0xE8D00000, _BR, "[T] TBB, TBH: 2 + P", cycles=3, penalty=PENALTY_INDIRECT + 1, address="q16 q0"),
    Row(0xFF500000, 0xE9500000, _MANY, "[T] LDRD: 1 + N", cycles=3, address="q16", writes="q12 q8"),
    Row(0xFE700000, 0xE8700000, _MANY, "[T] LDRD post-indexed: 1 + N", cycles=3, address="q16", writes="q12 q8"),
    Row(0xFF500000, 0xE9400000, _STM, "[T] STRD: 1 + N", cycles=3, address="q16"),
    Row(0xFE700000, 0xE8600000, _STM, "[T] STRD post-indexed: 1 + N", cycles=3, address="q16"),
    Row(0xFE500000, 0xE8500000, _MANY, "[T] LDREX*: 2", cycles=2, address="q16"),
    Row(0xFE500000, 0xE8400000, _STM, "[T] STREX*, CLREX: 2", cycles=2, address="q16"),
    Row(0xFE7FF000, 0xF85FF000, _BR, "[T] LDR literal to PC", cycles=3, penalty=PENALTY_INDIRECT),
    Row(0xFEF0F000, 0xF8D0F000, _BR, "[T] LDR to PC", cycles=3, penalty=PENALTY_INDIRECT, address="q16"),
    Row(0xFE70F800, 0xF850F800, _BR, "[T] LDR to PC", cycles=3, penalty=PENALTY_INDIRECT, address="q16"),
    Row(0xFE70F000, 0xF850F000, _BR, "[T] LDR register offset to PC", cycles=3, penalty=PENALTY_INDIRECT, address="q16 q0"),
    Row(0xFE10F000, 0xF810F000, Kind.NOP, "[T] PLD, PLI"),
    Row(0xFE1F0000, 0xF81F0000, _LOAD, "[T] LDR* literal", cycles=2, writes="q12"),
    Row(0xFE900000, 0xF8900000, _LOAD, "[T] LDR* 12-bit offset", cycles=2, address="q16", writes="q12"),
    Row(0xFE900900, 0xF8100900, _LOAD, "[T][P] LDR* with write-back", cycles=2, address="q16", writes="q12", base="q16"),
    Row(0xFE900800, 0xF8100800, _LOAD, "[T] LDR* 8-bit offset", cycles=2, address="q16", writes="q12"),
    Row(0xFE900000, 0xF8100000, _LOAD, "[T] LDR* register offset", cycles=2, address="q16 q0", writes="q12"),
    Row(0xFF900000, 0xF8800000, _IMM, "[P] STR* 12-bit offset", address="q16"),
    Row(0xFF900900, 0xF8000900, _IMM, "[P] STR* with write-back", address="q16", base="q16"),
    Row(0xFF900800, 0xF8000800, _IMM, "[P] STR* 8-bit offset", address="q16"),
    Row(0xFF900000, 0xF8000000, _REG, "[T][P] STR* register offset", cycles=2, address="q16 q0"),
)

_REST: tuple[Row, ...] = (
    Row(0xFE000F00, 0xEA000F00, _ALU, "[T] TST, TEQ, CMP, CMN shifted register"),
    Row(0xFE000000, 0xEA000000, _ALU, "[T] data processing, shifted register", writes="q8"),
    Row(0xF8008F00, 0xF0000F00, _ALU, "[T] TST, TEQ, CMP, CMN immediate"),
    Row(0xF8008000, 0xF0000000, _ALU, "[T] data processing, immediate", writes="q8"),
    Row(0xFFFFD000, 0xF3AF8000, Kind.NOP, "[T] wide NOP and hints"),
    Row(0xFB80D000, 0xF3808000, _ALU, "[T] MSR, MRS: 2; [E] barriers: 2 when nothing is outstanding", cycles=2),
    Row(0xF8008000, 0xF0008000, _BR, "[T] B, B<cond>, BL", penalty=PENALTY_DIRECT),
    Row(0xFFF00000, 0xFB900000, _ALU, "[T] SDIV: 2 to 12; [E] 7, the middle", cycles=7, writes="q8"),
    Row(0xFFF00000, 0xFBB00000, _ALU, "[T] UDIV: 2 to 12; [E] 7, the middle", cycles=7, writes="q8"),
    Row(0xFF800000, 0xFB800000, _ALU, "[T] long multiplies: 1", writes="q8 q12"),
    Row(0xF8000000, 0xF8000000, _ALU, "[T] multiplies, MLA, SMLAD, extends, SIMD: 1", writes="q8"),
)

WIDE: tuple[Row, ...] = _FLOAT + _MEMORY + _REST
