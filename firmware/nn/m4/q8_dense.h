/* q8_dense.h: int8 fully connected layers, four outputs at a time: 19 cycles for 16 multiply-accumulates.
 * Weights of four outputs at a time: biases, [step][output] words, multipliers, shifts in a word; number format: q8_common.h. segments > 0: the sum in so many parts that
 * each fits its accumulator, added up in 32 bits; the bias is then plain. mends: see q8_common.h. compact: little code rather than few cycles. */
#ifndef M4_Q8_DENSE_H
#define M4_Q8_DENSE_H

#include "m4/q8_common.h"

typedef struct {
    int32_t rows, in_n, out_n, segments, mends, compact;
    q8_range range;
} q8_dense_shape;

typedef struct {
    int32_t v[4];
} q8_quad;

#if M4_ASM
#define Q8_QUAD                                                                                                 \
    "ldr %[z], [%[x], #4]\n\tldr %[o], [%[x]], #8\n\t"                                                          \
    "ldr %[w0], [%[w]], #16\n\tldr %[w1], [%[w], #-12]\n\tldr %[w2], [%[w], #-8]\n\tldr %[w3], [%[w], #-4]\n\t" \
    "smlad %[a0], %[o], %[w0], %[a0]\n\tsmlad %[a1], %[o], %[w1], %[a1]\n\t"                                    \
    "smlad %[a2], %[o], %[w2], %[a2]\n\tsmlad %[a3], %[o], %[w3], %[a3]\n\t"                                    \
    "sxtb16 %[w0], %[w0]\n\tsxtb16 %[w1], %[w1]\n\tsxtb16 %[w2], %[w2]\n\tsxtb16 %[w3], %[w3]\n\t"              \
    "smlad %[a0], %[z], %[w0], %[a0]\n\tsmlad %[a1], %[z], %[w1], %[a1]\n\t"                                    \
    "smlad %[a2], %[z], %[w2], %[a2]\n\tsmlad %[a3], %[z], %[w3], %[a3]\n\t"
/* Rounds of `body` until x is at `end`, which waits in an FPU register. */
#define Q8_QUADS(body)                                                                                                           \
    __asm__ volatile("1:\n\t" body "vmov %[o], %[end]\n\tcmp %[x], %[o]\n\tbne 1b"                                               \
                     : [a0] "+r"(q->v[0]), [a1] "+r"(q->v[1]), [a2] "+r"(q->v[2]), [a3] "+r"(q->v[3]), [x] "+r"(x), [w] "+r"(w), \
                       [o] "=&r"(o), [z] "=&r"(z), [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3)                \
                     : [end] "t"(m4_to_fpu((uint32_t)(uintptr_t)end))                                                            \
                     : "cc", "memory")

M4_INLINE const uint32_t *q8_dot_1x4(q8_quad *q, const uint32_t *x, const uint32_t *w, int32_t steps, int32_t compact) {
    uint32_t o, z, w0, w1, w2, w3;
    const int32_t at_once = steps >= 32 ? 8 : 4, most = compact ? 0 : steps - steps % at_once;
    const uint32_t *end = x + 2 * most;
    if (most && at_once == 8) Q8_QUADS(Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD);
    if (most && at_once == 4) Q8_QUADS(Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD);
    end += 2 * (steps - most);
    if (steps - most) Q8_QUADS(Q8_QUAD);
    return w;
}
#else
M4_INLINE const uint32_t *q8_dot_1x4(q8_quad *q, const uint32_t *x, const uint32_t *w, int32_t steps, int32_t compact) {
    (void)compact;
    for (int32_t i = 0; i < steps; i++, x += 2, w += 4)
        for (int32_t c = 0; c < 4; c++) q->v[c] = m4_smlad(x[1], m4_sxtb16(w[c]), m4_smlad(x[0], w[c], q->v[c]));
    return w;
}
#endif

/* Part p of outputs c to c + 3. */
M4_INLINE void q8_mend_quad(const q8_dense_shape *s, const q8_channels *d, const uint32_t *x, int32_t c, int32_t p, q8_quad *q) {
    const int32_t parts = s->segments ? s->segments : 1;
    if (!s->mends) return;
    for (int32_t i = 0; i < 4; i++) q8_mend(d, (c + i) * parts + p, (const uint8_t *)x, 8, 1, &q->v[i]);
}

/* The sum in parts, added up in 32 bits behind each; leaves twice the accumulators. */
M4_INLINE const uint32_t *q8_dot_parts(const q8_dense_shape *s, const q8_channels *d, int32_t c, q8_quad *q, const uint32_t *x,
                                       const uint32_t *w) {
    const uint32_t *const first = x;
    const int32_t steps = ((s->in_n + 3) / 4 + s->segments - 1) / s->segments;
    q8_quad total = *q;
#pragma GCC unroll 1
    for (int32_t p = 0; p < s->segments; p++, x += 2 * steps) {
        *q = (q8_quad){{0}};
        w = q8_dot_1x4(q, x, w, steps, s->compact);
        q8_mend_quad(s, d, first, c, p, q);
        for (int32_t i = 0; i < 4; i++) total.v[i] = m4_add32(total.v[i], q->v[i] >> 8);
    }
    for (int32_t i = 0; i < 4; i++) q->v[i] = 2 * total.v[i];
    return w;
}

/* Output i of a quad; w: its multipliers and shifts. */
M4_INLINE int8_t q8_dense_out(const q8_dense_shape *s, const q8_quad *q, const uint32_t *w, int32_t i) {
    const int32_t e = ((const int8_t *)(w + 4))[i], twice = s->segments ? q->v[i] : q->v[i] >> 7;
    return (int8_t)q8_requant(twice, (int32_t)w[i], e, q8_half(e, &s->range), &s->range);
}

/* Scratch: 2 bytes for every input, rounded up to whole steps in every segment. */
M4_INLINE void q8_dense(const q8_dense_shape *s, const q8_channels *d, const int8_t *in, int8_t *out, uint8_t *scratch) {
    uint32_t *const x = (uint32_t *)(void *)scratch;
    for (int32_t row = 0; row < s->rows; row++, in += s->in_n) {
        const uint32_t *w = d->weights;
        q8_expand(x, in, s->in_n, 2, s->compact);
#pragma GCC unroll 1
        for (int32_t c = 0; c < s->out_n; c += 4) {
            q8_quad q = {{(int32_t)w[0], (int32_t)w[1], (int32_t)w[2], (int32_t)w[3]}};
            w += 4;
            if (s->segments) {
                w = q8_dot_parts(s, d, c, &q, x, w);
            } else {
                w = q8_dot_1x4(&q, x, w, (s->in_n + 3) / 4, s->compact);
                q8_mend_quad(s, d, x, c, 0, &q);
            }
            if (s->compact) {
                const int32_t n = s->out_n - c < 4 ? s->out_n - c : 4;
#pragma GCC unroll 1
                for (int32_t i = 0; i < n; i++) *out++ = q8_dense_out(s, &q, w, i);
                w += 5;
                continue;
            }
#pragma GCC unroll 4
            for (int32_t i = 0; i < 4; i++) {
                if (s->out_n % 4 && c + i >= s->out_n) break;
                *out++ = q8_dense_out(s, &q, w, i);
            }
            w += 5;
        }
    }
}

#endif
