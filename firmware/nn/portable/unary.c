#include <math.h>

#include "nn.h"
#include "nn_math.h"

/* Every function here may work in place. */

void nn_lut_s8(int32_t n, const int8_t *table, const int8_t *in, int8_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = table[in[i] + 128];
    }
}

void nn_leaky_relu_s16(const nn_leaky_int *p, const int16_t *in, int16_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t v = in[i] - p->in_zero;
        const nn_scale *q = v >= 0 ? &p->positive : &p->negative;
        v = q->multiplier < 0 ? -nn_requantize(v, -q->multiplier, q->shift) : nn_requantize(v, q->multiplier, q->shift);
        out[i] = (int16_t)nn_clamp(v + p->out_zero, INT16_MIN, INT16_MAX);
    }
}

void nn_abs_s16(const nn_leaky_int *p, const int16_t *in, int16_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t v = in[i] < 0 ? -in[i] : in[i];
        out[i] = (int16_t)nn_clamp(nn_requantize(v, p->positive.multiplier, p->positive.shift), INT16_MIN, INT16_MAX);
    }
}

static int32_t table_position(const nn_sigmoid_int *p, int32_t v) {
    return (v * p->multiplier + (p->shift > 0 ? 1 << (p->shift - 1) : 0)) >> p->shift;
}

/* The table at |v| / 2^bits, in Q0.16 << bits; `top` behind its end. */
static int32_t table_value(const uint16_t *table, int32_t v, int bits, int32_t top) {
    uint32_t a = (uint32_t)(v < 0 ? -v : v), i = a >> bits;
    if (i >= 255) {
        return top;
    }
    return (table[i] << bits) + (int32_t)(a & ((1u << bits) - 1)) * (table[i + 1] - table[i]);
}

void nn_logistic_s16(const nn_sigmoid_int *p, const uint16_t *table, const int16_t *in, int16_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t v = table_position(p, in[i]), y = table_value(table, v, 9, 0x7FFF << 10);
        out[i] = (int16_t)((v >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10);
    }
}

/* tanh(x) = 2 sigmoid(2x) - 1 */
void nn_tanh_s16(const nn_sigmoid_int *p, const uint16_t *table, const int16_t *in, int16_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t v = table_position(p, in[i]), y = table_value(table, v, 8, 0xFFFF << 8) - (1 << 23);
        out[i] = (int16_t)((v >= 0 ? y + (1 << 7) : -y + (1 << 7) - 1) >> 8);
    }
}

void nn_leaky_relu_f32(int32_t n, float alpha, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = in[i] > 0 ? in[i] : in[i] * alpha;
    }
}

void nn_sign_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (float)((in[i] > 0) - (in[i] < 0));
    }
}

void nn_gelu_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = 0.5f * in[i] * (1 + erff(in[i] * 0.70710678f)); /* sqrt(1 / 2) */
    }
}

/* The approximation by tanh. */
void nn_gelu_tanh_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        float x = in[i];
        out[i] = 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))); /* sqrt(2 / pi) */
    }
}

void nn_logistic_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = 1 / (1 + expf(-in[i]));
    }
}

void nn_tanh_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = tanhf(in[i]);
    }
}

void nn_hard_swish_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = in[i] * nn_clamp_f32(in[i] + 3, 0, 6) / 6;
    }
}

void nn_abs_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = fabsf(in[i]);
    }
}

void nn_elu_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = in[i] < 0 ? expm1f(in[i]) : in[i];
    }
}

#define FUNCTION(NAME, VALUE)                           \
    void NAME(int32_t n, const float *in, float *out) { \
        for (int32_t i = 0; i < n; i++) {               \
            float x = in[i];                            \
            out[i] = (VALUE);                           \
        }                                               \
    }

FUNCTION(nn_exp_f32, expf(x))
FUNCTION(nn_log_f32, logf(x))
FUNCTION(nn_sqrt_f32, sqrtf(x))
FUNCTION(nn_square_f32, x *x)
FUNCTION(nn_neg_f32, -x)
FUNCTION(nn_floor_f32, floorf(x))
FUNCTION(nn_ceil_f32, ceilf(x))
FUNCTION(nn_round_f32, rintf(x)) /* ties to even */
FUNCTION(nn_sin_f32, sinf(x))
FUNCTION(nn_cos_f32, cosf(x))

void nn_rsqrt_f32(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = 1 / sqrtf(in[i]);
    }
}
