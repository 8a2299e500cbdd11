/* f32_depthwise_taps.c: any depthwise convolution: a list of the taps inside the image for each position, then blocks of
 * eight channels over that list (with a multiplier: of four outputs of one input channel). */
#include "f32_bits.h"
#include "f32_depthwise.h"

/* Offsets in floats of a tap's first channel: from the position's first tap (or, at the padding, from the image's start),
 * and from the weights' start. */
typedef struct {
    int32_t x, w;
} f32_tap;

static int is_inside(const nn_window *w, int32_t y0, int32_t x0) {
    return y0 >= 0 && x0 >= 0 && y0 + (w->k_h - 1) * w->dil_h < w->in_h && x0 + (w->k_w - 1) * w->dil_w < w->in_w;
}

/* The taps of the position at (y0, x0) that lie inside the image; their number. */
static inline __attribute__((always_inline)) int32_t list_taps(const nn_window *w, int32_t y0, int32_t x0, f32_tap *taps) {
    int32_t n = 0;
    for (int32_t ky = 0, y = y0; ky < w->k_h; ky++, y += w->dil_h) {
        if ((uint32_t)y >= (uint32_t)w->in_h) continue;
        for (int32_t kx = 0, x = x0; kx < w->k_w; kx++, x += w->dil_w) {
            if ((uint32_t)x >= (uint32_t)w->in_w) continue;
            taps[n].x = (y * w->in_w + x) * w->in_c;
            taps[n++].w = (ky * w->k_w + kx) * w->out_c;
        }
    }
    return n;
}

/* All products before all sums: a result is never needed by the next instruction. */
#define F32_FOUR(a, b, c, d, i) \
    float p##a = x[i] * k[i], p##b = x[i + 1] * k[i + 1], p##c = x[i + 2] * k[i + 2], p##d = x[i + 3] * k[i + 3]

static void eight(const f32_tap *t, int32_t n, const float *in, const float *w, const float *bias, int32_t mask, float *out) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (const f32_tap *end = t + n; t < end; t++) {
        const float *x = in + t->x, *k = w + t->w;
        F32_FOUR(0, 1, 2, 3, 0);
        F32_FOUR(4, 5, 6, 7, 4);
        s0 += p0, s1 += p1, s2 += p2, s3 += p3, s4 += p4, s5 += p5, s6 += p6, s7 += p7;
    }
    out[0] = f32_rectify(s0 + bias[0], mask), out[1] = f32_rectify(s1 + bias[1], mask), out[2] = f32_rectify(s2 + bias[2], mask);
    out[3] = f32_rectify(s3 + bias[3], mask), out[4] = f32_rectify(s4 + bias[4], mask), out[5] = f32_rectify(s5 + bias[5], mask);
    out[6] = f32_rectify(s6 + bias[6], mask), out[7] = f32_rectify(s7 + bias[7], mask);
}

static void four(const f32_tap *t, int32_t n, const float *in, const float *w, const float *bias, int32_t mask, float *out) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const f32_tap *end = t + n; t < end; t++) {
        const float *x = in + t->x, *k = w + t->w;
        F32_FOUR(0, 1, 2, 3, 0);
        s0 += p0, s1 += p1, s2 += p2, s3 += p3;
    }
    out[0] = f32_rectify(s0 + bias[0], mask), out[1] = f32_rectify(s1 + bias[1], mask);
    out[2] = f32_rectify(s2 + bias[2], mask), out[3] = f32_rectify(s3 + bias[3], mask);
}

static void one(const f32_tap *t, int32_t n, const float *in, const float *w, const float *bias, int32_t mask, float *out) {
    float sum = 0;
    for (const f32_tap *end = t + n; t < end; t++) sum += in[t->x] * w[t->w];
    out[0] = f32_rectify(sum + bias[0], mask);
}

/* Four outputs of one input channel; below, two. */
static void four_of_one(const f32_tap *t, int32_t n, const float *in, const float *w, const float *bias, int32_t mask,
                        float *out) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const f32_tap *end = t + n; t < end; t++) {
        const float *k = w + t->w;
        float x = in[t->x], p0 = x * k[0], p1 = x * k[1], p2 = x * k[2], p3 = x * k[3];
        s0 += p0, s1 += p1, s2 += p2, s3 += p3;
    }
    out[0] = f32_rectify(s0 + bias[0], mask), out[1] = f32_rectify(s1 + bias[1], mask);
    out[2] = f32_rectify(s2 + bias[2], mask), out[3] = f32_rectify(s3 + bias[3], mask);
}

static void two_of_one(const f32_tap *t, int32_t n, const float *in, const float *w, const float *bias, int32_t mask,
                       float *out) {
    float s0 = 0, s1 = 0;
    for (const f32_tap *end = t + n; t < end; t++) {
        const float *k = w + t->w;
        float x = in[t->x], p0 = x * k[0], p1 = x * k[1];
        s0 += p0, s1 += p1;
    }
    out[0] = f32_rectify(s0 + bias[0], mask), out[1] = f32_rectify(s1 + bias[1], mask);
}

/* All channels of one position, with a multiplier. */
static void run_multiplied(const nn_m4_taps_f32 *p, const f32_tap *taps, int32_t n, const float *in, const float *w,
                           const float *bias, float *out) {
    const int32_t mask = -(int32_t)p->relu;
    for (int32_t c = 0; c < p->w.in_c; c++, in++) {
        int32_t left = p->multiplier;
        for (; left >= 4; left -= 4, w += 4, bias += 4, out += 4) four_of_one(taps, n, in, w, bias, mask, out);
        for (; left >= 2; left -= 2, w += 2, bias += 2, out += 2) two_of_one(taps, n, in, w, bias, mask, out);
        for (; left > 0; left--, w++, bias++, out++) one(taps, n, in, w, bias, mask, out);
    }
}

/* The same with multiplier 1. */
static void run_taps(const nn_m4_taps_f32 *p, const f32_tap *taps, int32_t n, const float *in, const float *weights,
                     const float *bias, float *out) {
    const int32_t channels = p->w.in_c, mask = -(int32_t)p->relu;
    int32_t c = 0;
    for (; c + 8 <= channels; c += 8, out += 8) eight(taps, n, in + c, weights + c, bias + c, mask, out);
    for (; c + 4 <= channels; c += 4, out += 4) four(taps, n, in + c, weights + c, bias + c, mask, out);
    for (; c < channels; c++, out++) one(taps, n, in + c, weights + c, bias + c, mask, out);
}

void nn_m4_depthwise_taps_f32(const nn_m4_taps_f32 *p, const float *in, const float *packed, float *out, float *scratch) {
    const nn_window *w = &p->w;
    const float *bias = packed + w->k_h * w->k_w * w->out_c;
    f32_tap *taps = (f32_tap *)scratch;
    int32_t n = 0;
    int listed = 0; /* the list is that of the positions without padding */
    for (int32_t b = 0; b < w->batch; b++, in += w->in_h * w->in_w * w->in_c)
        for (int32_t oy = 0; oy < w->out_h; oy++)
            for (int32_t ox = 0; ox < w->out_w; ox++, out += w->out_c) {
                int32_t y0 = oy * w->stride_h - w->pad_top, x0 = ox * w->stride_w - w->pad_left;
                int inside = is_inside(w, y0, x0);
                if (!inside) n = list_taps(w, y0, x0, taps);
                if (inside && !listed) n = list_taps(w, 0, 0, taps);
                listed = inside;
                const float *from = inside ? in + (y0 * w->in_w + x0) * w->in_c : in;
                if (p->multiplier == 1)
                    run_taps(p, taps, n, from, packed, bias, out);
                else
                    run_multiplied(p, taps, n, from, packed, bias, out);
            }
}
