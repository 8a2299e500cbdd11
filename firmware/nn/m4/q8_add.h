/* q8_add.h: int8 ADD and SUB of equal shapes, about 22 cycles an element; every factor is a constant of the call.
 * The arithmetic is TFLM's: both operands to a common scale, their sum to the output's, each with two roundings. */
#ifndef M4_Q8_ADD_H
#define M4_Q8_ADD_H

#include "m4/q8_common.h"

/* Right shifts a_shift, b_shift, shift are >= 0. sign: 1 or -1 for b. */
typedef struct {
    int32_t size, left, a_zero, a_multiplier, a_shift, b_zero, b_multiplier, b_shift, sign, multiplier, shift;
    q8_range range;
} q8_add_shape;

/* x * 2^left * m / 2^31 / 2^e with its two roundings; the half of the second one starts in SMMLAR (see q8_requant). */
M4_INLINE int32_t q8_operand(int32_t x, int32_t zero, int32_t left, int32_t m, int32_t e) {
    const int32_t twice = (int32_t)((uint32_t)(x - zero) << (left + 1));
    if (e == 0) return m4_smmlar(twice, m, 0);
    return m4_smmlar(twice, m, (1 << (e - 1)) + (twice >> 31)) >> e;
}

M4_INLINE void q8_add(const q8_add_shape *s, const int8_t *a, const int8_t *b, int8_t *out) {
    const int32_t half = q8_half(s->shift, &s->range);
#pragma GCC unroll 4
    for (int32_t i = 0; i < s->size; i++) {
        const int32_t x = q8_operand(a[i], s->a_zero, s->left, s->a_multiplier, s->a_shift);
        const int32_t y = q8_operand(b[i], s->b_zero, s->left, s->b_multiplier, s->b_shift);
        out[i] = (int8_t)q8_requant(2 * (x + s->sign * y), s->multiplier, s->shift, half, &s->range);
    }
}

#endif
