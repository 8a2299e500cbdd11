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
