/* f32_depthwise.c: a 3x3 depthwise convolution as pointers that walk along lines of the image: every input is read once a
 * line (or pair of lines), every weight once a line and channel. Sliding downwards sums are those of TFLM to the bit. */
#include "f32_depthwise.h"
#include "f32_bits.h"

/* The three (four, under a pair) input lines under an output line; a line in the padding is `nothing` with step 0. */
typedef struct {
    const float *from[4];
    int32_t step[4];
} f32_lines;

static const float nothing[1] = {0};

static void find_lines(const nn_m4_slide_f32 *p, const float *in, int32_t at, int32_t count, f32_lines *l) {
    for (int32_t i = 0; i < count; i++, at++) {
        int inside = at >= 0 && at < p->in_across;
        l->from[i] = inside ? in + at * p->in_across_step : nothing;
        l->step[i] = inside ? p->in_along_step : 0;
    }
}

#define F32_KERNEL                                                                                                           \
    const float bias = k[0], w00 = k[1], w01 = k[2], w02 = k[3], w10 = k[4], w11 = k[5], w12 = k[6], w20 = k[7], w21 = k[8], \
                w22 = k[9]

/* Columns that lie in the image before the first output is complete, and outputs whose last column lies in it. */
static inline int32_t lead(const nn_m4_slide_f32 *p) { return p->in_along < 2 - p->pad_along ? p->in_along : 2 - p->pad_along; }
static inline int32_t whole(const nn_m4_slide_f32 *p) {
    int32_t left = p->in_along - lead(p);
    return left < p->out_along ? left : p->out_along;
}

/* `now` and `next` hold the next two outputs as far as the columns read so far go. */
#define F32_COLUMN                                    \
    float x0 = *r0, x1 = *r1, x2 = *r2;               \
    r0 += s0, r1 += s1, r2 += s2;                     \
    float v = now + x0 * w02;                         \
    now = next + x0 * w01, next = x0 * w00;           \
    v += x1 * w12, now += x1 * w11, next += x1 * w10; \
    v += x2 * w22, now += x2 * w21, next += x2 * w20

static void one_line(const nn_m4_slide_f32 *p, const f32_lines *l, const float *k, float *out) {
    F32_KERNEL;
    const float *r0 = l->from[0], *r1 = l->from[1], *r2 = l->from[2];
    const int32_t s0 = l->step[0], s1 = l->step[1], s2 = l->step[2], mask = -(int32_t)p->relu, step = p->out_along_step;
    float now = 0, next = 0;
    for (int32_t i = lead(p); i > 0; i--) {
        F32_COLUMN;
        (void)v;
    }
    for (int32_t i = whole(p); i > 0; i--, out += step) {
        F32_COLUMN;
        *out = f32_rectify(v + bias, mask);
    }
    for (int32_t i = p->out_along - whole(p); i > 0; i--, out += step) {
        *out = f32_rectify(now + bias, mask);
        now = next, next = 0;
    }
}

/* The same for two neighbouring lines: the two input lines in their middle are always inside the image. */
#define F32_COLUMN2                                                                                      \
    float x0 = *r0, x1 = *r1, x2 = *r2, x3 = *r3;                                                        \
    r0 += s0, r1 += s1, r2 += s1, r3 += s3;                                                              \
    float v = now + x0 * w02, u = low + x1 * w02;                                                        \
    now = next + x0 * w01, low = under + x1 * w01, next = x0 * w00, under = x1 * w00;                    \
    v += x1 * w12, u += x2 * w12, now += x1 * w11, low += x2 * w11, next += x1 * w10, under += x2 * w10; \
    v += x2 * w22, u += x3 * w22, now += x2 * w21, low += x3 * w21, next += x2 * w20, under += x3 * w20

static void two_lines(const nn_m4_slide_f32 *p, const f32_lines *l, const float *k, float *out) {
    F32_KERNEL;
    const float *r0 = l->from[0], *r1 = l->from[1], *r2 = l->from[2], *r3 = l->from[3];
    const int32_t s0 = l->step[0], s1 = l->step[1], s3 = l->step[3], mask = -(int32_t)p->relu, step = p->out_along_step;
    float now = 0, next = 0, low = 0, under = 0;
    float *below = out + p->out_across_step;
    for (int32_t i = lead(p); i > 0; i--) {
        F32_COLUMN2;
        (void)v, (void)u;
    }
    for (int32_t i = whole(p); i > 0; i--) {
        F32_COLUMN2;
        *out = f32_rectify(v + bias, mask);
        *below = f32_rectify(u + bias, mask);
        out += step, below += step;
    }
    for (int32_t i = p->out_along - whole(p); i > 0; i--) {
        *out = f32_rectify(now + bias, mask);
        *below = f32_rectify(low + bias, mask);
        out += step, below += step;
        now = next, low = under, next = under = 0;
    }
}

void nn_m4_depthwise_slide_f32(const nn_m4_slide_f32 *p, const float *in, const float *packed, float *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_image, out += p->out_image) {
        for (int32_t o = 0, n; o < p->out_across; o += n) {
            n = p->out_across - o > 1 ? 2 : 1;
            f32_lines l;
            find_lines(p, in, o - p->pad_across, n + 2, &l);
            const float *k = packed;
            for (int32_t c = 0; c < p->channels; c++, k += 10) {
                (n == 2 ? two_lines : one_line)(p, &l, k, out + o * p->out_across_step + c);
                for (int32_t i = 0; i < n + 2; i++) l.from[i] += l.step[i] != 0;
            }
        }
    }
}
