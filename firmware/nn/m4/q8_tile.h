/* q8_tile.h: the inner product tiles of the fast int8 convolutions (number format: q8_common.h).
 *
 * 4 positions x 2 channels: 32 cycles for 32 multiply-accumulates (16 SMLAD, 2 SXTB16, 10 loads in 4 groups), and all
 * 14 usable registers, so the loop's end sits in an FPU register. Position p reads its words at x + p * pitch; a step
 * (four values of the sum) moves x by `advance` bytes and the weights by two words. */
#ifndef M4_Q8_TILE_H
#define M4_Q8_TILE_H

#include "m4/q8_common.h"

/* a: channel 0, b: channel 1; indexed by position. */
typedef struct {
    int32_t a[4], b[4];
} q8_tile;

typedef struct {
    const uint8_t *x;
    const uint32_t *w;
} q8_streams;

#if M4_ASM
/* Registers are fixed: given 14 free operands gcc now and then finds no assignment at all. a: r0-r3, b: r4-r7, x: r8,
 * w: r9; r10 and r11 hold the weights, r12 and lr two positions. */
/* clang-format off: a line is a group of instructions */
#define Q8_MAC4(a_u, b_u, a_v, b_v)                                            \
    "smlad " a_u ", r12, r10, " a_u "\n\tsmlad " b_u ", r12, r11, " b_u "\n\t" \
    "smlad " a_v ", lr, r10, " a_v "\n\tsmlad " b_v ", lr, r11, " b_v "\n\t"
#define Q8_MAC_01 Q8_MAC4("r0", "r4", "r1", "r5")
#define Q8_MAC_23 Q8_MAC4("r2", "r6", "r3", "r7")
#define Q8_STEP                                                                                                    \
    "ldr r10, [r9], #8\n\tldr r11, [r9, #-4]\n\t"                                                                  \
    "ldr lr, [r8, #%c[p]]\n\tldr r12, [r8], #4\n\t" Q8_MAC_01                                                      \
    "ldr r12, [r8, #2*%c[p]-4]\n\tldr lr, [r8, #3*%c[p]-4]\n\t" Q8_MAC_23 "sxtb16 r10, r10\n\tsxtb16 r11, r11\n\t" \
    "ldr r12, [r8, #2*%c[p]]\n\tldr lr, [r8, #3*%c[p]]\n\t" Q8_MAC_23                                              \
    "ldr lr, [r8, #%c[p]]\n\tldr r12, [r8], #%c[adv]-4\n\t" Q8_MAC_01
/* clang-format on */
#define Q8_STEPS_1 Q8_STEP
#define Q8_STEPS_2 Q8_STEP Q8_STEP
#define Q8_STEPS_3 Q8_STEPS_2 Q8_STEP
#define Q8_STEPS_4 Q8_STEPS_2 Q8_STEPS_2
#define Q8_STEPS_5 Q8_STEPS_4 Q8_STEP
#define Q8_STEPS_6 Q8_STEPS_4 Q8_STEPS_2
#define Q8_STEPS_7 Q8_STEPS_4 Q8_STEPS_3
#define Q8_STEPS_8 Q8_STEPS_4 Q8_STEPS_4
#define Q8_STEPS_9 Q8_STEPS_8 Q8_STEP

/* What the sums become, as q8_requant does it: twice the value to r8, then multiplier r10, half a unit r11, shift lr. */
#define Q8_OUT(scale, a, at)                                                                                             \
    scale "add " a ", r11, " a ", asr #31\n\tsmmlar " a ", r8, r10, " a "\n\tasr " a ", lr\n\tssat " a ", #8, " a "\n\t" \
          "strb " a ", [%[out], #" at "]\n\t"
/* Half a unit, (2 * zero + 1) << (shift - 1): the shift is the lowest byte of lr. */
#define Q8_HALF "mov r8, %[unit]\n\tsub r11, lr, #1\n\tlsl r11, r8, r11\n\t"
#define Q8_ASR7(a) "asr r8, " a ", #7\n\t"
#define Q8_LSL1(a) "lsl r8, " a ", #1\n\t"
#define Q8_OUTS(scale)                                                                                                      \
    __asm__ volatile("ldr lr, [r9, #8]\n\tldr r10, [r9], #4\n\t" Q8_HALF Q8_OUT(scale("r0"), "r0", "0")                     \
                         Q8_OUT(scale("r1"), "r1", "%c[c]") Q8_OUT(scale("r2"), "r2", "2*%c[c]")                            \
                             Q8_OUT(scale("r3"), "r3", "3*%c[c]") "ldr r10, [r9], #8\n\tlsr lr, lr, #8\n\t" Q8_HALF Q8_OUT( \
                                 scale("r4"), "r4", "1") Q8_OUT(scale("r5"), "r5", "%c[c]+1")                               \
                                 Q8_OUT(scale("r6"), "r6", "2*%c[c]+1") Q8_OUT(scale("r7"), "r7", "3*%c[c]+1")              \
                     : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(b0), "+r"(b1), "+r"(b2), "+r"(b3), "+r"(w)              \
                     : [unit] "i"(unit), [out] "r"(to), [c] "i"(out_c)                                                      \
                     : "r8", "r10", "r11", "lr", "memory")

/* Stores a tile's two channels, for the whole range of int8 and right shifts; w: both multipliers, both shifts in a word. -> what
 * is behind them. unit: 2 * zero + 1; out: channel 0 of position 0; parts: the sums are plain. All but t, w and out are constants. */
M4_INLINE const uint32_t *q8_store_4x2(const q8_tile *t, const uint32_t *weights, int unit, int8_t *out, int out_c, int parts) {
    register int32_t a0 __asm__("r0") = t->a[0], a1 __asm__("r1") = t->a[1], a2 __asm__("r2") = t->a[2];
    register int32_t a3 __asm__("r3") = t->a[3], b0 __asm__("r4") = t->b[0], b1 __asm__("r5") = t->b[1];
    register int32_t b2 __asm__("r6") = t->b[2], b3 __asm__("r7") = t->b[3];
    register const uint32_t *w __asm__("r9") = weights;
    register int8_t *to __asm__("r12") = out;
    if (parts)
        Q8_OUTS(Q8_LSL1);
    else
        Q8_OUTS(Q8_ASR7);
    return w;
}

/* `times` rounds of `body`. */
#define Q8_BLOCK(body)                                                                                                     \
    do {                                                                                                                   \
        if (times > 1)                                                                                                     \
            __asm__ volatile(".p2align 2\n1:\n\t" body "vmov r10, %[end]\n\tcmp r8, r10\n\tbne 1b\n\t" Q8_OPERANDS, "cc"); \
        else                                                                                                               \
            __asm__ volatile(body Q8_OPERANDS);                                                                            \
    } while (0)
#define Q8_OPERANDS                                                                                    \
    : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(b0), "+r"(b1), "+r"(b2), "+r"(b3), "+r"(x), "+r"(w)            \
    : [p] "i"(pitch), [adv] "i"(advance), [end] "t"(end)                                                          \
    : "r10", "r11", "r12", "lr", "memory"

/* times * unroll steps; all of times, unroll, pitch and advance are constants of the call. */
M4_INLINE void q8_rounds(q8_tile *t, q8_streams *s, int times, int unroll, int pitch, int advance) {
    const float end = m4_to_fpu((uint32_t)(uintptr_t)(s->x + times * unroll * advance));
    register int32_t a0 __asm__("r0") = t->a[0], a1 __asm__("r1") = t->a[1], a2 __asm__("r2") = t->a[2];
    register int32_t a3 __asm__("r3") = t->a[3], b0 __asm__("r4") = t->b[0], b1 __asm__("r5") = t->b[1];
    register int32_t b2 __asm__("r6") = t->b[2], b3 __asm__("r7") = t->b[3];
    register const uint8_t *x __asm__("r8") = s->x;
    register const uint32_t *w __asm__("r9") = s->w;
    switch (unroll) {
    case 1: Q8_BLOCK(Q8_STEPS_1); break;
    case 2: Q8_BLOCK(Q8_STEPS_2); break;
    case 3: Q8_BLOCK(Q8_STEPS_3); break;
    case 4: Q8_BLOCK(Q8_STEPS_4); break;
    case 5: Q8_BLOCK(Q8_STEPS_5); break;
    case 6: Q8_BLOCK(Q8_STEPS_6); break;
    case 7: Q8_BLOCK(Q8_STEPS_7); break;
    case 8: Q8_BLOCK(Q8_STEPS_8); break;
    default: Q8_BLOCK(Q8_STEPS_9); break;
    }
    *t = (q8_tile){{a0, a1, a2, a3}, {b0, b1, b2, b3}};
    *s = (q8_streams){x, w};
}
#else
M4_INLINE const uint32_t *q8_store_4x2(const q8_tile *t, const uint32_t *w, int unit, int8_t *out, int out_c, int parts) {
    for (int c = 0; c < 2; c++) {
        const int32_t e = (int32_t)(w[2] >> 8 * c & 31), half = (int32_t)((uint32_t)unit << (e - 1));
        for (int p = 0; p < 4; p++) {
            const int32_t acc = c ? t->b[p] : t->a[p], twice = parts ? 2 * acc : acc >> 7;
            out[p * out_c + c] = (int8_t)m4_ssat8(m4_smmlar(twice, (int32_t)w[c], m4_add32(half, acc >> 31)) >> e);
        }
    }
    return w + 3;
}

M4_INLINE void q8_rounds(q8_tile *t, q8_streams *s, int times, int unroll, int pitch, int advance) {
    for (int i = 0; i < times * unroll; i++, s->x += advance, s->w += 2) {
        for (int p = 0; p < 4; p++) {
            uint32_t odd = m4_load(s->x + p * pitch), even = m4_load(s->x + p * pitch + 4);
            t->a[p] = m4_smlad(even, m4_sxtb16(s->w[0]), m4_smlad(odd, s->w[0], t->a[p]));
            t->b[p] = m4_smlad(even, m4_sxtb16(s->w[1]), m4_smlad(odd, s->w[1], t->b[p]));
        }
    }
}
#endif

/* `steps` steps in rounds of `unroll`, and what is left at once. */
M4_INLINE void q8_dot_4x2(q8_tile *t, q8_streams *s, int steps, int unroll, int pitch, int advance) {
    if (steps / unroll) q8_rounds(t, s, steps / unroll, unroll, pitch, advance);
    if (steps % unroll) q8_rounds(t, s, 1, steps % unroll, pitch, advance);
}

/* Two positions: 18 cycles for 16 multiply-accumulates. */
M4_INLINE void q8_dot_2x2(q8_tile *t, q8_streams *s, int steps, int pitch, int advance) {
    const uint32_t *w = s->w;
    const uint8_t *x = s->x;
    int32_t a0 = t->a[0], a1 = t->a[1], b0 = t->b[0], b1 = t->b[1];
#pragma GCC unroll 2
    for (int i = 0; i < steps; i++, x += advance, w += 2) {
        const uint32_t w0 = w[0], w1 = w[1], odd0 = m4_load(x), odd1 = m4_load(x + pitch);
        a0 = m4_smlad(odd0, w0, a0);
        b0 = m4_smlad(odd0, w1, b0);
        a1 = m4_smlad(odd1, w0, a1);
        b1 = m4_smlad(odd1, w1, b1);
        const uint32_t even0 = m4_load(x + 4), even1 = m4_load(x + pitch + 4), v0 = m4_sxtb16(w0), v1 = m4_sxtb16(w1);
        a0 = m4_smlad(even0, v0, a0);
        b0 = m4_smlad(even0, v1, b0);
        a1 = m4_smlad(even1, v0, a1);
        b1 = m4_smlad(even1, v1, b1);
    }
    t->a[0] = a0, t->a[1] = a1, t->b[0] = b0, t->b[1] = b1;
    *s = (q8_streams){x, w};
}

/* One position, the same weights: what is left of a row. 11 cycles for 8 multiply-accumulates. */
M4_INLINE void q8_dot_1x2(int32_t *a, int32_t *b, q8_streams *s, int steps, int advance) {
    const uint32_t *w = s->w;
    const uint8_t *x = s->x;
    int32_t sum_a = *a, sum_b = *b;
#pragma GCC unroll 2
    for (int i = 0; i < steps; i++, x += advance, w += 2) {
        uint32_t odd = m4_load(x), even = m4_load(x + 4), w0 = w[0], w1 = w[1];
        sum_a = m4_smlad(odd, w0, sum_a);
        sum_b = m4_smlad(odd, w1, sum_b);
        sum_a = m4_smlad(even, m4_sxtb16(w0), sum_a);
        sum_b = m4_smlad(even, m4_sxtb16(w1), sum_b);
    }
    *a = sum_a;
    *b = sum_b;
    s->w = w;
    s->x = x;
}

#endif
