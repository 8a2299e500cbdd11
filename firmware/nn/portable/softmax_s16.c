#include "nn.h"
#include "nn_math.h"

/* Linear interpolation in a table of 512 intervals over the int16 range. */
static int32_t look_up(const int16_t *table, int32_t v) {
    const int16_t *t = table + 256 + (v >> 7);
    return t[0] + (((t[1] - t[0]) * (v & 0x7F) + 64) >> 7);
}

static int32_t saturated(int32_t v) { return nn_clamp(v, INT16_MIN, INT16_MAX); }

void nn_softmax_s16(const nn_softmax_int *p, const int16_t *exp_table, const int16_t *reciprocal_table, const int16_t *in,
                    int16_t *out) {
    for (int32_t r = 0; r < p->rows; r++, in += p->depth, out += p->depth) {
        int32_t top = INT16_MIN, sum = 0; /* Q16.15 */
        for (int32_t i = 0; i < p->depth; i++) {
            top = in[i] > top ? in[i] : top;
        }
        for (int32_t i = 0; i < p->depth; i++) {
            int32_t diff = nn_requantize(in[i] - top, p->multiplier, p->shift);
            out[i] = (int16_t)look_up(exp_table, saturated(diff + INT16_MAX));
            sum += out[i];
        }
        /* The sum as 1 + x with x in [0, 1) over the table's range. */
        int32_t zeros = __builtin_clz((uint32_t)sum);
        int32_t shifted = (int32_t)((((int64_t)sum << (zeros - 1)) + (1 << 13)) >> 14);
        int32_t reciprocal = look_up(reciprocal_table, saturated(shifted - (1 << 15) - (1 << 16)));
        int32_t right = 31 - zeros;
        for (int32_t i = 0; i < p->depth; i++) {
            int64_t v = ((int64_t)out[i] * reciprocal + ((int64_t)1 << (right - 1))) >> right;
            out[i] = (int16_t)nn_clamp((int32_t)v, 0, INT16_MAX);
        }
    }
}
