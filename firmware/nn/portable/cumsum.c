#include "nn.h"
#include "nn_math.h"

/* Element k of a column of [outer, n, inner], counted from the end that the sum begins at. */
static inline int32_t place(const nn_cumsum *p, int32_t k, int32_t i) { return (p->reverse ? p->n - 1 - k : k) * p->inner + i; }

void nn_cumsum_f32(const nn_cumsum *p, const float *in, float *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->n * p->inner, out += p->n * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            float sum = 0;
            for (int32_t k = 0; k < p->n; k++) {
                int32_t at = place(p, k, i);
                float before = sum;
                sum += in[at];
                out[at] = p->exclusive ? before : sum;
            }
        }
    }
}

void nn_cumsum_s8(const nn_cumsum *p, const nn_cumsum_int *q, const int8_t *in, int8_t *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->n * p->inner, out += p->n * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            int32_t sum = nn_shift_right(nn_mul_high(-q->in_zero * (1 << 20), q->in.multiplier), -q->in.shift);
            for (int32_t k = 0; k < p->n; k++) {
                int32_t at = place(p, k, i), before = sum;
                sum += nn_shift_right(nn_mul_high((in[at] - q->in_zero) * (1 << 20), q->in.multiplier), -q->in.shift);
                int32_t v = nn_shift_right(nn_mul_high(p->exclusive ? before : sum, q->out.multiplier), -q->out.shift);
                out[at] = (int8_t)nn_clamp(v + q->out_zero, INT8_MIN, INT8_MAX);
            }
        }
    }
}
