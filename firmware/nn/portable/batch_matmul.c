#include "nn.h"
#include "nn_math.h"

static int32_t offset(int32_t row, int32_t column, int32_t rows, int32_t columns, int32_t turned) {
    return turned ? column * rows + row : row * columns + column;
}

#define MATMUL(NAME, PARAMS, DATA, ACC, TERM, DONE)                                  \
    void NAME(const PARAMS *p, const DATA *a, const DATA *b, DATA *out) {            \
        const nn_matmul *s = &p->shape;                                              \
        for (int32_t n = 0; n < s->batch; n++, a += s->a_step, b += s->b_step) {     \
            for (int32_t y = 0; y < s->rows; y++) {                                  \
                for (int32_t x = 0; x < s->columns; x++) {                           \
                    ACC acc = 0;                                                     \
                    for (int32_t k = 0; k < s->depth; k++) {                         \
                        DATA l = a[offset(y, k, s->rows, s->depth, s->a_turned)];    \
                        DATA r = b[offset(k, x, s->depth, s->columns, s->b_turned)]; \
                        acc += TERM;                                                 \
                    }                                                                \
                    *out++ = DONE;                                                   \
                }                                                                    \
            }                                                                        \
        }                                                                            \
    }

static int32_t finish_64(const nn_matmul_int *p, int64_t acc) {
    return nn_clamp(nn_requantize_64(acc, p->out.multiplier, p->out.shift), INT16_MIN, INT16_MAX);
}

static int32_t finish(const nn_matmul_int *p, int32_t acc) {
    return nn_clamp(nn_requantize(acc, p->out.multiplier, p->out.shift) + p->out_zero, INT8_MIN, INT8_MAX);
}

MATMUL(nn_batch_matmul_s8, nn_matmul_int, int8_t, int32_t, (l - p->a_zero) * (r - p->b_zero), (int8_t)finish(p, acc))
MATMUL(nn_batch_matmul_s16, nn_matmul_int, int16_t, int64_t, (int32_t)l *r, (int16_t)finish_64(p, acc))
MATMUL(nn_batch_matmul_f32, nn_matmul_float, float, float, l *r, acc)
