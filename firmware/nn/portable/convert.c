#include "nn.h"
#include "nn_math.h"

/* Every function here may work in place where both types are the same. */

void nn_clamp_s8(int32_t n, int32_t lo, int32_t hi, const int8_t *in, int8_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int8_t)nn_clamp(in[i], lo, hi);
    }
}

void nn_clamp_s16(int32_t n, int32_t lo, int32_t hi, const int16_t *in, int16_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int16_t)nn_clamp(in[i], lo, hi);
    }
}

void nn_clamp_f32s(int32_t n, float lo, float hi, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = nn_clamp_f32(in[i], lo, hi);
    }
}

#define RESCALE(NAME, IN, OUT)                                                      \
    void NAME(const nn_rescale *p, const IN *in, OUT *out) {                        \
        for (int32_t i = 0; i < p->size; i++) {                                     \
            int32_t v = nn_requantize(in[i] - p->in_zero, p->multiplier, p->shift); \
            out[i] = (OUT)nn_clamp(v + p->out_zero, p->min, p->max);                \
        }                                                                           \
    }

RESCALE(nn_rescale_s8_s8, int8_t, int8_t)
RESCALE(nn_rescale_s8_s16, int8_t, int16_t)
RESCALE(nn_rescale_s16_s8, int16_t, int8_t)
RESCALE(nn_rescale_s16_s16, int16_t, int16_t)
RESCALE(nn_rescale_u8_s8, uint8_t, int8_t)
RESCALE(nn_rescale_s8_u8, int8_t, uint8_t)
RESCALE(nn_rescale_s32_s8, int32_t, int8_t)
RESCALE(nn_rescale_s32_s16, int32_t, int16_t)
RESCALE(nn_rescale_s8_s32, int8_t, int32_t)
RESCALE(nn_rescale_s16_s32, int16_t, int32_t)

/* Half away from zero. The bounds keep the conversion defined for any finite or infinite input. */
static int32_t rounded(float v) {
    v = nn_clamp_f32(v, -1e6f, 1e6f);
    float whole = (float)(int32_t)v, rest = v - whole;
    return (int32_t)whole + (rest >= 0.5f) - (rest <= -0.5f);
}

void nn_quantize_s8(int32_t n, float scale, int32_t zero_point, const float *in, int8_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int8_t)nn_clamp(rounded(in[i] / scale) + zero_point, INT8_MIN, INT8_MAX);
    }
}

void nn_quantize_s16(int32_t n, float scale, int32_t zero_point, const float *in, int16_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int16_t)nn_clamp(rounded(in[i] / scale) + zero_point, INT16_MIN, INT16_MAX);
    }
}

/* Rounding the exact product once to float is what TFLM's product in double gives: 24 + 17 bits fit into 53. */
void nn_dequantize_s8(int32_t n, float scale, int32_t zero_point, const int8_t *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = scale * (float)(in[i] - zero_point);
    }
}

void nn_dequantize_u8(int32_t n, float scale, int32_t zero_point, const uint8_t *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = scale * (float)(in[i] - zero_point);
    }
}

void nn_dequantize_s16(int32_t n, float scale, int32_t zero_point, const int16_t *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = scale * (float)(in[i] - zero_point);
    }
}
