/* q8_rest.h: the few int8 channels of a layer whose numbers don't fit the fast kernels' format, for any geometry. Exact for all
 * weights, biases and multipliers, since the accumulator and its requantisation are those of the portable kernels, which need
 * 9 to 11 cycles for a multiply-accumulate: here it is 8 where a filter reads 16 channels, 4 where it reads 640. */
#ifndef M4_Q8_REST_H
#define M4_Q8_REST_H

#include "m4/dsp.h"
#include "nn_math.h"

/* count: channels in the rest. filter_c: input channels that a filter reads; per_group: output channels that read the same. */
typedef struct {
    nn_window w;
    int32_t count, filter_c, per_group;
    int32_t in_zero, out_zero, lo, hi;
} q8_rest_shape;

/* Weights as [channel][row][column][input channel]; channel: its number in the output, ascending. Shifts to the left. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift;
    const int32_t *channel;
} q8_rest_channels;

/* acc + sum((x - in_zero) * w) over n values. */
M4_INLINE int32_t q8_rest_dot(int32_t acc, const int8_t *x, const int8_t *w, int32_t n, int32_t in_zero) {
    const uint32_t minus_zero = m4_pair(-in_zero, -in_zero);
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const uint32_t a = m4_load(x + i), b = m4_load(w + i);
        acc = m4_smlad(m4_sxtab16(minus_zero, a), m4_sxtb16(b), acc);
        acc = m4_smlad(m4_sxtab16_8(minus_zero, a), m4_sxtb16_8(b), acc);
    }
    for (; i < n; i++) acc = m4_add32(acc, (x[i] - in_zero) * w[i]);
    return acc;
}

/* One filter at one position, whose first tap is at (y0, x0); taps outside the input are left out. */
M4_INLINE int32_t q8_rest_sum(const q8_rest_shape *s, const int8_t *in, const int8_t *w, int32_t n, int32_t y0, int32_t x0) {
    const nn_window *g = &s->w;
    int32_t acc = 0;
    for (int32_t ky = 0; ky < g->k_h; ky++) {
        const int32_t y = y0 + ky * g->dil_h;
        for (int32_t kx = 0; kx < g->k_w; kx++, w += n) {
            const int32_t x = x0 + kx * g->dil_w;
            if ((uint32_t)y >= (uint32_t)g->in_h || (uint32_t)x >= (uint32_t)g->in_w) continue;
            acc = q8_rest_dot(acc, in + (y * g->in_w + x) * g->in_c, w, n, s->in_zero);
        }
    }
    return acc;
}

/* Output as [batch][row][column][count]. */
static __attribute__((noinline, noclone, unused)) void q8_rest(const q8_rest_shape *s, const q8_rest_channels *d,
                                                               const int8_t *in, int8_t *out) {
    const nn_window *g = &s->w;
    const int32_t n = s->filter_c, filter = g->k_h * g->k_w * n;
    for (int32_t b = 0; b < g->batch; b++, in += g->in_h * g->in_w * g->in_c) {
        for (int32_t i = 0; i < g->out_h * g->out_w; i++) {
            const int32_t y0 = i / g->out_w * g->stride_h - g->pad_top, x0 = i % g->out_w * g->stride_w - g->pad_left;
            for (int32_t c = 0; c < s->count; c++) {
                const int32_t first = d->channel[c] / s->per_group * n;
                const int32_t acc = m4_add32(q8_rest_sum(s, in + first, d->weights + c * filter, n, y0, x0), d->bias[c]);
                *out++ = (int8_t)nn_clamp(nn_requantize(acc, d->multiplier[c], d->shift[c]) + s->out_zero, s->lo, s->hi);
            }
        }
    }
}

/* What q8_rest gave, into the channels of the whole output. */
static __attribute__((noinline, noclone, unused)) void q8_rest_put(const q8_rest_shape *s, const q8_rest_channels *d,
                                                                   const int8_t *from, int8_t *out) {
    const nn_window *g = &s->w;
    for (int32_t i = 0; i < g->batch * g->out_h * g->out_w; i++, out += g->out_c)
        for (int32_t c = 0; c < s->count; c++) out[d->channel[c]] = *from++;
}

#endif
