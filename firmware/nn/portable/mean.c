#include "nn.h"
#include "nn_math.h"

#define MEAN(NAME, PARAMS, DATA, ACC, DONE)                                   \
    void NAME(const PARAMS *p, const DATA *in, DATA *out) {                   \
        for (int32_t o = 0; o < p->outer; o++, in += p->reduced * p->inner) { \
            for (int32_t i = 0; i < p->inner; i++) {                          \
                ACC acc = 0;                                                  \
                const DATA *x = in + i;                                       \
                for (int32_t r = 0; r < p->reduced; r++, x += p->inner) {     \
                    acc += *x;                                                \
                }                                                             \
                *out++ = DONE(acc);                                           \
            }                                                                 \
        }                                                                     \
    }

static int32_t finish(const nn_mean_int *p, int32_t sum, int32_t lo, int32_t hi) {
    int32_t centred = sum - p->reduced * p->in_zero;
    return nn_clamp(nn_requantize(centred, p->multiplier, p->shift) + p->out_zero, lo, hi);
}

#define DONE_S8(a) ((int8_t)finish(p, a, INT8_MIN, INT8_MAX))
#define DONE_S16(a) ((int16_t)finish(p, a, INT16_MIN, INT16_MAX))
#define DONE_F32(a) ((a) / (float)p->reduced)

MEAN(nn_mean_s8, nn_mean_int, int8_t, int32_t, DONE_S8)
MEAN(nn_mean_s16, nn_mean_int, int16_t, int32_t, DONE_S16)
#define DONE_SUM_F32(a) (a)

MEAN(nn_sum_f32, nn_mean_float, float, float, DONE_SUM_F32)
MEAN(nn_mean_f32, nn_mean_float, float, float, DONE_F32)
