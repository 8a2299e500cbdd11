/* loops.c: an "engine" whose inference is one of many short loops, each of which one property of the memory system makes longer.
 * Input: the number of the loop, one byte. The rig measures an inference's cycles as always; harness/calibrate/image.py names
 * the loops in the order of their numbers. Loop 0 does nothing, and what it takes is subtracted from all others. 128 more than a
 * loop's number: the same with the instruction cache off. Output: what the chip's own counters of the cache say of the loop. */
#include "../nn/engine.h"
#include "calibrate_chip.h" /* generated: CACHE_REGISTER, CACHE_ON, CACHE_PROFILE, CACHE_COUNTERS; 0 where the chip has no such thing */

/* clang-format off */
/* `bytes` of straight-line code, passed `turns` times: wide instructions, so that fetching has no cycle to spare. */
#define STRAIGHT(name, bytes, turns) \
    ".balign 8192\n.thumb_func\n" name ":\nmovw r0, #" turns "\n1:\n.rept " bytes " / 4\nadd.w r1, r2, r3\n.endr\nsubs r0, #1\nbne.w 1b\nbx lr\n"

/* `count` lines of code that lie `apart` bytes from each other, gone through 500 times. */
#define APART(name, count, apart) \
    ".balign 8192\n.thumb_func\n" name ":\nmovw r0, #500\n.set k, 0\n1:\n" \
    ".rept " count " - 1\n2:\nmov r8, r8\nmov r8, r8\nb.w 2b + " apart "\n.space " apart " - 8\n.endr\n" \
    "mov r8, r8\nsubs r0, #1\nbne.w 1b\nbx lr\n"

/* 16 wide instructions `shift` bytes off a line's start, 500 times. */
#define WIDE_RUN(name, shift) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #500\n.balign 16\n1:\n.rept " shift " / 2\nmov r8, r8\n.endr\n" \
    ".rept 16\nadd.w r1, r2, r3\n.endr\nsubs r0, #1\nbne.w 1b\nbx lr\n"

/* Reads 64 words, `stride` bytes apart, from `where`, 20 times. */
#define READS(name, load, where, stride) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #20\n1:\nldr.w r1, =" where "\nmovs r2, #64\n.balign 16\n2:\n" \
    load " r3, [r1], #" stride "\nmov r8, r8\nmov r8, r8\nsubs r2, #1\nbne.w 2b\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

/* The same from two rows in turn. */
#define ROWS(name, first, second) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #20\n1:\nldr.w r1, =" first "\nldr.w r12, =" second "\nmovs r2, #64\n.balign 16\n2:\n" \
    "ldr.w r3, [r1], #4\nmov r8, r8\nldr.w r3, [r12], #4\nmov r8, r8\nsubs r2, #1\nbne.w 2b\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

/* Reads two or more words at once, 32 times from the beginning, 20 times. */
#define READS_MANY(name, load) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #20\n1:\nldr.w r1, =calibrate_table\npush {r4, r5}\nmovs r2, #32\n.balign 16\n2:\n" \
    load "\nmov r8, r8\nmov r8, r8\nsubs r2, #1\nbne.w 2b\npop {r4, r5}\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

/* A taken branch to an instruction `shift` bytes off a line's start, 500 times. */
#define TAKEN(name, shift) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #500\n.balign 16\n.rept " shift " / 2\nmov r8, r8\n.endr\n1:\nsubs r0, #1\nbne.n 1b\nbx lr\n"

/* 8 times the instructions `code`, of a multiple of 4 bytes, `shift` bytes off a word's start, 200 times. r1: 64 words of RAM. */
#define CHAIN(name, code, shift) \
    ".balign 16\n.thumb_func\n" name ":\nldr.w r1, =calibrate_ram\nmovw r2, #30000\nmovs r3, #7\nmovw r0, #200\n.balign 16\n1:\n" \
    ".rept " shift " / 2\nmov r8, r8\n.endr\n.rept 8\n" code "\n.endr\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

__asm__(
    ".syntax unified\n.section .text.calibrate, \"ax\"\n.thumb\n"
    ".global calibrate_loops, calibrate_0\n.thumb_func\ncalibrate_0:\nbx lr\n"
    STRAIGHT("calibrate_1", "384", "100")
    STRAIGHT("calibrate_2", "768", "50")
    STRAIGHT("calibrate_3", "1536", "25")
    STRAIGHT("calibrate_4", "3072", "13")
    STRAIGHT("calibrate_5", "6144", "7")
    STRAIGHT("calibrate_6", "12288", "4")
    APART("calibrate_7", "2", "8192")
    APART("calibrate_8", "3", "8192")
    APART("calibrate_9", "5", "8192")
    APART("calibrate_10", "2", "1024")
    APART("calibrate_11", "2", "2048")
    APART("calibrate_12", "2", "4096")
    WIDE_RUN("calibrate_13", "0")
    WIDE_RUN("calibrate_14", "2")
    READS("calibrate_15", "ldr.w", "calibrate_table", "4")
    READS("calibrate_16", "ldr.w", "calibrate_table", "16")
    READS("calibrate_17", "ldr.w", "calibrate_table", "64")
    ROWS("calibrate_18", "calibrate_table", "calibrate_table + 2048")
    READS("calibrate_19", "ldr.w", "calibrate_ram", "4")
    READS("calibrate_20", "ldrb.w", "calibrate_table", "1")
    READS_MANY("calibrate_21", "ldrd r3, r12, [r1], #8")
    READS_MANY("calibrate_22", "ldm r1!, {r3, r4, r5, r12}")
    CHAIN("calibrate_23", "add.w r12, r2, r3\nldr.w r2, [r1]\nadd.w r12, r3, r3\nstr.w r12, [r1, #4]", "0")
    CHAIN("calibrate_24", "add.w r12, r2, r3\nldr.w r2, [r1]\nadd.w r12, r3, r3\nstr.w r12, [r1, #4]", "2")
    TAKEN("calibrate_25", "0")
    TAKEN("calibrate_26", "2")
    TAKEN("calibrate_27", "4")
    TAKEN("calibrate_28", "6")
    TAKEN("calibrate_29", "8")
    TAKEN("calibrate_30", "10")
    TAKEN("calibrate_31", "12")
    TAKEN("calibrate_32", "14")
    CHAIN("calibrate_33", "vmul.f32 s0, s1, s2\nvadd.f32 s3, s0, s4", "0")
    CHAIN("calibrate_34", "vfma.f32 s0, s1, s2", "0")
    CHAIN("calibrate_35", "vfma.f32 s0, s1, s2\nvstr s0, [r1]", "0")
    CHAIN("calibrate_36", "vldr s0, [r1]\nvadd.f32 s3, s0, s4", "0")
    CHAIN("calibrate_37", "vcvt.f32.s32 s0, s1", "0")
    CHAIN("calibrate_38", "vdiv.f32 s0, s1, s2", "0")
    CHAIN("calibrate_39", "ldr.w r12, [r1]\nadd.w r12, r12, r3", "0")
    CHAIN("calibrate_40", "sdiv r12, r3, r3", "0")
    CHAIN("calibrate_41", "sdiv r12, r2, r3", "0")
    CHAIN("calibrate_42", "sdiv r12, r1, r3", "0")
    ".section .data.calibrate, \"awx\"\n"
    CHAIN("calibrate_43", "add.w r12, r2, r3", "0")
    ".section .text.calibrate, \"ax\"\n"
    ".balign 16\ncalibrate_table:\n.space 4096\n"
    ".balign 4\ncalibrate_loops:\n"
    ".word calibrate_0, calibrate_1, calibrate_2, calibrate_3, calibrate_4, calibrate_5, calibrate_6, calibrate_7, calibrate_8, calibrate_9\n"
    ".word calibrate_10, calibrate_11, calibrate_12, calibrate_13, calibrate_14, calibrate_15, calibrate_16, calibrate_17, calibrate_18, calibrate_19\n"
    ".word calibrate_20, calibrate_21, calibrate_22, calibrate_23, calibrate_24, calibrate_25, calibrate_26, calibrate_27, calibrate_28, calibrate_29\n"
    ".word calibrate_30, calibrate_31, calibrate_32, calibrate_33, calibrate_34, calibrate_35, calibrate_36, calibrate_37, calibrate_38, calibrate_39\n"
    ".word calibrate_40, calibrate_41, calibrate_42, calibrate_43\n"
    ".text\n");
/* clang-format on */

enum { LOOPS = 44, CACHE_OFF = 128 };

#define REG(address) (*(volatile uint32_t *)(address))

extern void (*const calibrate_loops[LOOPS])(void);
uint32_t calibrate_ram[64];

static uint8_t input[4];
static uint32_t output[2]; /* hits and misses */
static const engine_tensor inputs[] = {{input, 1, ENGINE_UINT8, 1, {1}, 0.0f, 0}};
static const engine_tensor outputs[] = {{output, sizeof output, ENGINE_INT32, 1, {2}, 0.0f, 0}};

const engine_info engine = {.name = "calibrate",
                            .arena_bytes = sizeof input + sizeof output,
                            .input_count = 1,
                            .output_count = 1,
                            .inputs = inputs,
                            .outputs = outputs};

int engine_init(void)
{
    return ENGINE_OK;
}

/* Bits of CACHE_REGISTER, set or cleared. */
static void set_cache(uint32_t bits, int on)
{
    if (CACHE_REGISTER)
        REG(CACHE_REGISTER) = on ? REG(CACHE_REGISTER) | bits : REG(CACHE_REGISTER) & ~bits;
}

static uint32_t counted(uint32_t at)
{
    return CACHE_COUNTERS ? REG(CACHE_COUNTERS + at) : 0;
}

int engine_invoke(void)
{
    uint32_t loop = input[0] & (CACHE_OFF - 1u);
    int off = input[0] >= CACHE_OFF;
    if (loop >= LOOPS || (off && !CACHE_REGISTER))
        return ENGINE_ERR_INVOKE;
    if (off)
        set_cache(CACHE_ON, 0);
    set_cache(CACHE_PROFILE, !off);
    uint32_t hits = counted(0), misses = counted(4);
    calibrate_loops[loop]();
    output[0] = counted(0) - hits;
    output[1] = counted(4) - misses;
    set_cache(CACHE_PROFILE, 0);
    if (off)
        set_cache(CACHE_ON, 1);
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE;
}
