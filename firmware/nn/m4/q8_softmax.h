/* q8_softmax.h: int8 softmax over rows. exp(-d * beta * scale), d the distance from the row's largest value, comes in Q0.31
 * from a table of the compiler's where it is short or much used, else it is computed. Distances of `count` and more count as
 * zero. All results are nn_fixed.h's bit for bit: the same series with fewer instructions. */
#ifndef M4_Q8_SOFTMAX_H
#define M4_Q8_SOFTMAX_H

#include "m4/dsp.h"
#include "nn_math.h"

/* multiplier, shift: of the distance to Q5.26, where there is no table. */
typedef struct {
    int32_t rows, depth, count, multiplier, shift;
} q8_softmax_shape;

/* Bits in front of the point of the sum: Q12.19 holds 4,096 classes. */
enum { Q8_SUM_BITS = 12 };

/* nn_mul_high(a, b) for b >= 0: SMMLAR of 2 * b, which wraps to 2 * b - 2^32 from 2^30 on; that is made good by one more a. */
M4_INLINE int32_t q8_mul_high(int32_t a, int32_t b) {
    const int32_t twice = (int32_t)(2u * (uint32_t)b);
    return m4_smmlar(a, twice, a & (twice >> 31));
}

/* nn_mul_high(a, b) for |b| < 2^30. */
M4_INLINE int32_t q8_mul_small(int32_t a, int32_t b) { return m4_smmlar(a, 2 * b, 0); }

/* nn_exp_negative of the distance. */
static __attribute__((noinline, noclone, optimize("Os"), unused)) int32_t q8_exp_computed(const q8_softmax_shape *s, int32_t d) {
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24, exp_eighth = 1895147668, third = 715827883;
    const int32_t a = q8_mul_high((int32_t)(0u - ((uint32_t)d << s->shift)), s->multiplier);
    if (a == 0) return INT32_MAX;
    const int32_t remainder = (a & (quarter - 1)) - quarter, x = remainder * 32 + (1 << 28); /* |x| <= 2^28, x^2 >= |x^3| */
    const int32_t x2 = q8_mul_small(x, x), x3 = q8_mul_small(x2, x), x4 = q8_mul_small(x2, x2);
    const int32_t tail = (q8_mul_small(((x4 + 2) >> 2) + x3, third) + x2 + 1) >> 1;
    int32_t result = exp_eighth + q8_mul_small(exp_eighth, x + tail);
    uint32_t rest = (uint32_t)(remainder - a) / (uint32_t)quarter;
    for (const int32_t *f = factors; rest; rest >>= 1, f++)
        if (rest & 1) result = q8_mul_high(result, *f);
    return result;
}

M4_INLINE int32_t q8_exp(const q8_softmax_shape *s, const int32_t *exps, int32_t d) {
    return exps ? exps[d] : q8_exp_computed(s, d);
}

/* nn_one_over_one_plus for a >= 0. */
M4_INLINE int32_t q8_one_over_one_plus(int32_t a) {
    const int32_t half = (a >> 1) + (1 << 30);
    int32_t x = 1515870810 + q8_mul_small(half, -1010580540); /* 48/17 and -32/17 in Q2.29 */
#pragma GCC unroll 1
    for (int32_t i = 0; i < 3; i++) x += q8_mul_small(x, (1 << 29) - q8_mul_high(half, x)) * 4;
    return x < 1 << 30 ? x * 2 : INT32_MAX;
}

M4_INLINE void q8_softmax(const q8_softmax_shape *s, const int32_t *exps, const int8_t *in, int8_t *out) {
#pragma GCC unroll 1
    for (int32_t r = 0; r < s->rows; r++, in += s->depth, out += s->depth) {
        int32_t top = in[0];
        uint32_t sum = 0;
#pragma GCC unroll 1
        for (int32_t i = 1; i < s->depth; i++) top = in[i] > top ? in[i] : top;
#pragma GCC unroll 1
        for (int32_t i = 0; i < s->depth; i++) {
            const int32_t d = top - in[i];
            if (d < s->count) sum += ((uint32_t)q8_exp(s, exps, d) + (1u << (Q8_SUM_BITS - 1))) >> Q8_SUM_BITS;
        }
        const int32_t zeros = __builtin_clz(sum), shift = Q8_SUM_BITS - zeros + 31 - 8;
        const int32_t scale = q8_one_over_one_plus((int32_t)((sum << zeros) - (1u << 31)));
#pragma GCC unroll 1
        for (int32_t i = 0; i < s->depth; i++) {
            const int32_t d = top - in[i], v = d < s->count ? nn_shift_right(q8_mul_high(scale, q8_exp(s, exps, d)), shift) : 0;
            out[i] = (int8_t)m4_ssat8(v - 128);
        }
    }
}

#endif
