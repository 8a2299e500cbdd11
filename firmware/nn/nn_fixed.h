/* nn_fixed.h: exponential and reciprocal in fixed point, after gemmlowp's published algorithms (fixedpoint.h,
 * Apache-2.0): the series, its constants and the Newton-Raphson start values are gemmlowp's, so results are equal bit
 * for bit to TFLM's. Q5.26 means 5 integer and 26 fractional bits. */
#ifndef NN_FIXED_H
#define NN_FIXED_H

#include "nn_math.h"

/* exp(a) for a in [-1/4, 0) in Q0.31: fourth-order series around -1/8. */
static inline int32_t nn_exp_quarter(int32_t a) {
    const int32_t exp_eighth = 1895147668, third = 715827883; /* exp(-1/8), 1/3 */
    int32_t x = a + (1 << 28);
    int32_t x2 = nn_mul_high(x, x), x3 = nn_mul_high(x2, x), x4 = nn_mul_high(x2, x2);
    int32_t tail = nn_shift_right(nn_mul_high(nn_shift_right(x4, 2) + x3, third) + x2, 1);
    return exp_eighth + nn_mul_high(exp_eighth, x + tail);
}

/* exp(a) in Q0.31 for a <= 0 in Q5.26: the quarter's remainder by series, the rest by a product of table values. */
static inline int32_t nn_exp_negative(int32_t a) {
    /* exp(-1/4), exp(-1/2), ... exp(-16) */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    int32_t remainder = (a & (quarter - 1)) - quarter, rest = remainder - a;
    int32_t result = nn_exp_quarter((int32_t)((uint32_t)remainder << 5));
    for (int32_t i = 0; i < 7; i++) {
        if (rest & (quarter << i)) {
            result = nn_mul_high(result, factors[i]);
        }
    }
    return result;
}

/* x * 2^k, saturated. */
static inline int32_t nn_shift_left_saturated(int32_t x, int32_t k) {
    int64_t v = (int64_t)x * ((int64_t)1 << k);
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* 1 / (1 + a) in Q0.31 for a in [0, 1] in Q0.31: three Newton-Raphson steps from 48/17 - 32/17 * (1 + a) / 2. */
static inline int32_t nn_one_over_one_plus(int32_t a) {
    const int32_t c48_17 = 1515870810, minus_c32_17 = -1010580540; /* Q2.29 */
    int32_t half = (a >> 1) + (1 << 30); /* floor((a + 2^31) / 2), which the reference's rounding half sum comes to */
    int32_t x = c48_17 + nn_mul_high(half, minus_c32_17);
    for (int32_t i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - nn_mul_high(half, x);
        x += nn_mul_high(x, error) * 4; /* the start is off by 1/17 at most: nothing to saturate */
    }
    return x < 1 << 30 ? x * 2 : INT32_MAX;
}

/* x * 2^e: saturated to the left, rounded to the right. */
static inline int32_t nn_times_pot(int32_t x, int32_t e) { return e > 0 ? nn_shift_left_saturated(x, e) : nn_shift_right(x, -e); }

/* log(x) in Q5.26 for x >= 1 in Q12.19. x = z * 2^n with z near 1 from two candidates half a binary step apart; log(z) is
 * a rational series around the fourth root of 1/2. The algorithm and constants are those of TFLite's
 * log_x_for_x_greater_than_or_equal_to_1 (Apache-2.0); Q0.31 unless said otherwise, powers of two in Q6.25. */
static inline int32_t nn_log_q12(int32_t x) {
    const int32_t log_2 = 1488522236, root_half = 1518500250, fourth_root_half = 1805811301, quarter = 1 << 23;
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769, alpha_f = 638450708;
    int32_t zeros_a = __builtin_clz((uint32_t)x);
    int32_t r_a = nn_times_pot(nn_mul_high(nn_times_pot(x, zeros_a - 1), root_half), 1);
    int32_t power_a = nn_times_pot(12 - zeros_a, 25) + quarter;
    int32_t zeros_b = __builtin_clz((uint32_t)nn_mul_high(x, root_half)) - 1;
    int32_t r_b = nn_times_pot(x, zeros_b);
    int32_t power_b = nn_times_pot(12 - zeros_b, 25) - quarter;
    int32_t r = r_a < r_b ? r_a : r_b, power = power_a > power_b ? power_a : power_b;
    int64_t sum = (int64_t)r + fourth_root_half;
    int32_t p = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2), q = (r - fourth_root_half) * 2;
    int32_t square = nn_mul_high(q, q);
    int32_t numerator = nn_mul_high(q, r) + nn_mul_high(nn_mul_high(q, square), alpha_n);
    int32_t denominator = nn_mul_high(p, alpha_i + q + nn_mul_high(alpha_d, square)) + nn_mul_high(alpha_f, q);
    int32_t log_z = nn_mul_high(nn_shift_right(numerator, 6), nn_one_over_one_plus(denominator));
    return nn_times_pot(nn_mul_high(power, log_2) + log_z, 1);
}

#endif
