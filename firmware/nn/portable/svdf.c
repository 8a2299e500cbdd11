#include <string.h>

#include "nn.h"
#include "nn_math.h"

/* Sums of 16-bit states wrap, as the reference's do. */
static inline int32_t plus(int32_t sum, int32_t v) { return (int32_t)((uint32_t)sum + (uint32_t)v); }

/* Every filter keeps its last `memory` values, the newest behind the others. */
#define SVDF_INT(NAME, STATE, LOW, HIGH)                                                                               \
    void NAME(const nn_svdf *p, const nn_svdf_int *q, const int8_t *features, const STATE *times, const int32_t *bias, \
              const int8_t *in, STATE *state, int8_t *out) {                                                           \
        memmove(state, state + 1, (size_t)(p->batch * p->filters * p->memory - 1) * sizeof *state);                    \
        for (int32_t b = 0; b < p->batch; b++, in += p->inputs) {                                                      \
            STATE *kept = state + b * p->filters * p->memory;                                                          \
            const int8_t *weights = features;                                                                          \
            for (int32_t f = 0; f < p->filters; f++, weights += p->inputs) {                                           \
                int32_t sum = 0;                                                                                       \
                for (int32_t i = 0; i < p->inputs; i++) {                                                              \
                    sum += weights[i] * (in[i] - q->in_zero);                                                          \
                }                                                                                                      \
                sum = nn_clamp(nn_requantize(sum, q->feature.multiplier, q->feature.shift), LOW, HIGH);                \
                kept[f * p->memory + p->memory - 1] = (STATE)(q->state_zero + sum);                                    \
            }                                                                                                          \
            for (int32_t u = 0; u < p->filters / p->rank; u++) {                                                       \
                int32_t sum = bias ? bias[u] : 0;                                                                      \
                for (int32_t k = u * p->rank * p->memory; k < (u + 1) * p->rank * p->memory; k++) {                    \
                    sum = plus(sum, times[k] * (kept[k] - q->state_zero));                                             \
                }                                                                                                      \
                sum = nn_requantize(sum, q->time.multiplier, q->time.shift) + q->out_zero;                             \
                *out++ = (int8_t)nn_clamp(sum, INT8_MIN, INT8_MAX);                                                    \
            }                                                                                                          \
        }                                                                                                              \
    }

SVDF_INT(nn_svdf_s8, int8_t, INT8_MIN, INT8_MAX)
SVDF_INT(nn_svdf_s16, int16_t, INT16_MIN, INT16_MAX)

void nn_svdf_f32(const nn_svdf *p, float lo, float hi, const float *features, const float *times, const float *bias,
                 const float *in, float *state, float *out) {
    memmove(state, state + 1, (size_t)(p->batch * p->filters * p->memory - 1) * sizeof *state);
    for (int32_t b = 0; b < p->batch; b++, in += p->inputs) {
        float *kept = state + b * p->filters * p->memory;
        const float *weights = features;
        for (int32_t f = 0; f < p->filters; f++, weights += p->inputs) {
            float sum = 0;
            for (int32_t i = 0; i < p->inputs; i++) {
                sum += weights[i] * in[i];
            }
            kept[f * p->memory + p->memory - 1] = sum;
        }
        for (int32_t u = 0; u < p->filters / p->rank; u++) {
            float sum = bias ? bias[u] : 0;
            for (int32_t k = u * p->rank * p->memory; k < (u + 1) * p->rank * p->memory; k++) {
                sum += times[k] * kept[k];
            }
            *out++ = nn_clamp_f32(sum, lo, hi);
        }
    }
}
