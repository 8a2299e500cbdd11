#include <math.h>

#include "nn.h"
#include "nn_broadcast.h"
#include "nn_math.h"

#define BINARY(NAME, PARAMS, DATA, VALUE) NN_BINARY(NAME, PARAMS, DATA, DATA, VALUE)

static inline int32_t scaled(const nn_scale *q, int32_t v, int32_t left) {
    return nn_shift_right(nn_mul_high(v * (1 << left), q->multiplier), -q->shift);
}

static inline int32_t finish(const nn_add_int *p, int32_t sum) {
    return nn_clamp(scaled(&p->out, sum, 0) + p->out_zero, p->min, p->max);
}

static inline int32_t left_operand(const nn_add_int *p, int32_t v) { return scaled(&p->a, v - p->a_zero, p->left); }

static inline int32_t right_operand(const nn_add_int *p, int32_t v) { return scaled(&p->b, v - p->b_zero, p->left); }

static inline int32_t squared(const nn_add_int *p, int32_t difference) {
    int32_t v = nn_requantize(difference * difference, p->out.multiplier, p->out.shift);
    return nn_clamp(v + p->out_zero, p->min, p->max);
}

static inline int32_t product(const nn_mul_int *p, int32_t x, int32_t y) {
    int32_t v = nn_requantize((x - p->a_zero) * (y - p->b_zero), p->out.multiplier, p->out.shift);
    return nn_clamp(v + p->out_zero, p->min, p->max);
}

static inline int32_t prelu(const nn_prelu_int *p, int32_t x, int32_t alpha, int32_t low, int32_t high) {
    int32_t v = x - p->a_zero;
    v = v >= 0 ? nn_requantize(v, p->positive.multiplier, p->positive.shift)
               : nn_requantize(v * (alpha - p->b_zero), p->negative.multiplier, p->negative.shift);
    return nn_clamp(v + p->out_zero, low, high);
}

BINARY(nn_add_s8, nn_add_int, int8_t, finish(p, left_operand(p, *x) + right_operand(p, *y)))
BINARY(nn_add_s16, nn_add_int, int16_t, finish(p, left_operand(p, *x) + right_operand(p, *y)))
BINARY(nn_add_f32, nn_binary_float, float, nn_clamp_f32(*x + *y, p->min, p->max))
BINARY(nn_sub_s8, nn_add_int, int8_t, finish(p, left_operand(p, *x) - right_operand(p, *y)))
BINARY(nn_sub_s16, nn_add_int, int16_t, finish(p, left_operand(p, *x) - right_operand(p, *y)))
BINARY(nn_sub_f32, nn_binary_float, float, nn_clamp_f32(*x - *y, p->min, p->max))
BINARY(nn_squared_difference_s8, nn_add_int, int8_t, squared(p, left_operand(p, *x) - right_operand(p, *y)))
BINARY(nn_squared_difference_s16, nn_add_int, int16_t, squared(p, left_operand(p, *x) - right_operand(p, *y)))
BINARY(nn_squared_difference_f32, nn_binary_float, float, nn_clamp_f32((*x - *y) * (*x - *y), p->min, p->max))
BINARY(nn_div_f32, nn_binary_float, float, nn_clamp_f32(*x / *y, p->min, p->max))
BINARY(nn_mul_s8, nn_mul_int, int8_t, product(p, *x, *y))
BINARY(nn_mul_s16, nn_mul_int, int16_t, product(p, *x, *y))
BINARY(nn_mul_f32, nn_binary_float, float, nn_clamp_f32(*x **y, p->min, p->max))
BINARY(nn_minimum_s8, nn_binary, int8_t, *x < *y ? *x : *y)
BINARY(nn_minimum_s16, nn_binary, int16_t, *x < *y ? *x : *y)
BINARY(nn_minimum_s32, nn_binary, int32_t, *x < *y ? *x : *y)
BINARY(nn_minimum_s64, nn_binary, int64_t, *x < *y ? *x : *y)
BINARY(nn_maximum_s64, nn_binary, int64_t, *x > *y ? *x : *y)
BINARY(nn_minimum_f32, nn_binary, float, *x < *y ? *x : *y)
BINARY(nn_maximum_s8, nn_binary, int8_t, *x > *y ? *x : *y)
BINARY(nn_maximum_s16, nn_binary, int16_t, *x > *y ? *x : *y)
BINARY(nn_maximum_s32, nn_binary, int32_t, *x > *y ? *x : *y)
BINARY(nn_maximum_f32, nn_binary, float, *x > *y ? *x : *y)
BINARY(nn_prelu_s8, nn_prelu_int, int8_t, prelu(p, *x, *y, INT8_MIN, INT8_MAX))
NN_BINARY_OF(nn_prelu_s16, nn_prelu_int, int16_t, int8_t, int16_t, prelu(p, *x, *y, INT16_MIN, INT16_MAX))
BINARY(nn_prelu_f32, nn_binary, float, *x >= 0 ? *x : *x * *y)

/* Wraps, as the reference does on any machine. */
static inline int32_t wrapped(uint32_t v) { return (int32_t)v; }

BINARY(nn_add_s32, nn_binary, int32_t, wrapped((uint32_t)*x + (uint32_t)*y))
BINARY(nn_sub_s32, nn_binary, int32_t, wrapped((uint32_t)*x - (uint32_t)*y))
BINARY(nn_mul_s32, nn_binary, int32_t, wrapped((uint32_t)*x *(uint32_t)*y))

/* Truncated, and 0 where there is no quotient: the reference ends its process there. */
static inline int32_t quotient(int32_t a, int32_t b) { return b == 0 || (a == INT32_MIN && b == -1) ? 0 : a / b; }

BINARY(nn_div_s32, nn_binary, int32_t, quotient(*x, *y))

/* Has the divisor's sign; 0 where there is no quotient. */
static inline int32_t floor_rest(int32_t a, int32_t b) {
    int32_t rest = b == 0 || b == -1 ? 0 : a % b;
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
}

/* Downwards. */
static inline int32_t floor_quotient(int32_t a, int32_t b) {
    return quotient(a, b) - (floor_rest(a, b) != 0 && (a < 0) != (b < 0));
}

BINARY(nn_floor_div_s32, nn_binary, int32_t, floor_quotient(*x, *y))
BINARY(nn_floor_mod_s32, nn_binary, int32_t, floor_rest(*x, *y))

/* The remainder has the divisor's sign. */
static inline float floor_mod(float a, float b) {
    float rest = fmodf(a, b);
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
}

BINARY(nn_floor_div_f32, nn_binary, float, floor((double)*x / (double)*y))
BINARY(nn_floor_mod_f32, nn_binary, float, floor_mod(*x, *y))
BINARY(nn_logical_and_u8, nn_binary, uint8_t, *x &&*y)
BINARY(nn_logical_or_u8, nn_binary, uint8_t, *x || *y)

void nn_add_n_s8(const nn_add_int *p, int32_t n, int32_t count, const int8_t *const *in, int8_t *out) {
    for (int32_t i = 0; i < n; i++) {
        int32_t sum = left_operand(p, 0); /* of 0 as stored, as the reference begins */
        for (int32_t k = 0; k < count; k++) {
            sum += left_operand(p, in[k][i]);
        }
        out[i] = (int8_t)finish(p, sum);
    }
}
