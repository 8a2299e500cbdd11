"""Random Thumb programs that read flash and RAM in every way that a compiler writes, as assembly text."""

from __future__ import annotations

import random

ENTRY = """
.syntax unified
.thumb
.word 0x20004000, 0x10009, 0, 0
.global start
start:
ldr r0, =0xE000ED88
mov r1, #0xF00000
str r1, [r0]
ldr r0, =table + 96
ldr r1, =table + 296
ldr r2, =0x20000100
ldr r3, =0x20000200
mov r4, #0
mov r5, #3
mov r6, #8
mov r7, #1
ldr r8, =table + 512
ldr r9, =0x20000300
ldr r10, =pointers + 80
mov r12, #20
adr r11, table + 80
str r0, [r2]
str r1, [r2, #4]
str r8, [r3, #8]
str r0, [sp, #-16]!
str r8, [sp, #4]
"""
END = """
subs r12, #1
bne again
wfi
wfi
bkpt
.ltorg
.align 4
table:
.rept 512
.word 0x01010000 + (.-table)
.endr
pointers:
.rept 64
.word table + (.-pointers) * 4
.endr
"""
POINTERS, SMALL, ANY = (
    ("r0", "r1", "r8", "r2", "r3", "r9", "r10", "r11"),
    ("r4", "r5", "r6", "r7"),
    ("r4", "r5", "r6", "r7", "lr"),
)


def _load(rng: random.Random) -> str:
    base, small, to = rng.choice(POINTERS), rng.choice(SMALL), "lr"
    fixed = rng.choice((0, 4, 8, 12, 60, 64, 124))
    return rng.choice(
        (
            f"ldr {to}, [{base}, #{fixed}]",
            f"ldrb {to}, [{base}, #{fixed + 1}]",
            f"ldrsh {to}, [{base}, #{fixed + 2}]",
            f"ldr {to}, [{base}, {small}, lsl #{rng.randrange(4)}]",
            f"ldrsb {to}, [{base}, {small}]",
            f"ldr {to}, [{base}], #64\nldr {to}, [{base}, #8]\nsub {base}, #64",
            f"ldr {to}, [{base}, #80]!\nldr {to}, [{base}]\nsub {base}, {base}, #80",
            f"add {base}, #100\nvldmdb {base}!, {{s3-s6}}\nsub {base}, #84",
            f"add {base}, #96\nldmdb {base}, {{r4, lr}}\nsub {base}, #96\nmov r4, #6",
            f"ldr {to}, [{base}, #-40]\nvldr s1, [{base}, #-72]",
            f"ldrh {to}, [{base}], #-2\nadd {base}, #2",
            f"ldrd r4, lr, [{base}, #{fixed}]\nand r4, #15",
            f"ldrd lr, r4, [{base}], #8\nsubs {base}, #8\nand r4, #7",
            f"ldm {base}, {{r4-r6}}\nand r4, #3\nand r5, #15\nmov r6, #4",
            f"ldmia {base}!, {{r5, lr}}\nsub {base}, #8\nand r5, #15",
            f"vldr s{rng.randrange(16)}, [{base}, #{fixed}]",
            f"vldr d{rng.randrange(8)}, [{base}, #{fixed}]",
            f"vldmia {base}!, {{s0-s4}}\nsub {base}, #20",
            f"vldmia {base}, {{d0-d2}}",
            f"add.w lr, {base}, {small}, lsl #2\nldr r5, [lr, #4]\nand r5, #15",
            f"add lr, {base}, #{fixed}\nadds lr, #4\nldrb r4, [lr, #-3]\nand r4, #7",
            f"sub lr, {base}, #-{fixed}\nmov r5, lr\nldrb r5, [r5]\nand r5, #7",
            f"lsl lr, {small}, #2\nldr lr, [{base}, lr]",
            f"ldr lr, =pointers + {4 * rng.randrange(30)}\nldr lr, [lr]\nldr lr, [lr, #4]",
            f"ldr lr, [r10, #{4 * rng.randrange(30)}]\nldrb r7, [lr]\nand r7, #7",
            "ldr lr, [r2]\nldr r5, [lr, #4]\nand r5, #15",
            "ldr lr, [sp, #4]\nldr lr, [lr, #12]",
            "push {r0, r4}\npop {r4, lr}\nldr lr, [r4]\nmov r4, #5",
            f"movw lr, #:lower16:table + {fixed}\nmovt lr, #:upper16:table\nldr lr, [lr]",
            f"mov lr, #0x10000\nadd lr, #{4 * fixed}\nldrb lr, [lr]",
            f"umull r4, lr, r5, r6\nand r4, #31\nldrb lr, [{base}, r4]",
            f"smulbb r4, r7, r6\nldr lr, [{base}, r4]\nmov r4, #2",
        )
    )


def _conditional(rng: random.Random) -> str:
    base, small = rng.choice(POINTERS), rng.choice(SMALL)
    return rng.choice(
        (
            f"cmp {small}, #{rng.randrange(9)}\nite hi\nldrhi lr, [{base}]\nldrls lr, [{base}, #32]",
            f"tst {small}, #1\nitt ne\naddne lr, {base}, #4\nldrne lr, [lr]",
            f"cmp {small}, r12\nitet lt\nldrlt lr, [{base}, #16]\nldrge lr, [r0]\nldrlt lr, [{base}, #64]",
            f"cmp r12, #10\nit eq\nmoveq r7, #2\nldr lr, [{base}, r7, lsl #2]",
            f"cmp r12, #{rng.randrange(20)}\nitt gt\nldrgt lr, [r8]\nldrdgt r4, r5, [r8, #8]\nand r4, #7\nand r5, #7",
        )
    )


def _other(rng: random.Random) -> str:
    fixed = 4 * rng.randrange(8)
    return rng.choice(
        (
            f"str r{rng.choice((4, 5))}, [r3, #{fixed + 32}]",
            f"str.w r{rng.choice((0, 1, 8))}, [r2, #{fixed}]",
            "str r8, [sp, #4]",
            "str r1, [r2]",
            "vadd.f32 s0, s1, s2\nvmul.f32 s3, s0, s1",
            f"eor r4, r5\nand r4, #{rng.choice((1, 7, 15))}",
            "sdiv r5, r6, r7",
            "nop",
            "cmp r4, #3\nbne 1f\nadd r7, #1\nand r7, #7\n1:",
            "uxtb r7, r7",
            "mov r5, #0\ntbb [pc, r5]\n.byte 1, 1\nmov r5, #2",
            "mov r5, #1\ntbh [pc, r5, lsl #1]\n.hword 2, 2",
        )
    )


def program(seed: int, length: int = 60) -> str:
    """Assembly of a program that ends with WFI."""
    rng = random.Random(seed)
    body = (rng.choices((_load, _conditional, _other), (6, 1, 2))[0](rng) for _ in range(length))
    return ENTRY + "again:\n" + "\n".join(body) + END
