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
