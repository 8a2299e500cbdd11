/* nn_math.h: fixed-point arithmetic shared by the integer kernels.
 *
 * The rounding is gemmlowp's, as TFLM uses it (published in gemmlowp's fixedpoint.h, Apache-2.0): a saturating doubling
 * high multiplication that rounds half up, then a right shift that rounds half away from zero. */
#ifndef NN_MATH_H
#define NN_MATH_H

#include "nn.h"

static inline int32_t nn_clamp(int32_t v, int32_t lo, int32_t hi) {
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

static inline float nn_clamp_f32(float v, float lo, float hi) {
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}

/* round(a * b / 2^31), ties up, which is what gemmlowp's truncating division comes to; not both INT32_MIN. */
static inline int32_t nn_mul_high(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31); }

/* round(x / 2^e), ties away from zero; 0 <= e <= 31. */
static inline int32_t nn_shift_right(int32_t x, int32_t e) {
    int32_t mask = (int32_t)((1u << e) - 1);
    return (x >> e) + ((x & mask) > (mask >> 1) + (x < 0));
}

/* x * multiplier / 2^31 * 2^shift, rounded twice. A left shift wraps as the reference's does. */
static inline int32_t nn_requantize(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t left = shift > 0 ? shift : 0;
    int32_t right = shift > 0 ? 0 : -shift;
    return nn_shift_right(nn_mul_high((int32_t)((uint32_t)x << left), multiplier), right);
}

/* The 16x8 form: 64-bit accumulator, multiplier reduced to 16 bits, one rounding, half up. */
static inline int32_t nn_requantize_64(int64_t x, int32_t multiplier, int32_t shift) {
    int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
    int32_t total = 15 - shift;
    return (int32_t)((x * reduced + ((int64_t)1 << (total - 1))) >> total);
}

static inline int32_t nn_finish(const nn_requant *q, int32_t acc, int32_t c) {
    return nn_clamp(nn_requantize(acc, q->multiplier[c], q->shift[c]) + q->zero_point, q->min, q->max);
}

static inline int32_t nn_finish_64(const nn_requant *q, int64_t acc, int32_t c) {
    return nn_clamp(nn_requantize_64(acc, q->multiplier[c], q->shift[c]) + q->zero_point, q->min, q->max);
}

#endif
