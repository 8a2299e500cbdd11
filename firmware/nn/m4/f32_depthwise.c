/* f32_depthwise.c: a 3x3 depthwise convolution as three pointers that walk along a line of the image. */
#include "f32_depthwise.h"

#pragma GCC optimize("O3")

/* The three input lines under one output line; a line in the padding is `nothing` with step 0. */
typedef struct {
    const float *from[3];
    int32_t step[3];
} f32_lines;

static const float nothing[1] = {0};

typedef union {
    float f;
    int32_t i;
} f32_bits;

/* mask -1: negative values become 0; mask 0: nothing happens. */
static inline float rectify(float v, int32_t mask) {
    f32_bits u = {v};
    u.i &= ~((u.i >> 31) & mask);
    return u.f;
}

/* One column of three inputs, for as long as a line. */
#define F32_READ                                                                                                       \
    float x0 = *r0, x1 = *r1, x2 = *r2;                                                                                \
    r0 += s0, r1 += s1, r2 += s2
#define F32_LINE                                                                                                       \
    const float *r0 = l->from[0] + (l->step[0] ? c : 0), *r1 = l->from[1] + (l->step[1] ? c : 0);                      \
    const float *r2 = l->from[2] + (l->step[2] ? c : 0);                                                               \
    const int32_t s0 = l->step[0], s1 = l->step[1], s2 = l->step[2];                                                   \
    const float bias = k[0], w00 = k[1], w01 = k[2], w02 = k[3], w10 = k[4], w11 = k[5], w12 = k[6], w20 = k[7], w21 = k[8], \
                w22 = k[9]

/* Stride 1. `now` and `next` hold the next two outputs as far as the columns read so far go. */
static inline void line_stride1(const nn_m4_slide_f32 *p, const f32_lines *l, int32_t c, const float *k, float *out) {
    F32_LINE;
    const int32_t mask = -(int32_t)p->relu, step = p->out_along_step;
    float now = bias, next = bias;
    int32_t left = p->in_along;
    for (int32_t i = p->pad_along; i < 2 && left > 0; i++, left--) {
        F32_READ;
        now = next + x0 * w01, next = bias + x0 * w00;
        now += x1 * w11, next += x1 * w10;
        now += x2 * w21, next += x2 * w20;
    }
    int32_t whole = left < p->out_along ? left : p->out_along;
    for (int32_t i = 0; i < whole; i++) {
        F32_READ;
        float v = now + x0 * w02;
        now = next + x0 * w01, next = bias + x0 * w00;
        v += x1 * w12, now += x1 * w11, next += x1 * w10;
        v += x2 * w22, now += x2 * w21, next += x2 * w20;
        *out = rectify(v, mask);
        out += step;
    }
    for (int32_t i = whole; i < p->out_along; i++, out += step) {
        *out = rectify(now, mask);
        now = next, next = bias;
    }
}

/* Stride 2: only the first of an output's three columns is shared, with the output before. */
static inline void line_stride2(const nn_m4_slide_f32 *p, const f32_lines *l, int32_t c, const float *k, float *out) {
    F32_LINE;
    const int32_t mask = -(int32_t)p->relu, step = p->out_along_step;
    float now = bias;
    int32_t left = p->in_along;
    if (!p->pad_along) {
        F32_READ;
        now += x0 * w00, now += x1 * w10, now += x2 * w20;
        left--;
    }
    int32_t whole = left / 2 < p->out_along ? left / 2 : p->out_along;
    for (int32_t i = 0; i < whole; i++) {
        float v = now;
        {
            F32_READ;
            v += x0 * w01, v += x1 * w11, v += x2 * w21;
        }
        F32_READ;
        v += x0 * w02, now = bias + x0 * w00;
        v += x1 * w12, now += x1 * w10;
        v += x2 * w22, now += x2 * w20;
        *out = rectify(v, mask);
        out += step;
    }
    if (whole == p->out_along) return;
    if (left > 2 * whole) {
        F32_READ;
        now += x0 * w01, now += x1 * w11, now += x2 * w21;
    }
    *out = rectify(now, mask);
}

void nn_m4_depthwise3_f32(const nn_m4_slide_f32 *p, const float *in, const float *packed, float *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_image, out += p->out_image) {
        for (int32_t o = 0; o < p->out_across; o++) {
            f32_lines l;
            for (int32_t i = 0; i < 3; i++) {
                int32_t at = o * p->stride - p->pad_across + i;
                int inside = at >= 0 && at < p->in_across;
                l.from[i] = inside ? in + at * p->in_across_step : nothing;
                l.step[i] = inside ? p->in_along_step : 0;
            }
            const float *k = packed;
            float *to = out + o * p->out_across_step;
            for (int32_t c = 0; c < p->channels; c++, k += 10)
                if (p->stride == 1)
                    line_stride1(p, &l, c, k, to + c);
                else
                    line_stride2(p, &l, c, k, to + c);
        }
    }
}
