/* matmul.h: the product of two int8 activations, four columns at a time: these are widened once for all rows. Layers share the
 * code. */
#ifndef M4_MATMUL_H
#define M4_MATMUL_H

#include "m4/q8_common.h"
#include "m4/state_common.h"

/* Eight words for four rows of four columns from b on, less the zero point: of each column rows 0 and 2, then 1 and 3. */
M4_INLINE void m4_matmul_tile(uint32_t *d, const int8_t *b, const nn_matmul *s, uint32_t minus_zero) {
    uint32_t v[4];
    const int32_t step = s->b_turned ? s->depth : s->columns;
    for (int32_t i = 0; i < 4; i++) v[i] = m4_load(b + i * step);
    if (s->b_turned) {
        for (int32_t i = 0; i < 4; i++) {
            d[2 * i] = m4_sxtab16(minus_zero, v[i]);
            d[2 * i + 1] = m4_sxtab16_8(minus_zero, v[i]);
        }
        return;
    }
    for (int32_t i = 0; i < 2; i++) {
        const uint32_t top = m4_sxtab16(minus_zero, v[i]), top_8 = m4_sxtab16_8(minus_zero, v[i]);
        const uint32_t low = m4_sxtab16(minus_zero, v[i + 2]), low_8 = m4_sxtab16_8(minus_zero, v[i + 2]);
        d[i] = m4_pkhbt_16(top, low);
        d[2 + i] = m4_pkhbt_16(top_8, low_8);
        d[4 + i] = m4_pkhtb_16(low, top);
        d[6 + i] = m4_pkhtb_16(low_8, top_8);
    }
}

/* Columns x to x + n - 1, whole fours with zeros; b: the first of them. */
M4_INLINE void m4_matmul_columns(uint32_t *d, const int8_t *b, const nn_matmul *s, int32_t n, int32_t zero) {
    const int32_t row = s->b_turned ? 1 : s->columns, column = s->b_turned ? s->depth : 1;
    for (int32_t k = 0; k < s->depth; k += 4, d += 8) {
        if (n == 4 && k + 4 <= s->depth) {
            m4_matmul_tile(d, b + k * row, s, m4_pair(-zero, -zero));
            continue;
        }
        for (int32_t i = 0; i < 16; i++) {
            const int32_t c = i / 4, at = k + i % 4;
            const int32_t v = c < n && at < s->depth ? b[at * row + c * column] - zero : 0;
            ((int16_t *)(void *)d)[4 * c + 2 * (i & 1) + (i >> 1 & 1)] = (int16_t)v;
        }
    }
}

M4_INLINE void m4_matmul_step(q16_quad *q, uint32_t v, const uint32_t *w, uint32_t minus_zero) {
    const uint32_t even = m4_sxtab16(minus_zero, v), odd = m4_sxtab16_8(minus_zero, v);
#pragma GCC unroll 4
    for (int32_t c = 0; c < 4; c++) q->v[c] = m4_smlad(odd, w[2 * c + 1], m4_smlad(even, w[2 * c], q->v[c]));
}

/* `steps` whole steps of one row. */
#if M4_ASM
#define M4_MATMUL_STEP                                                                                            \
    "ldr %[z], [%[x]], #4\n\t"                                                                                    \
    "ldr %[w0], [%[w]], #32\n\tldr %[w1], [%[w], #-28]\n\tldr %[w2], [%[w], #-24]\n\tldr %[w3], [%[w], #-20]\n\t" \
    "sxtab16 %[o], %[zero], %[z]\n\tsxtab16 %[z], %[zero], %[z], ror #8\n\t"                                      \
    "smlad %[a0], %[o], %[w0], %[a0]\n\tsmlad %[a0], %[z], %[w1], %[a0]\n\t"                                      \
    "smlad %[a1], %[o], %[w2], %[a1]\n\tsmlad %[a1], %[z], %[w3], %[a1]\n\t"                                      \
    "ldr %[w0], [%[w], #-16]\n\tldr %[w1], [%[w], #-12]\n\tldr %[w2], [%[w], #-8]\n\tldr %[w3], [%[w], #-4]\n\t"  \
    "smlad %[a2], %[o], %[w0], %[a2]\n\tsmlad %[a2], %[z], %[w1], %[a2]\n\t"                                      \
    "smlad %[a3], %[o], %[w2], %[a3]\n\tsmlad %[a3], %[z], %[w3], %[a3]\n\t"
/* Rounds of `body` until x is at `end`, which waits in an FPU register. */
#define M4_MATMUL_STEPS(body)                                                                                                    \
    __asm__ volatile("1:\n\t" body "vmov %[o], %[end]\n\tcmp %[x], %[o]\n\tbne 1b"                                               \
                     : [a0] "+r"(q->v[0]), [a1] "+r"(q->v[1]), [a2] "+r"(q->v[2]), [a3] "+r"(q->v[3]), [x] "+r"(x), [w] "+r"(w), \
                       [o] "=&r"(o), [z] "=&r"(z), [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3)                \
                     : [zero] "r"(minus_zero), [end] "t"(m4_to_fpu((uint32_t)(uintptr_t)end))                                    \
                     : "cc", "memory")

M4_INLINE const uint32_t *m4_matmul_row(q16_quad *q, const int8_t *x, const uint32_t *w, int32_t steps, uint32_t minus_zero) {
    uint32_t o, z, w0, w1, w2, w3;
    const int8_t *end = x + 4 * (steps & ~1);
    if (steps / 2) M4_MATMUL_STEPS(M4_MATMUL_STEP M4_MATMUL_STEP);
    end = x + 4 * (steps & 1);
    if (steps & 1) M4_MATMUL_STEPS(M4_MATMUL_STEP);
    return w;
}
#else
M4_INLINE const uint32_t *m4_matmul_row(q16_quad *q, const int8_t *x, const uint32_t *w, int32_t steps, uint32_t minus_zero) {
    for (int32_t i = 0; i < steps; i++, w += 8) m4_matmul_step(q, m4_load(x + 4 * i), w, minus_zero);
    return w;
}
#endif

/* Scratch: 8 bytes for each value of a column, filled up to whole fours. */
M4_SHARED void m4_matmul_s8(const nn_matmul_int *p, const m4_scale *scale, const int8_t *a, const int8_t *b, uint8_t *scratch,
                            int8_t *out) {
    const nn_matmul *const s = &p->shape;
    const uint32_t minus_zero = m4_pair(-p->a_zero, -p->a_zero);
    const m4_scale q = *scale;
    uint32_t *const words = (uint32_t *)(void *)scratch;
    for (int32_t m = 0; m < s->batch; m++, a += s->a_step, b += s->b_step, out += s->rows * s->columns) {
        for (int32_t x = 0; x < s->columns; x += 4) {
            const int32_t n = s->columns - x < 4 ? s->columns - x : 4;
            const int8_t *row = a;
            m4_matmul_columns(words, b + (s->b_turned ? x * s->depth : x), s, n, p->b_zero);
            for (int32_t y = 0; y < s->rows; y++, row += s->depth) {
                const int32_t k = s->depth & ~3;
                q16_quad sum = {{0}};
                const uint32_t *const w = m4_matmul_row(&sum, row, words, k / 4, minus_zero);
                if (k < s->depth) m4_matmul_step(&sum, q8_load_tail(row + k, s->depth - k), w, minus_zero);
#pragma GCC unroll 4
                for (int32_t i = 0; i < 4; i++)
                    if (i < n) out[y * s->columns + x + i] = (int8_t)m4_ssat8(m4_scaled(sum.v[i], &q) + p->out_zero);
            }
        }
    }
}

#endif
