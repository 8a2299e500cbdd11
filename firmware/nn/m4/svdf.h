/* svdf.h: int8 SVDF with states of int8 or int16: 23 cycles for 16 multiply-accumulates of the features, some 2.5 cycles for one
 * along the time. Layers share the code. */
#ifndef M4_SVDF_H
#define M4_SVDF_H

#include "m4/state_common.h"

/* features: [group of 4 filters][step][4 words]. Sums along the time may wrap, so that `time` is the reference's. */
typedef struct {
    const uint32_t *features;
    const void *times;
    const int32_t *bias;
    int32_t in_zero, state_zero, out_zero;
    m4_scale feature;
    nn_scale time;
} m4_svdf_data;

/* `bytes` from s to d, which is a little lower. */
M4_INLINE void m4_move_down(uint8_t *d, const uint8_t *s, int32_t bytes) {
    int32_t i = 0;
#pragma GCC unroll 4
    for (; i + 4 <= bytes; i += 4) m4_store(d + i, m4_load(s + i));
    for (; i < bytes; i++) d[i] = s[i];
}

/* n values of a state against its filter's weights along the time. */
M4_INLINE int32_t m4_svdf_times_s16(const int16_t *x, const int16_t *w, int32_t n, int32_t zero, int32_t sum) {
    int32_t i = 0;
    (void)zero; /* 0 */
#pragma GCC unroll 4
    for (; i + 2 <= n; i += 2) sum = m4_smlad(m4_load(x + i), m4_load(w + i), sum);
    if (i < n) sum = m4_add32(sum, x[i] * w[i]);
    return sum;
}

M4_INLINE int32_t m4_svdf_times_s8(const int8_t *x, const int8_t *w, int32_t n, int32_t zero, int32_t sum) {
    const uint32_t minus_zero = m4_pair(-zero, -zero);
    int32_t i = 0;
#pragma GCC unroll 2
    for (; i + 4 <= n; i += 4) {
        const uint32_t a = m4_load(x + i), b = m4_load(w + i);
        sum = m4_smlad(m4_sxtab16(minus_zero, a), m4_sxtb16(b), sum);
        sum = m4_smlad(m4_sxtab16_8(minus_zero, a), m4_sxtb16_8(b), sum);
    }
    for (; i < n; i++) sum = m4_add32(sum, (x[i] - zero) * w[i]);
    return sum;
}

/* Scratch: the input as int16, filled up to whole fours. */
#define M4_SVDF(NAME, STATE, TIMES, LOW, HIGH)                                                                         \
    M4_SHARED void NAME(const nn_svdf *p, const m4_svdf_data *d, const int8_t *in, STATE *state, uint8_t *scratch,     \
                        int8_t *out) {                                                                                 \
        int16_t *const x = (int16_t *)(void *)scratch;                                                                 \
        const int32_t size = p->filters * p->memory, window = p->rank * p->memory, units = p->filters / p->rank;       \
        m4_move_down((uint8_t *)state, (const uint8_t *)(state + 1), (p->batch * size - 1) * (int32_t)sizeof *state);  \
        for (int32_t b = 0; b < p->batch; b++, in += p->inputs, state += size) {                                       \
            const uint32_t *w = d->features;                                                                           \
            m4_widen(x, in, p->inputs, d->in_zero);                                                                    \
            STATE *newest = state + p->memory - 1;                                                                     \
            for (int32_t f = 0; f < p->filters; f += 4) {                                                              \
                q16_quad a = {{0}};                                                                                    \
                w = q16_dot_1x4(&a, x, w, (p->inputs + 3) / 4);                                                        \
                const int32_t n = p->filters - f < 4 ? p->filters - f : 4;                                             \
                for (int32_t i = 0; i < n; i++, newest += p->memory) {                                                 \
                    const int32_t v = nn_clamp(m4_scaled(a.v[i], &d->feature), LOW, HIGH);                             \
                    *newest = (STATE)(d->state_zero + v);                                                              \
                }                                                                                                      \
            }                                                                                                          \
            for (int32_t u = 0; u < units; u++) {                                                                      \
                int32_t v = d->bias ? d->bias[u] : 0;                                                                  \
                v = TIMES(state + u * window, (const STATE *)d->times + u * window, window, d->state_zero, v);         \
                *out++ = (int8_t)nn_clamp(nn_requantize(v, d->time.multiplier, d->time.shift) + d->out_zero, INT8_MIN, \
                                          INT8_MAX);                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

M4_SVDF(m4_svdf_s8, int8_t, m4_svdf_times_s8, INT8_MIN, INT8_MAX)
M4_SVDF(m4_svdf_s16, int16_t, m4_svdf_times_s16, INT16_MIN, INT16_MAX)

#endif
