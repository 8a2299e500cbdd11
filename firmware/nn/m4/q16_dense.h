/* q16_dense.h: 16x8 fully connected layers, four outputs at a time: 23 cycles for 16 multiply-accumulates. Weights as
 * [group of 4 outputs][step][4 words]: q16_common.h. parts > 0: see q16_conv.h. */
#ifndef M4_Q16_DENSE_H
#define M4_Q16_DENSE_H

#include "m4/q16_common.h"

typedef struct {
    int32_t rows, in_n, out_n, steps, parts;
    q16_range range;
} q16_dense_shape;

typedef struct {
    int32_t v[4];
} q16_quad;

#if M4_ASM
#define Q16_QUAD                                                                                                             \
    "ldr %[z], [%[x], #4]\n\tldr %[o], [%[x]], #8\n\t"                                                                       \
    "ldr %[w3], [%[w], #12]\n\tldr %[w2], [%[w], #8]\n\tldr %[w1], [%[w], #4]\n\tldr %[w0], [%[w]], #16\n\t"                 \
    "sxtb16 %[t], %[w0]\n\tsmlad %[a0], %[o], %[t], %[a0]\n\tsxtb16 %[t], %[w1]\n\tsmlad %[a1], %[o], %[t], %[a1]\n\t"       \
    "sxtb16 %[t], %[w2]\n\tsmlad %[a2], %[o], %[t], %[a2]\n\tsxtb16 %[t], %[w3]\n\tsmlad %[a3], %[o], %[t], %[a3]\n\t"       \
    "sxtb16 %[w0], %[w0], ror #8\n\tsxtb16 %[w1], %[w1], ror #8\n\tsxtb16 %[w2], %[w2], ror #8\n\tsxtb16 %[w3], %[w3], ror " \
    "#8\n\t"                                                                                                                 \
    "smlad %[a0], %[z], %[w0], %[a0]\n\tsmlad %[a1], %[z], %[w1], %[a1]\n\t"                                                 \
    "smlad %[a2], %[z], %[w2], %[a2]\n\tsmlad %[a3], %[z], %[w3], %[a3]\n\t"
/* Rounds of `body` until x is at `end`, which waits in an FPU register. */
#define Q16_QUADS(body)                                                                                                          \
    __asm__ volatile("1:\n\t" body "vmov %[o], %[end]\n\tcmp %[x], %[o]\n\tbne 1b"                                               \
                     : [a0] "+r"(q->v[0]), [a1] "+r"(q->v[1]), [a2] "+r"(q->v[2]), [a3] "+r"(q->v[3]), [x] "+r"(x), [w] "+r"(w), \
                       [o] "=&r"(o), [z] "=&r"(z), [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3), [t] "=&r"(t)  \
                     : [end] "t"(m4_to_fpu((uint32_t)(uintptr_t)end))                                                            \
                     : "cc", "memory")

M4_INLINE const uint32_t *q16_dot_1x4(q16_quad *q, const int16_t *in, const uint32_t *w, int32_t steps) {
    uint32_t o, z, w0, w1, w2, w3, t;
    const int16_t *x = in, *end = in + 4 * (steps & ~3);
    if (steps / 4) Q16_QUADS(Q16_QUAD Q16_QUAD Q16_QUAD Q16_QUAD);
    end = in + 4 * steps;
    if (steps % 4) Q16_QUADS(Q16_QUAD);
    return w;
}
#else
M4_INLINE const uint32_t *q16_dot_1x4(q16_quad *q, const int16_t *x, const uint32_t *w, int32_t steps) {
    for (int32_t i = 0; i < steps; i++, x += 4, w += 4)
        for (int32_t c = 0; c < 4; c++)
            q->v[c] = m4_smlad(m4_load(x + 2), m4_sxtb16_8(w[c]), m4_smlad(m4_load(x), m4_sxtb16(w[c]), q->v[c]));
    return w;
}
#endif

/* Scratch: the input vector filled up with zeros, where it is not a whole number of steps and parts long. */
M4_INLINE void q16_dense(const q16_dense_shape *s, const q16_channels *d, const int16_t *in, int16_t *out, uint8_t *scratch) {
    const int32_t parts = s->parts ? s->parts : 1, length = 4 * s->steps * parts;
    for (int32_t row = 0; row < s->rows; row++, in += s->in_n) {
        const uint32_t *w = d->weights;
        const int16_t *first = in;
        if (length != s->in_n) {
            int16_t *const filled = (int16_t *)(void *)scratch;
            q16_copy(filled, in, s->in_n);
            q16_zeros(filled + s->in_n, length - s->in_n);
            first = filled;
        }
#pragma GCC unroll 1
        for (int32_t c = 0; c < s->out_n; c += 4) {
            q16_quad q = {{0}};
            int64_t total[4] = {0};
            const int16_t *x = first;
            for (int32_t part = 0; part < parts; part++, x += 4 * s->steps) {
                if (s->parts) q = (q16_quad){{0}};
                w = q16_dot_1x4(&q, x, w, s->steps);
                for (int32_t i = 0; s->parts && i < 4; i++) total[i] += q.v[i];
            }
#pragma GCC unroll 4
            for (int32_t i = 0; i < 4; i++) {
                if (s->out_n % 4 && c + i >= s->out_n) break;
                const q16_scale scale = q16_scale_of(d, c + i);
                *out++ = s->parts ? q16_requant_64(total[i], &scale, &s->range) : q16_requant(q.v[i], &scale, &s->range);
            }
        }
    }
}

#endif
