#include "nn.h"
#include "nn_math.h"

/* The part of a window that lies inside the input. */
typedef struct {
    int32_t y_from, y_to, x_from, x_to;
} span;

static span inside(const nn_window *g, int32_t oy, int32_t ox) {
    int32_t y0 = oy * g->stride_h - g->pad_top, x0 = ox * g->stride_w - g->pad_left;
    int32_t y1 = y0 + g->k_h, x1 = x0 + g->k_w;
    return (span){y0 < 0 ? 0 : y0, y1 > g->in_h ? g->in_h : y1, x0 < 0 ? 0 : x0, x1 > g->in_w ? g->in_w : x1};
}

static int32_t mean_of(int32_t sum, int32_t count) { return (sum > 0 ? sum + count / 2 : sum - count / 2) / count; }

/* Loops over outputs; STEP(acc, x) takes one element in, DONE(acc, count) gives the result. */
#define POOL(NAME, PARAMS, DATA, ACC, START, STEP, DONE)                                \
    void NAME(const PARAMS *p, const DATA *in, DATA *out) {                             \
        const nn_window *g = &p->w;                                                     \
        for (int32_t b = 0; b < g->batch; b++, in += g->in_h * g->in_w * g->in_c) {     \
            for (int32_t o = 0; o < g->out_h * g->out_w; o++) {                         \
                span s = inside(g, o / g->out_w, o % g->out_w);                         \
                int32_t count = (s.y_to - s.y_from) * (s.x_to - s.x_from);              \
                (void)count;                                                            \
                for (int32_t c = 0; c < g->in_c; c++) {                                 \
                    ACC acc = START;                                                    \
                    for (int32_t y = s.y_from; y < s.y_to; y++) {                       \
                        const DATA *x = in + (y * g->in_w + s.x_from) * g->in_c + c;    \
                        for (int32_t n = s.x_to - s.x_from; n > 0; n--, x += g->in_c) { \
                            acc = STEP(acc, *x);                                        \
                        }                                                               \
                    }                                                                   \
                    *out++ = DONE(acc, count);                                          \
                }                                                                       \
            }                                                                           \
        }                                                                               \
    }

#define ADD(a, x) ((a) + (x))
#define LARGER(a, x) ((x) > (a) ? (x) : (a))
#define MEAN_S8(a, n) ((int8_t)nn_clamp(mean_of(a, n), p->min, p->max))
#define MEAN_S16(a, n) ((int16_t)nn_clamp(mean_of(a, n), p->min, p->max))
#define MEAN_F32(a, n) nn_clamp_f32((a) / (float)(n), p->min, p->max)
#define LAST_S8(a, n) ((int8_t)nn_clamp(a, p->min, p->max))
#define LAST_S16(a, n) ((int16_t)nn_clamp(a, p->min, p->max))
#define LAST_F32(a, n) nn_clamp_f32(a, p->min, p->max)

POOL(nn_average_pool_s8, nn_pool_int, int8_t, int32_t, 0, ADD, MEAN_S8)
POOL(nn_average_pool_s16, nn_pool_int, int16_t, int32_t, 0, ADD, MEAN_S16)
POOL(nn_average_pool_f32, nn_pool_float, float, float, 0, ADD, MEAN_F32)
POOL(nn_max_pool_s8, nn_pool_int, int8_t, int32_t, -128, LARGER, LAST_S8)
POOL(nn_max_pool_s16, nn_pool_int, int16_t, int32_t, -32768, LARGER, LAST_S16)
POOL(nn_max_pool_f32, nn_pool_float, float, float, -__builtin_inff(), LARGER, LAST_F32)
