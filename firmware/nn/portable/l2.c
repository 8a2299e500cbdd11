#include <math.h>

#include "nn.h"
#include "nn_fixed.h"

void nn_l2_normalization_f32(int32_t rows, int32_t depth, const float *in, float *out) {
    for (int32_t r = 0; r < rows; r++, in += depth, out += depth) {
        float sum = 0;
        for (int32_t i = 0; i < depth; i++) {
            sum += in[i] * in[i];
        }
        float norm = sqrtf(sum);
        norm = norm > 1e-6f ? norm : 1e-6f;
        for (int32_t i = 0; i < depth; i++) {
            out[i] = in[i] / norm;
        }
    }
}

/* 1 / sqrt(x) as a multiplier in Q0.31 and a shift: Newton-Raphson in Q3.28 from 1, five times. The algorithm and its
 * constants are those of TFLite's GetInvSqrtQuantizedMultiplierExp (Apache-2.0). */
static nn_scale inverse_root(int32_t x) {
    if (x <= 1) {
        return (nn_scale){INT32_MAX, 0};
    }
    int32_t shift = 11;
    for (; x >= 1 << 29; x /= 4) {
        shift++;
    }
    int32_t pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1;
    shift -= pairs;
    x = (int32_t)((uint32_t)x << (2 * pairs)) >> 1;
    int32_t half = nn_shift_right(x, 1), root = 1 << 28; /* Q3.28 */
    const int32_t three_halves = (1 << 28) + (1 << 27), half_root_of_two = 1518500250;
    for (int32_t i = 0; i < 5; i++) {
        int32_t cube = nn_shift_left_saturated(nn_mul_high(nn_mul_high(root, root), root), 6);
        root = nn_shift_left_saturated(nn_mul_high(three_halves, root) - nn_mul_high(half, cube), 3);
    }
    root = nn_mul_high(root, half_root_of_two);
    if (shift < 0) {
        root = (int32_t)((uint32_t)root << -shift);
        shift = 0;
    }
    return (nn_scale){root, -shift};
}

/* The output's scale is 1/128, its zero point 0. */
void nn_l2_normalization_s8(int32_t rows, int32_t depth, int32_t zero, const int8_t *in, int8_t *out) {
    for (int32_t r = 0; r < rows; r++, in += depth, out += depth) {
        int32_t sum = 0;
        for (int32_t i = 0; i < depth; i++) {
            sum += (in[i] - zero) * (in[i] - zero);
        }
        nn_scale q = inverse_root(sum);
        for (int32_t i = 0; i < depth; i++) {
            out[i] = (int8_t)nn_clamp(nn_requantize(in[i] - zero, q.multiplier, q.shift + 7), INT8_MIN, INT8_MAX);
        }
    }
}

void nn_l2_pool_f32(const nn_pool_float *p, const float *in, float *out) {
    const nn_window *w = &p->w;
    for (int32_t b = 0; b < w->batch; b++, in += w->in_h * w->in_w * w->in_c) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                for (int32_t c = 0; c < w->in_c; c++) {
                    float sum = 0;
                    int32_t count = 0;
                    for (int32_t i = 0; i < w->k_h * w->k_w; i++) {
                        int32_t row = y * w->stride_h - w->pad_top + i / w->k_w,
                                column = x * w->stride_w - w->pad_left + i % w->k_w;
                        if (row >= 0 && row < w->in_h && column >= 0 && column < w->in_w) {
                            float v = in[(row * w->in_w + column) * w->in_c + c];
                            sum += v * v;
                            count++;
                        }
                    }
                    *out++ = nn_clamp_f32(sqrtf(sum / (float)count), p->min, p->max);
                }
            }
        }
    }
}
