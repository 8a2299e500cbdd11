/* q8_softmax.h: int8 softmax over rows whose exponentials the compiler has tabulated: exps[d] is exp(-d * beta * scale) in
 * Q0.31, as nn_fixed.h computes it; values `count` and more below the row's largest count as zero. */
#ifndef M4_Q8_SOFTMAX_H
#define M4_Q8_SOFTMAX_H

#include "m4/dsp.h"
#include "nn_fixed.h"

typedef struct {
    int32_t rows, depth, count;
} q8_softmax_shape;

/* Bits in front of the point of the sum: Q12.19 holds 4,096 classes. */
enum { Q8_SUM_BITS = 12 };

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
            if (d < s->count) sum += ((uint32_t)exps[d] + (1u << (Q8_SUM_BITS - 1))) >> Q8_SUM_BITS;
        }
        const int32_t zeros = __builtin_clz(sum), shift = Q8_SUM_BITS - zeros + 31 - 8;
        const int32_t scale = nn_one_over_one_plus((int32_t)((sum << zeros) - (1u << 31)));
#pragma GCC unroll 1
        for (int32_t i = 0; i < s->depth; i++) {
            const int32_t d = top - in[i], v = d < s->count ? nn_shift_right(nn_mul_high(scale, exps[d]), shift) : 0;
            out[i] = (int8_t)m4_ssat8(v - 128);
        }
    }
}

#endif
