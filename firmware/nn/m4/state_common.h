/* state_common.h: what the fast kernels of recurrent layers share: activations as pairs of int16 against int8 weights packed as
 * for q16_dense.h, and how their sums are rescaled. */
#ifndef M4_STATE_COMMON_H
#define M4_STATE_COMMON_H

#include "m4/q16_dense.h"

#define M4_SHARED static __attribute__((noinline, noclone, unused, optimize("O2")))

/* How a sum is rescaled: (sum << left) * m, its upper word rounded, >> right rounded half away from zero; half: half of a unit of
 * that second rounding, sign: -1 where there is one. Made in dsp/rescale.py, which proves that nothing leaves 32 bits. */
typedef struct {
    int32_t m, left, right, half, sign;
} m4_scale;

M4_INLINE int32_t m4_scaled(int32_t acc, const m4_scale *q) {
    return m4_smmlar((int32_t)((uint32_t)acc << q->left), q->m, q->half + ((acc >> 31) & q->sign)) >> q->right;
}

/* n bytes less `zero` as int16, filled up with zeros to whole fours. */
M4_INLINE void m4_widen(int16_t *d, const int8_t *s, int32_t n, int32_t zero) {
    const uint32_t minus_zero = m4_pair(-zero, -zero);
    int32_t i = 0;
#pragma GCC unroll 1
    for (; i + 4 <= n; i += 4) {
        const uint32_t v = m4_load(s + i), lo = m4_sxtab16(minus_zero, v), hi = m4_sxtab16_8(minus_zero, v);
        m4_store(d + i, m4_pkhbt_16(lo, hi));
        m4_store(d + i + 2, m4_pkhtb_16(hi, lo));
    }
    for (; i < n; i++) d[i] = (int16_t)(s[i] - zero);
    q16_zeros(d + i, -n & 3);
}

#endif
