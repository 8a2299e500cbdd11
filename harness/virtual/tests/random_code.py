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
ldr lr, =0xE000ED00
str lr, [sp, #8]
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


def _pointer(rng: random.Random) -> str:
    """Reads through pointers that memory holds, some of them written just before, by whatever way. A second read of the same line
    costs nothing, and so tells whether the first was taken for one of another line."""
    base, small, other = rng.choice(POINTERS), rng.choice(SMALL), rng.choice(("r0", "r1", "r8"))
    fixed = 4 * rng.randrange(8)
    return rng.choice(
        (
            f"str {other}, [sp, #4]\nldr lr, [sp, #4]\nldr lr, [lr, #{fixed}]\nldr lr, [{other}, #{fixed}]",
            f"ldr lr, [sp, #4]\nldr lr, [lr, #{fixed}]\nstr {other}, [sp, #4]",
            f"strd {other}, r1, [r3, #16]\nldrd r4, lr, [r3, #16]\nldr lr, [lr, #{fixed}]\nldrb lr, [r4]\nmov r4, #7",
            f"strd {other}, r1, [r3, #16]\nldr lr, [r3, #20]\nldr lr, [lr, {small}]",
            f"sub lr, r3, #256\nstr {other}, [lr]\nldr lr, [r2]\nldr lr, [lr, #{fixed}]\nldr lr, [{other}, #{fixed}]",
            f"sub lr, r3, #252\nstr {other}, [lr]\nldr lr, [r2]\nldr lr, [lr, #{fixed}]",
            f"strb {small}, [sp, #4]\nldr lr, [sp, #4]\nldrb lr, [lr]\nstr {other}, [sp, #4]",
            f"strh {small}, [r2]\nldr lr, [r2]\nbic lr, #0xFF00\nmov lr, #4\nldrb lr, [{base}, lr]\nstr {other}, [r2]",
            f"cmp {small}, #{rng.randrange(9)}\nit hi\nstrhi {other}, [sp, #4]\nldr lr, [sp, #4]\nldr lr, [lr, #{fixed}]",
            f"stm r3, {{r0, r1, r8}}\nldr lr, [r3, #4]\nldr lr, [lr]\nldr lr, [r3, #8]\nldr lr, [lr, #{fixed}]",
            f"str {other}, [sp, #-4]!\nldr lr, [sp]\nldr lr, [lr, #{fixed}]\nadd sp, #4",
            f"vmov s9, {other}\nvstr s9, [r2, #4]\nldr lr, [r2, #4]\nldr lr, [lr]",
            f"ldr lr, [sp, #8]\nldr r5, [lr, #{fixed}]\nldr lr, [{base}, r5]\nmov r5, #3",
            f"ldr lr, [r10, #{fixed}]\nstr {other}, [r2, {small}, lsl #2]\nldr lr, [lr]\nstr r0, [r2]\nstr r1, [r2, #4]",
            f"str {other}, [r3]\nadd lr, r2, #256\nstr r8, [lr]\nldr lr, [r3]\nldr lr, [lr, #{fixed}]\nldr lr, [r8, #{fixed}]",
            f"str {other}, [r3]\neor lr, r3, #0\nstr r8, [lr]\nldr lr, [r3]\nldr lr, [lr, #{fixed}]\nldr lr, [r8, #{fixed}]",
            f"eor lr, r2, #0\nstr {other}, [lr]\nldr lr, [r2]\nldr lr, [lr, #{fixed}]\nldr lr, [{other}, #{fixed}]",
            f"str {other}, [r2]\nstr r2, [r3]\nldr lr, [r3]\nldr lr, [lr]\nldr lr, [lr, #{fixed}]",
        )
    )


def _sum(rng: random.Random) -> str:
    """Reads at sums of several registers."""
    base, small, other = rng.choice(POINTERS), rng.choice(SMALL), rng.choice(("r4", "r5", "r6"))
    factor = rng.choice((1, 3, 12, 20))
    return rng.choice(
        (
            "sub lr, r8, r0\nldr lr, [r0, lr]\nsubs r5, r1, r0\nldrb lr, [r0, r5]\nmov r5, #2",
            f"mov lr, #{factor}\nmul r4, lr, r7\nldr lr, [{base}, r4]\nand r4, #7",
            f"movs r5, #{factor}\nmov r4, r7\nmuls r4, r5\nldrb lr, [{base}, r4]\nmov r4, #1",
            f"mov lr, #{factor}\nmla lr, {small}, lr, {base}\nldrb lr, [lr]",
            f"mov lr, #{factor}\nmls lr, {small}, lr, {base}\nldrb lr, [lr, #{9 * factor}]",
            f"mul r5, r6, r7\nldrb lr, [{base}, r5]\nand r5, #7",
            f"rsb lr, {small}, #24\nldrb lr, [{base}, lr]\nrsb lr, {small}, #0\nadd lr, {base}\nldrb lr, [lr, #16]",
            f"add lr, {base}, {small}, lsl #2\nadd lr, {other}\nldrb lr, [lr, r7]",
            f"add lr, {base}, {small}, lsl #2\nadd lr, {other}, lr\nadd lr, r7\nadd lr, r12\nldrb lr, [lr, r6]",
            f"add lr, {small}, {small}, lsl #1\nadd lr, {base}, lr, lsl #2\nldrb lr, [lr, #4]",
            f"sub lr, {base}, {small}, lsl #2\nadd lr, lr, {small}, lsl #2\nldr lr, [lr]",
            f"add lr, {base}, {small}, lsl #31\nsub lr, lr, {small}, lsl #31\nldr lr, [lr, #8]",
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
    """Assembly of a program that ends with WFI. In every other one a branch follows each part, which ends the block: within a
    block all reads behind one that can't be worked out aren't either."""
    rng = random.Random(seed)
    parts = (rng.choices((_load, _pointer, _sum, _conditional, _other), (6, 3, 2, 1, 2))[0](rng) for _ in range(length))
    body = ("\nb 9f\n9:\n" if seed % 2 else "\n").join(parts)
    return ENTRY + "again:\n" + body + END
