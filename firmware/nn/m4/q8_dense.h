/* q8_dense.h: int8 fully connected layers, four outputs at a time: 19 cycles for 16 multiply-accumulates.
 * Weights of four outputs at a time: biases, [step][output] words, multipliers, shifts in a word; number format: q8_common.h. segments > 0: the sum in so many parts that
 * each fits its accumulator, added up in 32 bits; the bias is then plain. mends: see q8_common.h. compact: little code rather than few cycles. */
#ifndef M4_Q8_DENSE_H
#define M4_Q8_DENSE_H

#include "m4/q8_common.h"

typedef struct {
    int32_t rows, in_n, out_n, segments, pieces, quads, mends, compact;
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
#define Q8_QUADS_4 Q8_QUAD Q8_QUAD Q8_QUAD Q8_QUAD
#define Q8_QUADS_8 Q8_QUADS_4 Q8_QUADS_4
#define Q8_QUADS(body)                                                                                                           \
    __asm__ volatile(body                                                                                                        \
                     : [a0] "+r"(q->v[0]), [a1] "+r"(q->v[1]), [a2] "+r"(q->v[2]), [a3] "+r"(q->v[3]), [x] "+r"(x), [w] "+r"(w), \
                       [o] "=&r"(o), [z] "=&r"(z), [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3)                \
                     : [end] "t"(m4_to_fpu((uint32_t)(uintptr_t)end))                                                            \
                     : "cc", "memory")
/* Rounds of `body` until x is at `end`, which waits in an FPU register. */
#define Q8_QUAD_ROUNDS(body) Q8_QUADS("1:\n\t" body "vmov %[o], %[end]\n\tcmp %[x], %[o]\n\tbne 1b")

/* n steps of which there are `rounds` * n. */
#define Q8_QUADS_OF(rounds, body) \
    do {                          \
        if (rounds == 1)          \
            Q8_QUADS(body);       \
        else                      \
            Q8_QUAD_ROUNDS(body); \
    } while (0)

/* All but the pointers are constants of the call. */
M4_INLINE const uint32_t *q8_dot_1x4(q8_quad *q, const uint32_t *x, const uint32_t *w, int32_t steps, int32_t at_once) {
    uint32_t o, z, w0, w1, w2, w3;
    const int32_t rounds = steps / at_once, most = rounds * at_once;
    const uint32_t *end = x + 2 * most;
    if (rounds && at_once == 16) Q8_QUADS_OF(rounds, Q8_QUADS_8 Q8_QUADS_8);
    if (rounds && at_once == 8) Q8_QUADS_OF(rounds, Q8_QUADS_8);
    if (rounds && at_once == 4) Q8_QUADS_OF(rounds, Q8_QUADS_4);
    end += 2 * (steps - most);
    if (at_once == 1 || steps > most) Q8_QUAD_ROUNDS(Q8_QUAD);
    return w;
}
#else
M4_INLINE const uint32_t *q8_dot_1x4(q8_quad *q, const uint32_t *x, const uint32_t *w, int32_t steps, int32_t at_once) {
    (void)at_once;
    for (int32_t i = 0; i < steps; i++, x += 2, w += 4)
        for (int32_t c = 0; c < 4; c++) q->v[c] = m4_smlad(x[1], m4_sxtb16(w[c]), m4_smlad(x[0], w[c], q->v[c]));
    return w;
}
#endif

/* 72 bytes of code a step; 16 steps take 2 % of the weights of the smallest layer that has them. */
M4_INLINE int32_t q8_steps_at_once(const q8_dense_shape *s, int32_t steps) {
    if (s->compact) return 1;
    if (steps >= 16 && s->in_n * s->out_n >= 65536) return 16;
    return steps >= 32 ? 8 : 4;
}

/* Part p of outputs c to c + 3. */
M4_INLINE void q8_mend_quad(const q8_dense_shape *s, const q8_channels *d, const uint32_t *x, int32_t c, int32_t p, q8_quad *q) {
    const int32_t parts = s->pieces ? s->pieces : s->segments ? s->segments : 1;
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
        w = q8_dot_1x4(q, x, w, steps, q8_steps_at_once(s, steps));
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

/* Four outputs for the whole range of int8 and right shifts; w: multipliers, shifts in a word. -> what is behind them.
 * Multipliers to r4-r7, shifts to lr; r10 is 2 * zero + 1, r11 half a unit. */
#if M4_ASM
#define Q8_DENSE_OUT(a, m, scale)                                                    \
    scale "sub r11, lr, #1\n\tlsl r11, r10, r11\n\tadd r11, r11, " a ", asr #31\n\t" \
          "smmlar " a ", " a ", " m ", r11\n\tasr " a ", lr\n\tssat " a ", #8, " a "\n\tstrb " a ", [r8], #1\n\t"
#define Q8_DENSE_OUTS(s0, s1, s2, s3)                                                                                          \
    __asm__ volatile(                                                                                                          \
        "ldmia r9!, {r4, r5, r6, r7, lr}\n\tmov r10, %[unit]\n\t" Q8_DENSE_OUT(                                                \
            "r0", "r4", s0) "lsr lr, lr, #8\n\t" Q8_DENSE_OUT("r1", "r5",                                                      \
                                                              s1) "lsr lr, lr, #8\n\t" Q8_DENSE_OUT("r2", "r6",                \
                                                                                                    s2) "lsr lr, lr, "         \
                                                                                                        "#8\n\t" Q8_DENSE_OUT( \
                                                                                                            "r3", "r7", s3)    \
        : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(from), "+r"(to)                                                         \
        : [unit] "i"(unit)                                                                                                     \
        : "r4", "r5", "r6", "r7", "r10", "r11", "lr", "memory")
M4_INLINE const uint32_t *q8_store_1x4(const q8_quad *q, const uint32_t *w, int unit, int8_t **out, int parts) {
    register int32_t a0 __asm__("r0") = q->v[0], a1 __asm__("r1") = q->v[1], a2 __asm__("r2") = q->v[2];
    register int32_t a3 __asm__("r3") = q->v[3];
    register int8_t *to __asm__("r8") = *out;
    register const uint32_t *from __asm__("r9") = w;
    if (parts)
        Q8_DENSE_OUTS("", "", "", "");
    else
        Q8_DENSE_OUTS("asr r0, #7\n\t", "asr r1, #7\n\t", "asr r2, #7\n\t", "asr r3, #7\n\t");
    *out = to;
    return from;
}
#else
M4_INLINE const uint32_t *q8_store_1x4(const q8_quad *q, const uint32_t *w, int unit, int8_t **out, int parts) {
    for (int i = 0; i < 4; i++) {
        const int32_t twice = parts ? q->v[i] : q->v[i] >> 7, e = (int32_t)(w[4] >> 8 * i & 31);
        const int32_t half = m4_add32((int32_t)((uint32_t)unit << (e - 1)), twice >> 31);
        *(*out)++ = (int8_t)m4_ssat8(m4_smmlar(twice, (int32_t)w[i], half) >> e);
    }
    return w + 5;
}
#endif

/* Outputs c to c + 3, if there are so many; w: their multipliers and shifts. -> what is behind them. */
M4_INLINE const uint32_t *q8_dense_outs(const q8_dense_shape *s, const q8_quad *q, const uint32_t *w, int32_t c, int8_t **out) {
    const int32_t n = s->out_n - c < 4 ? s->out_n - c : 4;
    const int32_t pays = !s->compact || s->out_n >= 64;
    if (pays && !s->range.left && s->range.lo == -128 && s->range.hi == 127 && (s->out_n % 4 == 0 || n == 4))
        return q8_store_1x4(q, w, 2 * s->range.zero + 1, out, s->segments);
    if (s->compact) {
#pragma GCC unroll 1
        for (int32_t i = 0; i < n; i++) *(*out)++ = q8_dense_out(s, q, w, i);
        return w + 5;
    }
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; i++) {
        if (s->out_n % 4 && c + i >= s->out_n) break;
        *(*out)++ = q8_dense_out(s, q, w, i);
    }
    return w + 5;
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
                w = q8_dot_1x4(&q, x, w, (s->in_n + 3) / 4, q8_steps_at_once(s, (s->in_n + 3) / 4));
                q8_mend_quad(s, d, x, c, 0, &q);
            }
            w = q8_dense_outs(s, &q, w, c, &out);
        }
    }
}

/* Piece p, already in x, of quads c, c + 4, ... so many. */
M4_INLINE const uint32_t *q8_dense_piece(const q8_dense_shape *s, const q8_channels *d, const uint32_t *x, int32_t c, int32_t p,
                                         int32_t quads, const uint32_t *w, q8_quad *sums) {
    const int32_t steps = ((s->in_n + 3) / 4 + s->pieces - 1) / s->pieces;
#pragma GCC unroll 1
    for (int32_t i = 0; i < quads; i++) {
        q8_quad q = sums[i];
        if (s->segments) q = (q8_quad){{0}};
        w = q8_dot_1x4(&q, x, w, steps, q8_steps_at_once(s, steps));
        q8_mend_quad(s, d, x, c + 4 * i, p, &q);
        if (s->segments)
            for (int32_t j = 0; j < 4; j++) q.v[j] = m4_add32(sums[i].v[j], q.v[j] >> 8);
        sums[i] = q;
    }
    return w;
}

/* The input piece by piece, each for so many quads of outputs; segments are 0 or as many as pieces. Of these quads the weights are
 * all biases, then [piece][quad][step][output], then multipliers and shifts. Scratch: 8 bytes for a step of a piece, 16 a quad. */
M4_INLINE void q8_dense_pieces(const q8_dense_shape *s, const q8_channels *d, const int8_t *in, int8_t *out, uint8_t *scratch) {
    const int32_t steps = ((s->in_n + 3) / 4 + s->pieces - 1) / s->pieces;
    uint32_t *const x = (uint32_t *)(void *)scratch;
    q8_quad *const sums = (q8_quad *)(void *)(x + 2 * steps);
    for (int32_t row = 0; row < s->rows; row++, in += s->in_n) {
        const uint32_t *w = d->weights;
#pragma GCC unroll 1
        for (int32_t c = 0; c < s->out_n; c += 4 * s->quads) {
            const int32_t left = (s->out_n - c + 3) / 4, quads = left < s->quads ? left : s->quads;
            for (int32_t i = 0; i < quads; i++, w += 4) memcpy(&sums[i], w, sizeof sums[i]);
#pragma GCC unroll 1
            for (int32_t p = 0; p < s->pieces; p++) {
                const int32_t at = 4 * steps * p, n = s->in_n - at < 4 * steps ? s->in_n - at : 4 * steps;
                if (n > 0) q8_expand(x, in + at, n, 2, s->compact);
                w = q8_dense_piece(s, d, x, c, p, quads, w, sums);
            }
#pragma GCC unroll 1
            for (int32_t i = 0; i < quads; i++) {
                q8_quad q = sums[i];
                if (s->segments)
                    for (int32_t j = 0; j < 4; j++) q.v[j] *= 2;
                w = q8_dense_outs(s, &q, w, c + 4 * i, &out);
            }
        }
    }
}

#endif
