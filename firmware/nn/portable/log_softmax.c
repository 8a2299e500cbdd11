#include <math.h>

#include "nn.h"
#include "nn_fixed.h"
#include "nn_math.h"

void nn_log_softmax_f32(int32_t rows, int32_t depth, const float *in, float *out) {
    for (int32_t r = 0; r < rows; r++, in += depth, out += depth) {
        float top = in[0], sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            top = in[i] > top ? in[i] : top;
        }
        for (int32_t i = 0; i < depth; i++) {
            sum += expf(in[i] - top);
        }
        float log_sum = logf(sum); /* cppcheck-suppress invalidFunctionArg; the largest gives e^0 = 1 */
        for (int32_t i = 0; i < depth; i++) {
            out[i] = in[i] - top - log_sum;
        }
    }
}

/* Output scale 16/256, zero point 127: Q5.26 differences less the sum's logarithm, rounded to Q4.4. */
void nn_log_softmax_s8(const nn_log_softmax_int *p, const int8_t *in, int8_t *out) {
    for (int32_t r = 0; r < p->rows; r++, in += p->depth, out += p->depth) {
        int32_t top = INT8_MIN, sum = 0;
        for (int32_t i = 0; i < p->depth; i++) {
            top = in[i] > top ? in[i] : top;
        }
        for (int32_t i = 0; i < p->depth; i++) {
            if (in[i] - top >= p->diff_min) {
                sum += nn_shift_right(nn_exp_negative(nn_requantize(in[i] - top, p->multiplier, p->shift)), 12);
            }
        }
        int32_t log_sum = nn_log_q12(sum);
        int32_t least = nn_requantize(log_sum + INT32_MIN, p->reverse_multiplier, p->reverse_shift);
        least = least > p->diff_min - 1 ? least : p->diff_min - 1;
        for (int32_t i = 0; i < p->depth; i++) {
            int32_t diff = in[i] - top;
            int32_t v = nn_shift_right(nn_requantize(diff, p->multiplier, p->shift) - log_sum, 31 - 5 - 4) + INT8_MAX;
            out[i] = (int8_t)(diff > least ? nn_clamp(v, INT8_MIN, INT8_MAX) : INT8_MIN);
        }
    }
}
