/* loops.c: an "engine" whose inference is one of many short loops, each of which one property of the memory system makes longer.
 * Input: the number of the loop, one byte. The rig measures an inference's cycles as always; harness/calibrate knows what
 * each loop asks. Loop 0 does nothing, and what it takes is subtracted from all others. */
#include "../nn/engine.h"

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
#define READS(name, where, stride) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #20\n1:\nldr.w r1, =" where "\nmovs r2, #64\n.balign 16\n2:\n" \
    "ldr.w r3, [r1], #" stride "\nmov r8, r8\nmov r8, r8\nsubs r2, #1\nbne.w 2b\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

/* The same from two rows in turn. */
#define ROWS(name, first, second) \
    ".balign 16\n.thumb_func\n" name ":\nmovw r0, #20\n1:\nldr.w r1, =" first "\nldr.w r12, =" second "\nmovs r2, #64\n.balign 16\n2:\n" \
    "ldr.w r3, [r1], #4\nmov r8, r8\nldr.w r3, [r12], #4\nmov r8, r8\nsubs r2, #1\nbne.w 2b\nsubs r0, #1\nbne.w 1b\nbx lr\n.ltorg\n"

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
    READS("calibrate_15", "calibrate_table", "4")
    READS("calibrate_16", "calibrate_table", "16")
    READS("calibrate_17", "calibrate_table", "64")
    ROWS("calibrate_18", "calibrate_table", "calibrate_table + 2048")
    READS("calibrate_19", "calibrate_ram", "4")
    ".balign 16\ncalibrate_table:\n.space 4096\n"
    ".balign 4\ncalibrate_loops:\n"
    ".word calibrate_0, calibrate_1, calibrate_2, calibrate_3, calibrate_4, calibrate_5, calibrate_6, calibrate_7, calibrate_8, calibrate_9\n"
    ".word calibrate_10, calibrate_11, calibrate_12, calibrate_13, calibrate_14, calibrate_15, calibrate_16, calibrate_17, calibrate_18, calibrate_19\n"
    ".text\n");
/* clang-format on */

enum { LOOPS = 20 };

extern void (*const calibrate_loops[LOOPS])(void);
uint32_t calibrate_ram[64];

static uint8_t input[4], output[4];
static const engine_tensor inputs[] = {{input, 1, ENGINE_UINT8, 1, {1}, 0.0f, 0}};
static const engine_tensor outputs[] = {{output, 1, ENGINE_UINT8, 1, {1}, 0.0f, 0}};

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

int engine_invoke(void)
{
    if (input[0] >= LOOPS)
        return ENGINE_ERR_INVOKE;
    calibrate_loops[input[0]]();
    output[0] = input[0];
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE;
}
