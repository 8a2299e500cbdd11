#include "nn.h"
#include "nn_fixed.h"
#include "nn_math.h"

/* Bits in front of the point of the sum of exponentials: Q12.19 sums up to 4,096 classes. */
enum { SUM_BITS = 12 };

static int32_t scaled_difference(const nn_softmax_int *p, int32_t diff) {
    return nn_mul_high((int32_t)((uint32_t)diff << p->shift), p->multiplier);
}

static int32_t row_max(const int8_t *in, int32_t depth) {
    int32_t top = INT8_MIN;
    for (int32_t i = 0; i < depth; i++) {
        top = in[i] > top ? in[i] : top;
    }
    return top;
}

/* exp(x - max) / sum in `bits` + 1 bits, offset by `lowest`. The sum's leading zeros become the final shift. */
#define SOFTMAX(NAME, OUT, BITS, LOWEST, HIGHEST)                                                           \
    void NAME(const nn_softmax_int *p, const int8_t *in, OUT *out) {                                        \
        for (int32_t r = 0; r < p->rows; r++, in += p->depth, out += p->depth) {                            \
            int32_t top = row_max(in, p->depth), sum = 0;                                                   \
            for (int32_t i = 0; i < p->depth; i++) {                                                        \
                if (in[i] - top >= p->diff_min) {                                                           \
                    sum += nn_shift_right(nn_exp_negative(scaled_difference(p, in[i] - top)), SUM_BITS);    \
                }                                                                                           \
            }                                                                                               \
            int32_t zeros = __builtin_clz((uint32_t)sum);                                                   \
            int32_t scale = nn_one_over_one_plus((int32_t)(((uint32_t)sum << zeros) - (1u << 31)));         \
            for (int32_t i = 0; i < p->depth; i++) {                                                        \
                int32_t v = LOWEST, diff = in[i] - top;                                                     \
                if (diff >= p->diff_min) {                                                                  \
                    int32_t e = nn_exp_negative(scaled_difference(p, diff));                                \
                    int32_t shift = SUM_BITS - zeros + 31 - (BITS);                                         \
                    v = nn_clamp(nn_shift_right(nn_mul_high(scale, e), shift) + (LOWEST), LOWEST, HIGHEST); \
                }                                                                                           \
                out[i] = (OUT)v;                                                                            \
            }                                                                                               \
        }                                                                                                   \
    }

SOFTMAX(nn_softmax_s8, int8_t, 8, INT8_MIN, INT8_MAX)
SOFTMAX(nn_softmax_s8_s16, int16_t, 16, INT16_MIN, INT16_MAX)
