#include <math.h>

#include "nn.h"
#include "nn_broadcast.h"
#include "nn_math.h"

/* bool is a byte of 0 or 1. */
#define COMPARE(NAME, PARAMS, DATA, VALUE) NN_BINARY(NAME, PARAMS, DATA, uint8_t, VALUE)

#define COMPARE_TYPES(NAME, OPERATOR)                            \
    COMPARE(nn_##NAME##_f32, nn_binary, float, *x OPERATOR *y)   \
    COMPARE(nn_##NAME##_s32, nn_binary, int32_t, *x OPERATOR *y) \
    COMPARE(nn_##NAME##_s64, nn_binary, int64_t, *x OPERATOR *y) \
    COMPARE(nn_##NAME##_s8, nn_compare_int, int8_t, left(p, *x) OPERATOR right(p, *y))

static inline int32_t left(const nn_compare_int *p, int32_t v) {
    return nn_shift_right(nn_mul_high((v - p->a_zero) * 256, p->a.multiplier), -p->a.shift);
}

static inline int32_t right(const nn_compare_int *p, int32_t v) {
    return nn_shift_right(nn_mul_high((v - p->b_zero) * 256, p->b.multiplier), -p->b.shift);
}

COMPARE_TYPES(equal, ==)
COMPARE_TYPES(not_equal, !=)
COMPARE_TYPES(greater, >)
COMPARE_TYPES(greater_equal, >=)
COMPARE_TYPES(less, <)
COMPARE_TYPES(less_equal, <=)
COMPARE(nn_equal_u8, nn_binary, uint8_t, !*x == !*y)
COMPARE(nn_not_equal_u8, nn_binary, uint8_t, !*x != !*y)

void nn_logical_not_u8(int32_t n, const uint8_t *in, uint8_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = !in[i];
    }
}

/* Is every value of a column of [outer, reduced, inner] true? */
void nn_reduce_all_u8(const nn_mean_float *p, const uint8_t *in, uint8_t *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->reduced * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            uint8_t all = 1;
            for (int32_t r = 0; r < p->reduced; r++) {
                all = all && in[r * p->inner + i];
            }
            *out++ = all;
        }
    }
}

void nn_select(const nn_select_shape *p, const uint8_t *condition, const uint8_t *a, const uint8_t *b, uint8_t *out) {
    int32_t at[NN_BROADCAST_RANK] = {0};
    for (;;) {
        const uint8_t *from = *condition ? a : b;
        for (int32_t i = 0; i < p->bytes; i++) {
            *out++ = from[i];
        }
        int32_t d = NN_BROADCAST_RANK - 1;
        for (; d >= 0; d--) {
            condition += p->condition_step[d];
            a += p->a_step[d];
            b += p->b_step[d];
            if (++at[d] < p->count[d]) {
                break;
            }
            condition -= p->count[d] * p->condition_step[d];
            a -= p->count[d] * p->a_step[d];
            b -= p->count[d] * p->b_step[d];
            at[d] = 0;
        }
        if (d < 0) {
            return;
        }
    }
}

/* Saturated; NaN becomes 0. C leaves both open, the reference as built for its wheel does this. */
static inline int32_t whole(float v, int32_t lo, int32_t hi) {
    return v >= (float)hi ? hi : v <= (float)lo ? lo : v == v ? (int32_t)v : 0;
}

#define CAST(NAME, IN, OUT, VALUE)                 \
    void NAME(int32_t n, const IN *in, OUT *out) { \
        for (int32_t i = 0; i < n; i++) {          \
            out[i] = (OUT)(VALUE);                 \
        }                                          \
    }

#define CAST_FROM(FROM, IN, VALUE)                 \
    CAST(nn_cast_##FROM##_s8, IN, int8_t, VALUE)   \
    CAST(nn_cast_##FROM##_s16, IN, int16_t, VALUE) \
    CAST(nn_cast_##FROM##_s32, IN, int32_t, VALUE)

CAST_FROM(s8, int8_t, in[i])
CAST_FROM(s16, int16_t, in[i])
CAST_FROM(s32, int32_t, in[i])
CAST(nn_cast_f32_s8, float, int8_t, whole(in[i], INT8_MIN, INT8_MAX))
CAST(nn_cast_f32_s16, float, int16_t, whole(in[i], INT16_MIN, INT16_MAX))
CAST(nn_cast_f32_s32, float, int32_t, whole(in[i], INT32_MIN, INT32_MAX))
CAST_FROM(bool, uint8_t, in[i] != 0)
CAST_FROM(u32, uint32_t, in[i])
CAST(nn_cast_s8_u32, int8_t, uint32_t, in[i])
CAST(nn_cast_s16_u32, int16_t, uint32_t, in[i])
CAST(nn_cast_s32_u32, int32_t, uint32_t, in[i])
CAST(nn_cast_bool_u32, uint8_t, uint32_t, in[i] != 0)
CAST(nn_cast_u32_f32, uint32_t, float, in[i])
CAST(nn_cast_s8_f32, int8_t, float, in[i])
CAST(nn_cast_s16_f32, int16_t, float, in[i])
CAST(nn_cast_s32_f32, int32_t, float, in[i])
CAST(nn_cast_f32_f32, float, float, in[i])
CAST(nn_cast_bool_f32, uint8_t, float, in[i] != 0)
