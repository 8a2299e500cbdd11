/* f32_pool.c: pooling over the part of each window that lies inside the image. */
#include "f32_pool.h"

/* First tap's offset from the image's start, and how many rows and columns of taps there are. */
typedef struct {
    int32_t offset, rows, columns;
} f32_span;

static f32_span span_of(const nn_window *w, int32_t oy, int32_t ox) {
    int32_t y = oy * w->stride_h - w->pad_top, x = ox * w->stride_w - w->pad_left;
    int32_t y_end = y + w->k_h < w->in_h ? y + w->k_h : w->in_h, x_end = x + w->k_w < w->in_w ? x + w->k_w : w->in_w;
    y = y < 0 ? 0 : y;
    x = x < 0 ? 0 : x;
    return (f32_span){(y * w->in_w + x) * w->in_c, y_end - y, x_end - x};
}

#define F32_ADD(s, v) (s) + (v)
#define F32_LARGER(s, v) (v) > (s) ? (v) : (s)

/* NAME_8, NAME_1: as many channels of one position; STEP takes an input in, FINISH gives the result. */
#define F32_POOL(NAME, START, STEP, FINISH)                                                            \
    static void NAME##_8(const nn_window *w, f32_span s, const float *row, float *out) {               \
        float a = START, b = START, c = START, d = START, e = START, f = START, g = START, h = START;  \
        for (int32_t y = s.rows; y > 0; y--, row += w->in_w * w->in_c) {                               \
            const float *x = row;                                                                      \
            for (int32_t n = s.columns; n > 0; n--, x += w->in_c) {                                    \
                a = STEP(a, x[0]), b = STEP(b, x[1]), c = STEP(c, x[2]), d = STEP(d, x[3]);            \
                e = STEP(e, x[4]), f = STEP(f, x[5]), g = STEP(g, x[6]), h = STEP(h, x[7]);            \
            }                                                                                          \
        }                                                                                              \
        out[0] = FINISH(a, s), out[1] = FINISH(b, s), out[2] = FINISH(c, s), out[3] = FINISH(d, s);    \
        out[4] = FINISH(e, s), out[5] = FINISH(f, s), out[6] = FINISH(g, s), out[7] = FINISH(h, s);    \
    }                                                                                                  \
    static void NAME##_1(const nn_window *w, f32_span s, const float *row, float *out) {               \
        float a = START;                                                                               \
        for (int32_t y = s.rows; y > 0; y--, row += w->in_w * w->in_c) {                               \
            const float *x = row;                                                                      \
            for (int32_t n = s.columns; n > 0; n--, x += w->in_c) a = STEP(a, *x);                     \
        }                                                                                              \
        *out = FINISH(a, s);                                                                           \
    }                                                                                                  \
    void NAME(const nn_window *w, const float *in, float *out) {                                       \
        for (int32_t b = 0; b < w->batch; b++, in += w->in_h * w->in_w * w->in_c)                      \
            for (int32_t oy = 0; oy < w->out_h; oy++)                                                  \
                for (int32_t ox = 0; ox < w->out_w; ox++) {                                            \
                    f32_span s = span_of(w, oy, ox);                                                   \
                    int32_t c = 0;                                                                     \
                    for (; c + 8 <= w->in_c; c += 8, out += 8) NAME##_8(w, s, in + s.offset + c, out); \
                    for (; c < w->in_c; c++, out++) NAME##_1(w, s, in + s.offset + c, out);            \
                }                                                                                      \
    }

#define F32_MEAN(s, span) (s) / (float)((span).rows * (span).columns)
#define F32_SAME(s, span) (s)

F32_POOL(nn_m4_average_pool_f32, 0, F32_ADD, F32_MEAN)
F32_POOL(nn_m4_max_pool_f32, -__builtin_inff(), F32_LARGER, F32_SAME)
