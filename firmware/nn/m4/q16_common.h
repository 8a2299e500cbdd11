/* q16_common.h: int16 activations with int8 weights (16x8): weights as pairs, and exact requantisation.
 *
 * Four weights are one word of the bytes w0 w2 w1 w3: SXTB16 gives the halves (w0, w1), and (w2, w3) rotated by a byte, which meet
 * two words of the input as it lies in memory. Zero points are 0. */
#ifndef M4_Q16_COMMON_H
#define M4_Q16_COMMON_H

#include "m4/dsp.h"
#include "nn_math.h"

/* How a sum becomes an output.
 * Q16_NARROW: the sum fits 32 bits, and its product with the multiplier, the offset added, 64: the output is the product's upper
 * word >> shift. Q16_WIDE: all in 64 bits, >> shift. In both TFLM's one rounding and the bias are in the offset.
 * Q16_TWICE: layers with a bias of 32 bits, which TFLM sums modulo 2^32 and rounds twice; offset is the bias, shift to the left. */
enum { Q16_NARROW, Q16_WIDE, Q16_TWICE };

typedef struct {
    int32_t form, lo, hi;
} q16_range;

/* Per output channel. */
typedef struct {
    const void *weights;
    const int64_t *offset;
    const int32_t *multiplier;
    const int8_t *shift;
} q16_channels;

M4_INLINE int16_t q16_clamped(int32_t v, const q16_range *r) {
    v = m4_ssat16(v);
    if (r->lo > -32768) v = v < r->lo ? r->lo : v;
    if (r->hi < 32767) v = v > r->hi ? r->hi : v;
    return (int16_t)v;
}

/* What one channel's sums are finished with. */
typedef struct {
    int64_t offset;
    int32_t m, e;
} q16_scale;

M4_INLINE q16_scale q16_scale_of(const q16_channels *d, int32_t c) {
    return (q16_scale){d->offset[c], d->multiplier[c], d->shift[c]};
}

/* A sum of 32 bits. */
M4_INLINE int16_t q16_requant(int32_t sum, const q16_scale *q, const q16_range *r) {
    if (r->form == Q16_TWICE) return q16_clamped(nn_requantize(m4_add32(sum, (int32_t)q->offset), q->m, q->e), r);
    const int64_t v = (int64_t)sum * q->m + q->offset;
    return q16_clamped(r->form == Q16_WIDE ? (int32_t)(v >> q->e) : (int32_t)(v >> 32) >> q->e, r);
}

/* A sum of 64 bits; only Q16_WIDE. */
M4_INLINE int16_t q16_requant_64(int64_t sum, const q16_scale *q, const q16_range *r) {
    return q16_clamped((int32_t)((sum * q->m + q->offset) >> q->e), r);
}

M4_INLINE int32_t q16_round4(int32_t n) { return (n + 3) & ~3; }

/* n values; words where there are two. */
M4_INLINE void q16_copy(int16_t *d, const int16_t *s, int32_t n) {
    int32_t i = 0;
#pragma GCC unroll 4
    for (; i + 2 <= n; i += 2) m4_store(d + i, m4_load(s + i));
    if (i < n) d[i] = s[i];
}

M4_INLINE void q16_zeros(int16_t *d, int32_t n) {
    for (int32_t i = 0; i < n; i++) d[i] = 0;
}

#endif
