/* q16_depthwise.h: 16x8 depthwise convolutions on channel planes, as q8_depthwise.h has them for int8: two channels at a time, the
 * filters' row kernels are the same. Sums are of doubled weights. */
#ifndef M4_Q16_DEPTHWISE_H
#define M4_Q16_DEPTHWISE_H

#include "m4/q16_common.h"
#include "m4/q8_depthwise.h"

/* `range` of `form` stays unused: in_zero is 0. */
typedef struct {
    q8_depthwise_shape form;
    q16_range range;
} q16_depthwise_shape;

/* Channels c and c + 1 (only c if n = 1) of pixel x; outside the row: 0. */
M4_INLINE uint32_t q16_pixel(const q8_depthwise_shape *s, const int16_t *row, int32_t x, int32_t n) {
    if ((uint32_t)x >= (uint32_t)s->in_w) return 0;
    return n == 2 ? m4_load(row + x * s->in_c) : m4_pair(row[x * s->in_c], 0);
}

/* One input row into the two planes; row NULL: padding. */
M4_INLINE void q16_plane_row(const q8_depthwise_shape *s, const int16_t *row, int32_t n, uint32_t *d, int32_t plane) {
    if (!row) {
        for (int32_t i = 0; i < s->pitch; i++) d[i] = d[i + plane] = 0;
        return;
    }
    const int32_t lead = (s->pad_left + 1) / 2, inner = (s->in_w + s->pad_left) / 2, full = inner < s->pitch ? inner : s->pitch;
    int32_t i = 0;
    for (; i < lead && i < s->pitch; i++) {
        const uint32_t a = q16_pixel(s, row, 2 * i - s->pad_left, n), b = q16_pixel(s, row, 2 * i + 1 - s->pad_left, n);
        d[i] = m4_pkhbt_16(a, b);
        d[i + plane] = m4_pkhtb_16(b, a);
    }
    if (n == 2) {
        const int16_t *src = row + (2 * i - s->pad_left) * s->in_c;
#pragma GCC unroll 4
        for (; i < full; i++, src += 2 * s->in_c) {
            const uint32_t a = m4_load(src), b = m4_load(src + s->in_c);
            d[i] = m4_pkhbt_16(a, b);
            d[i + plane] = m4_pkhtb_16(b, a);
        }
    }
    for (; i < s->pitch; i++) {
        const uint32_t a = q16_pixel(s, row, 2 * i - s->pad_left, n), b = q16_pixel(s, row, 2 * i + 1 - s->pad_left, n);
        d[i] = m4_pkhbt_16(a, b);
        d[i + plane] = m4_pkhtb_16(b, a);
    }
}

/* `rows` output rows of one channel from its plane; out: the first of them. */
M4_INLINE void q16_channel_band(const q16_depthwise_shape *shape, const q16_channels *d, int32_t c, const uint32_t *plane,
                                int32_t rows, int16_t *out, int32_t *sums, uint32_t *taps) {
    const q8_depthwise_shape *s = &shape->form;
    const q16_scale q = q16_scale_of(d, c);
    const int32_t out_c = s->in_c * s->multiplier;
    uint32_t w[6];
    if (q8_is_3x3(s)) {
        q8_weights_3x3((const uint32_t *)d->weights + 3 * c, w);
    } else {
        const int8_t *bytes = (const int8_t *)d->weights + c * s->k_h * s->k_w;
        q8_weights_any(s, bytes, 0, taps);
        if (s->stride_w & 1) q8_weights_any(s, bytes, 1, taps + s->k_h * q8_tap_words(s));
    }
#pragma GCC unroll 1
    for (int32_t r = 0; r < rows; r++, plane += s->stride_h * s->pitch) {
        if (q8_is_3x3(s))
            q8_row_3x3(plane, w, 0, sums, s->out_w, 4 * s->pitch, s->stride_w, s->compact);
        else
            q8_row_any(s, plane, taps, 0, sums);
#pragma GCC unroll 4
        for (int32_t ox = 0; ox < s->out_w; ox++, out += out_c) *out = q16_requant(sums[ox], &q, &shape->range);
    }
}

/* As q8_load_band. */
M4_INLINE void q16_load_band(const q8_depthwise_shape *s, const int16_t *in, int32_t oy, int32_t rows, int32_t n,
                             uint32_t *planes) {
    const int32_t plane = q8_band_rows(s) * s->pitch, reach = (s->k_h - 1) * s->dil_h + 1;
    const int32_t keep = oy && reach > s->stride_h ? reach - s->stride_h : 0;
    for (int32_t j = 0; keep && j < 2; j++) {
        uint32_t *d = planes + j * plane;
        for (int32_t i = 0; i < keep * s->pitch; i++) d[i] = d[i + s->band * s->stride_h * s->pitch];
    }
#pragma GCC unroll 1
    for (int32_t r = keep; r < (rows - 1) * s->stride_h + reach; r++) {
        const int32_t iy = oy * s->stride_h - s->pad_top + r;
        const int16_t *row = (uint32_t)iy < (uint32_t)s->in_h ? in + iy * s->in_w * s->in_c : 0;
        q16_plane_row(s, row, n, planes + r * s->pitch, plane);
    }
}

/* Scratch: 2 planes of q8_band_rows * pitch words, then sums and taps as q8_depthwise has them. */
M4_INLINE void q16_depthwise(const q16_depthwise_shape *shape, const q16_channels *d, const int16_t *in, int16_t *out,
                             uint8_t *scratch) {
    const q8_depthwise_shape *s = &shape->form;
    const int32_t plane = q8_band_rows(s) * s->pitch, out_c = s->in_c * s->multiplier;
    uint32_t *const planes = (uint32_t *)(void *)scratch;
    int32_t *const sums = (int32_t *)(void *)(planes + 2 * plane);
    uint32_t *const taps = (uint32_t *)(void *)(sums + (s->out_w + 2) / 2 * 2);
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->in_c; c += 2) {
        const int32_t n = s->in_c - c < 2 ? 1 : 2;
#pragma GCC unroll 1
        for (int32_t oy = 0; oy < s->out_h; oy += s->band) {
            const int32_t rows = s->out_h - oy < s->band ? s->out_h - oy : s->band;
            q16_load_band(s, in + c, oy, rows, n, planes);
#pragma GCC unroll 1
            for (int32_t j = 0; j < n * s->multiplier; j++) {
                const int32_t oc = c * s->multiplier + j;
                q16_channel_band(shape, d, oc, planes + j / s->multiplier * plane, rows, out + oy * s->out_w * out_c + oc, sums,
                                 taps);
            }
        }
    }
}

#endif
