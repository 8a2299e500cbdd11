#include "nn.h"

/* The extreme of each column of [outer, reduced, inner]. */
#define EXTREME(NAME, DATA, BEATS)                                            \
    void NAME(const nn_mean_float *p, const DATA *in, DATA *out) {            \
        for (int32_t o = 0; o < p->outer; o++, in += p->reduced * p->inner) { \
            for (int32_t i = 0; i < p->inner; i++) {                          \
                DATA best = in[i];                                            \
                for (int32_t r = 1; r < p->reduced; r++) {                    \
                    DATA x = in[r * p->inner + i];                            \
                    best = x BEATS best ? x : best;                           \
                }                                                             \
                *out++ = best;                                                \
            }                                                                 \
        }                                                                     \
    }

EXTREME(nn_reduce_max_s8, int8_t, >)
EXTREME(nn_reduce_max_s16, int16_t, >)
EXTREME(nn_reduce_max_f32, float, >)
EXTREME(nn_reduce_min_s8, int8_t, <)
EXTREME(nn_reduce_min_s16, int16_t, <)
EXTREME(nn_reduce_min_f32, float, <)
EXTREME(nn_reduce_max_s32, int32_t, >)
EXTREME(nn_reduce_min_s32, int32_t, <)

/* Wraps, as the reference does on any machine. */
void nn_sum_s32(const nn_mean_float *p, const int32_t *in, int32_t *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->reduced * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            uint32_t sum = 0;
            for (int32_t r = 0; r < p->reduced; r++) {
                sum += (uint32_t)in[r * p->inner + i];
            }
            *out++ = (int32_t)sum;
        }
    }
}
