/* q16_tile.h: the inner product tiles of the 16x8 convolutions (weights: q16_common.h).
 *
 * 4 positions x 2 channels: 33 cycles for 32 multiply-accumulates (16 SMLAD, 4 SXTB16, 12 loads; the weights are loaded twice,
 * because no register is free for their other half). Registers and layout are those of q8_tile.h: a step takes four values. */
#ifndef M4_Q16_TILE_H
#define M4_Q16_TILE_H

#include "m4/q16_common.h"
#include "m4/q8_tile.h"

#if M4_ASM
/* clang-format off: a line is a group of instructions */
#define Q16_STEP                                                                                                             \
    "ldr r10, [r9]\n\tldr r11, [r9, #4]\n\tldr lr, [r8, #%c[p]]\n\tldr r12, [r8], #4\n\t"                                    \
    "sxtb16 r10, r10\n\tsxtb16 r11, r11\n\t" Q8_MAC_01 "ldr r12, [r8, #2*%c[p]-4]\n\tldr lr, [r8, #3*%c[p]-4]\n\t" Q8_MAC_23 \
    "ldr r11, [r9, #4]\n\tldr r10, [r9], #8\n\tldr r12, [r8, #2*%c[p]]\n\tldr lr, [r8, #3*%c[p]]\n\t"                        \
    "sxtb16 r10, r10, ror #8\n\tsxtb16 r11, r11, ror #8\n\t" Q8_MAC_23                                                       \
    "ldr lr, [r8, #%c[p]]\n\tldr r12, [r8], #%c[adv]-4\n\t" Q8_MAC_01
/* clang-format on */
#define Q16_STEPS_2 Q16_STEP Q16_STEP
#define Q16_STEPS_3 Q16_STEPS_2 Q16_STEP
#define Q16_STEPS_4 Q16_STEPS_2 Q16_STEPS_2
#define Q16_STEPS_5 Q16_STEPS_4 Q16_STEP
#define Q16_STEPS_6 Q16_STEPS_4 Q16_STEPS_2
#define Q16_STEPS_7 Q16_STEPS_4 Q16_STEPS_3
#define Q16_STEPS_8 Q16_STEPS_4 Q16_STEPS_4
#define Q16_STEPS_9 Q16_STEPS_8 Q16_STEP

/* times * unroll steps; all of times, unroll, pitch and advance are constants of the call. */
M4_INLINE void q16_rounds(q8_tile *t, q8_streams *s, int times, int unroll, int pitch, int advance) {
    const float end = m4_to_fpu((uint32_t)(uintptr_t)(s->x + times * unroll * advance));
    register int32_t a0 __asm__("r0") = t->a[0], a1 __asm__("r1") = t->a[1], a2 __asm__("r2") = t->a[2];
    register int32_t a3 __asm__("r3") = t->a[3], b0 __asm__("r4") = t->b[0], b1 __asm__("r5") = t->b[1];
    register int32_t b2 __asm__("r6") = t->b[2], b3 __asm__("r7") = t->b[3];
    register const uint8_t *x __asm__("r8") = s->x;
    register const uint32_t *w __asm__("r9") = s->w;
    switch (unroll) {
    case 1: Q8_BLOCK(Q16_STEP); break;
    case 2: Q8_BLOCK(Q16_STEPS_2); break;
    case 3: Q8_BLOCK(Q16_STEPS_3); break;
    case 4: Q8_BLOCK(Q16_STEPS_4); break;
    case 5: Q8_BLOCK(Q16_STEPS_5); break;
    case 6: Q8_BLOCK(Q16_STEPS_6); break;
    case 7: Q8_BLOCK(Q16_STEPS_7); break;
    case 8: Q8_BLOCK(Q16_STEPS_8); break;
    default: Q8_BLOCK(Q16_STEPS_9); break;
    }
    *t = (q8_tile){{a0, a1, a2, a3}, {b0, b1, b2, b3}};
    *s = (q8_streams){x, w};
}
#else
M4_INLINE void q16_rounds(q8_tile *t, q8_streams *s, int times, int unroll, int pitch, int advance) {
    for (int i = 0; i < times * unroll; i++, s->x += advance, s->w += 2) {
        for (int p = 0; p < 4; p++) {
            const uint32_t first = m4_load(s->x + p * pitch), last = m4_load(s->x + p * pitch + 4);
            t->a[p] = m4_smlad(last, m4_sxtb16_8(s->w[0]), m4_smlad(first, m4_sxtb16(s->w[0]), t->a[p]));
            t->b[p] = m4_smlad(last, m4_sxtb16_8(s->w[1]), m4_smlad(first, m4_sxtb16(s->w[1]), t->b[p]));
        }
    }
}
#endif

M4_INLINE void q16_dot_4x2(q8_tile *t, q8_streams *s, int steps, int unroll, int pitch, int advance) {
    if (steps / unroll) q16_rounds(t, s, steps / unroll, unroll, pitch, advance);
    if (steps % unroll) q16_rounds(t, s, 1, steps % unroll, pitch, advance);
}

/* One position. */
M4_INLINE void q16_dot_1x2(int32_t *a, int32_t *b, q8_streams *s, int steps, int advance) {
    const uint32_t *w = s->w;
    const uint8_t *x = s->x;
    int32_t sum_a = *a, sum_b = *b;
#pragma GCC unroll 2
    for (int i = 0; i < steps; i++, x += advance, w += 2) {
        const uint32_t first = m4_load(x), last = m4_load(x + 4), w0 = w[0], w1 = w[1];
        sum_a = m4_smlad(first, m4_sxtb16(w0), sum_a);
        sum_b = m4_smlad(first, m4_sxtb16(w1), sum_b);
        sum_a = m4_smlad(last, m4_sxtb16_8(w0), sum_a);
        sum_b = m4_smlad(last, m4_sxtb16_8(w1), sum_b);
    }
    *a = sum_a;
    *b = sum_b;
    s->w = w;
    s->x = x;
}

#endif
