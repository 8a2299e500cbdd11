#include <math.h>

#include "nn_broadcast.h"
#include "nn_litert.h"

static inline int32_t few(int32_t bits, int32_t most) { return bits < 0 ? 0 : bits > most ? most : bits; }

NN_BINARY(nn_pow_f32, nn_binary, float, float, powf(*x, *y))
NN_BINARY(nn_atan2_f32, nn_binary, float, float, atan2f(*x, *y))
NN_BINARY(nn_bitwise_xor_s8, nn_binary, int8_t, int8_t, *x ^ *y)
NN_BINARY(nn_bitwise_xor_s16, nn_binary, int16_t, int16_t, *x ^ *y)
NN_BINARY(nn_bitwise_xor_s32, nn_binary, int32_t, int32_t, *x ^ *y)
NN_BINARY(nn_right_shift_s8, nn_binary, int8_t, int8_t, *x >> few(*y, 7))
NN_BINARY(nn_right_shift_s16, nn_binary, int16_t, int16_t, *x >> few(*y, 15))
NN_BINARY(nn_right_shift_s32, nn_binary, int32_t, int32_t, *x >> few(*y, 31))

/* Is a value of a column of [outer, reduced, inner] true? */
void nn_reduce_any_u8(const nn_mean_float *p, const uint8_t *in, uint8_t *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->reduced * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            uint8_t any = 0;
            for (int32_t r = 0; r < p->reduced; r++) {
                any = any || in[r * p->inner + i];
            }
            *out++ = any;
        }
    }
}

void nn_local_response_f32(const nn_local_response_shape *p, const float *in, float *out) {
    for (int32_t r = 0; r < p->rows; r++, in += p->depth) {
        for (int32_t c = 0; c < p->depth; c++) {
            int32_t end = c + p->radius + 1 < p->depth ? c + p->radius + 1 : p->depth;
            float sum = 0;
            for (int32_t i = c > p->radius ? c - p->radius : 0; i < end; i++) {
                sum += in[i] * in[i];
            }
            *out++ = in[c] * powf(p->bias + p->alpha * sum, -p->beta);
        }
    }
}

#define BUCKETIZE(NAME, DATA)                                                              \
    void NAME(int32_t n, int32_t count, const float *ends, const DATA *in, int32_t *out) { \
        for (int32_t i = 0; i < n; i++) {                                                  \
            int32_t k = 0;                                                                 \
            while (k < count && (float)in[i] >= ends[k]) {                                 \
                k++;                                                                       \
            }                                                                              \
            out[i] = k;                                                                    \
        }                                                                                  \
    }

BUCKETIZE(nn_bucketize_f32, float)
BUCKETIZE(nn_bucketize_s32, int32_t)

void nn_complex_abs_c64(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = hypotf(in[2 * i], in[2 * i + 1]);
    }
}

void nn_real_c64(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = in[2 * i];
    }
}

void nn_imag_c64(int32_t n, const float *in, float *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = in[2 * i + 1];
    }
}
