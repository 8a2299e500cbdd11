/* q8_common.h: what the fast int8 kernels share: the two-words-for-four-bytes number format and exact requantisation.
 *
 * The format. Four consecutive values x0 x1 x2 x3 of the input become two words of two int16 halves,
 *     odd  = (x1 - 127, x3 - 127)             even = 256 * (x0, x2) - odd
 * and four weights one word whose halves are (256 * w1 + w0, 256 * w3 + w2): as small as int8. Then
 *     odd . word + even . sxtb16(word) = 256 * (x0 w0 + (x1 - 127) w1 + x2 w2 + (x3 - 127) w3),
 * so four weights need one load and one SXTB16 for two SMLAD. The -127 keeps `even` within int16 for every x; it and
 * the input's zero point are folded into the bias. Accumulators hold 256 times the value, exact modulo 2^32: the
 * compiler selects these kernels only where no input can take the final value out of 24 bits.
 *
 * One kind of pair leaves int16: w1 = -128 with w0 < 0. Its half wraps, as if w1 were +128, so the accumulator is 65536 * odd
 * too high; q8_mend takes that back. Such pairs are rare, one in 512 where weights are drawn at random. */
#ifndef M4_Q8_COMMON_H
#define M4_Q8_COMMON_H

#include "m4/dsp.h"

/* Per output channel: bias in the accumulator's scale with all corrections, multiplier, right shift (1 .. 31; 0 and below
 * are left shifts); convolutions and dense layers have these three among their weights, in the order in which they are read.
 * Pairs to mend, by channel and part of its sum: those of entry i are mend[mend_from[i]] up to
 * mend[mend_from[i + 1]], each the place of its odd half behind the sum's first word, in units of 2 bytes. */
typedef struct {
    const void *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    const int32_t *mend_from;
    const uint16_t *mend;
} q8_channels;

/* Output zero point and activation range; left: some channel has no right shift. */
typedef struct {
    int32_t zero, lo, hi, left;
} q8_range;

/* 2 * acc -> int8, byte-equal to TFLM's MultiplyByQuantizedMultiplier (two roundings).
 *
 * The first rounding, x = floor((acc * m + 2^30) / 2^31) for either sign, is SMMLAR of 2 * acc. The second rounds half
 * away from zero: (x + 2^(e-1) - (x < 0)) >> e, where x < 0 may be read from acc (they differ only for x = 0 and
 * acc = -1, m = 2^30, where the term can not change the result). The zero point rides along as zero << e.
 * A left shift comes before the first rounding and leaves no second one. */
M4_INLINE int32_t q8_requant(int32_t twice, int32_t m, int32_t e, int32_t half, const q8_range *r) {
    int32_t q;
    if (r->left && e <= 0)
        q = m4_ssat8(m4_smmlar((int32_t)((uint32_t)twice << -e), m, r->zero));
    else
        q = m4_ssat8(m4_smmlar(twice, m, half + (twice >> 31)) >> e);
    if (r->lo > -128) q = q < r->lo ? r->lo : q;
    if (r->hi < 127) q = q > r->hi ? r->hi : q;
    return q;
}

/* zero << e plus half a unit, for q8_requant. */
M4_INLINE int32_t q8_half(int32_t e, const q8_range *r) {
    if (r->left && e <= 0) return 0;
    return (int32_t)((uint32_t)(2 * r->zero + 1) << (e - 1));
}

/* Mends n accumulators of one entry; position p's words are at x + p * pitch. */
M4_INLINE void q8_mend(const q8_channels *d, int32_t entry, const uint8_t *x, int32_t pitch, int32_t n, int32_t *acc) {
    const uint16_t *at = d->mend + d->mend_from[entry], *const end = d->mend + d->mend_from[entry + 1];
#pragma GCC unroll 1
    for (; at < end; at++) {
        const uint8_t *const odd = x + 2 * *at;
        for (int32_t p = 0; p < n; p++) acc[p] = m4_add32(acc[p], -m4_load16(odd + p * pitch) * 65536);
    }
}

/* Four packed bytes -> (odd, even) at d[0], d[1]. */
M4_INLINE void q8_expand4(uint32_t *d, uint32_t v) {
    uint32_t odd = m4_sxtab16_8(0xFF81FF81u, v);
    d[0] = odd;
    d[1] = m4_ssub16((v << 8) & 0xFF00FF00u, odd);
}

/* One to three bytes as the low bytes of a word; the others are zero and meet zero weights. */
M4_INLINE uint32_t q8_load_tail(const int8_t *s, int32_t n) {
    uint32_t v = (uint8_t)s[0];
    if (n > 1) v |= (uint32_t)(uint8_t)s[1] << 8;
    if (n > 2) v |= (uint32_t)(uint8_t)s[2] << 16;
    return v;
}

/* n bytes -> 2 words for every 4 bytes, each pair `step` words behind the one before. compact: four at a time, in little code. */
M4_INLINE void q8_expand(uint32_t *d, const int8_t *s, int32_t n, int32_t step, int32_t compact) {
    int32_t i = 0;
    if (compact) {
#pragma GCC unroll 1
        for (; i + 4 <= n; i += 4, d += step) q8_expand4(d, m4_load(s + i));
    } else {
#pragma GCC unroll 4
        for (; i + 4 <= n; i += 4, d += step) q8_expand4(d, m4_load(s + i));
    }
    if (i < n) q8_expand4(d, q8_load_tail(s + i, n - i));
}

#endif
