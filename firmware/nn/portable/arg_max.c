#include "nn.h"

/* The first of equal values wins. */
#define ARG_BEST(NAME, DATA, BEATS)                                                    \
    void NAME(int32_t outer, int32_t n, int32_t inner, const DATA *in, int32_t *out) { \
        for (int32_t o = 0; o < outer; o++, in += n * inner) {                         \
            for (int32_t i = 0; i < inner; i++) {                                      \
                int32_t best = 0;                                                      \
                for (int32_t k = 1; k < n; k++) {                                      \
                    best = in[k * inner + i] BEATS in[best * inner + i] ? k : best;    \
                }                                                                      \
                *out++ = best;                                                         \
            }                                                                          \
        }                                                                              \
    }

ARG_BEST(nn_arg_max_s8, int8_t, >)
ARG_BEST(nn_arg_max_f32, float, >)
ARG_BEST(nn_arg_min_s8, int8_t, <)
ARG_BEST(nn_arg_min_f32, float, <)
