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
#define Q8_MAC4(u, v)                                                                          \
    "smlad %[a" #u "], %[xa], %[w0], %[a" #u "]\n\tsmlad %[b" #u "], %[xa], %[w1], %[b" #u "]\n\t" \
    "smlad %[a" #v "], %[xb], %[w0], %[a" #v "]\n\tsmlad %[b" #v "], %[xb], %[w1], %[b" #v "]\n\t"
#define Q8_STEP                                                                          \
    "ldr %[w1], [%[w], #4]\n\tldr %[w0], [%[w]], #8\n\t"                                 \
    "ldr %[xb], [%[x], #%c[p]]\n\tldr %[xa], [%[x]], #4\n\t" Q8_MAC4(0, 1)               \
    "ldr %[xa], [%[x], #2*%c[p]-4]\n\tldr %[xb], [%[x], #3*%c[p]-4]\n\t" Q8_MAC4(2, 3)   \
    "sxtb16 %[w0], %[w0]\n\tsxtb16 %[w1], %[w1]\n\t"                                     \
    "ldr %[xa], [%[x], #2*%c[p]]\n\tldr %[xb], [%[x], #3*%c[p]]\n\t" Q8_MAC4(2, 3)       \
    "ldr %[xb], [%[x], #%c[p]]\n\tldr %[xa], [%[x]], #%c[adv]-4\n\t" Q8_MAC4(0, 1)
#define Q8_STEPS_1 Q8_STEP
#define Q8_STEPS_2 Q8_STEP Q8_STEP
#define Q8_STEPS_3 Q8_STEPS_2 Q8_STEP
#define Q8_STEPS_4 Q8_STEPS_2 Q8_STEPS_2
#define Q8_STEPS_5 Q8_STEPS_4 Q8_STEP
#define Q8_STEPS_6 Q8_STEPS_4 Q8_STEPS_2
#define Q8_STEPS_7 Q8_STEPS_4 Q8_STEPS_3
#define Q8_STEPS_8 Q8_STEPS_4 Q8_STEPS_4
#define Q8_STEPS_9 Q8_STEPS_8 Q8_STEP

/* `times` rounds of `body`. */
#define Q8_BLOCK(body)                                                                                        \
    do {                                                                                                      \
        uint32_t w0, w1, xa, xb;                                                                              \
        if (times > 1)                                                                                        \
            __asm__ volatile("1:\n\t" body "vmov %[w0], %[end]\n\tcmp %[x], %[w0]\n\tbne 1b\n\t" Q8_OPERANDS); \
        else                                                                                                  \
            __asm__ volatile(body Q8_OPERANDS);                                                               \
    } while (0)
#define Q8_OPERANDS                                                                                           \
    : [a0] "+r"(t->a[0]), [a1] "+r"(t->a[1]), [a2] "+r"(t->a[2]), [a3] "+r"(t->a[3]),                     \
      [b0] "+r"(t->b[0]), [b1] "+r"(t->b[1]), [b2] "+r"(t->b[2]), [b3] "+r"(t->b[3]),                     \
      [x] "+r"(s->x), [w] "+r"(s->w), [w0] "=&r"(w0), [w1] "=&r"(w1), [xa] "=&r"(xa), [xb] "=&r"(xb)        \
    : [p] "i"(pitch), [adv] "i"(advance),                                                                     \
      [end] "t"(m4_to_fpu((uint32_t)(uintptr_t)(s->x + times * unroll * advance)))                            \
    : "cc", "memory"

/* times * unroll steps; all of times, unroll, pitch and advance are constants of the call. */
M4_INLINE void q8_rounds(q8_tile *t, q8_streams *s, int times, int unroll, int pitch, int advance) {
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
}
#else
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
