/* q16_conv.h: 16x8 convolutions as tiles of 4 positions x 2 channels. Everything in q16_conv_shape is a constant of the call.
 * direct: each patch lies in the input as it is, a multiple of four values long, and is read there. Else the patches of four
 * positions are gathered in scratch.
 * parts > 0: the sum is taken in so many parts, each in 32 bits, which go to a total of 64. */
#ifndef M4_Q16_CONV_H
#define M4_Q16_CONV_H

#include "m4/q16_tile.h"

typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w, stride_h, stride_w, dil_h, dil_w, pad_top, pad_left;
    int32_t steps, parts, unroll, direct;
    q16_range range;
} q16_conv_shape;

/* Where the words of a tile's positions lie: q8_tile.h. */
typedef struct {
    int32_t pitch, advance;
} q16_layout;

typedef struct {
    int64_t a[4], b[4];
} q16_totals;

M4_INLINE void q16_store_channel(const q16_conv_shape *s, const q16_channels *d, const int32_t *sum, const int64_t *total,
                                 int32_t c, int16_t *out, int32_t n) {
    const q16_scale q = q16_scale_of(d, c);
#pragma GCC unroll 4
    for (int32_t p = 0; p < n; p++)
        out[p * s->out_c + c] = s->parts ? q16_requant_64(total[p], &q, &s->range) : q16_requant(sum[p], &q, &s->range);
}

/* Channels c and c + 1, the latter only if it exists. */
M4_INLINE void q16_store(const q16_conv_shape *s, const q16_channels *d, const q8_tile *t, const q16_totals *total, int32_t c,
                         int16_t *out, int32_t n) {
    q16_store_channel(s, d, t->a, total->a, c, out, n);
    if ((s->out_c & 1) && c + 1 == s->out_c) return;
    q16_store_channel(s, d, t->b, total->b, c + 1, out, n);
}

/* All channels of four positions (n = 4), or of one (n = 1), the first at x. */
M4_INLINE void q16_tile(const q16_conv_shape *s, const q16_channels *d, q16_layout l, const uint8_t *x, int16_t *out, int32_t n) {
    const uint32_t *w = d->weights;
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->out_c; c += 2) {
        q16_totals total = {{0}, {0}};
        q8_tile t = {{0}, {0}};
        q8_streams stream = {x, w};
        for (int32_t part = 0; part < (s->parts ? s->parts : 1); part++) {
            if (s->parts) t = (q8_tile){{0}, {0}};
            if (n == 4)
                q16_dot_4x2(&t, &stream, s->steps, s->unroll, l.pitch, l.advance);
            else
                q16_dot_1x2(&t.a[0], &t.b[0], &stream, s->steps, l.advance);
            for (int32_t p = 0; s->parts && p < n; p++) {
                total.a[p] += t.a[p];
                total.b[p] += t.b[p];
            }
        }
        w = stream.w;
        q16_store(s, d, &t, &total, c, out, n);
    }
}

/* n values in a row -> blocks of four, 32 bytes apart; the last is filled up with zeros. */
M4_INLINE void q16_spread(int16_t *d, const int16_t *s, int32_t n) {
    int32_t i = 0;
#pragma GCC unroll 4
    for (; i + 4 <= n; i += 4, d += 16) {
        m4_store(d, m4_load(s + i));
        m4_store(d + 2, m4_load(s + i + 2));
    }
    if (i < n) {
        q16_zeros(d, 4);
        q16_copy(d, s + i, n - i);
    }
}

/* n zeros, a multiple of four. */
M4_INLINE void q16_spread_zeros(int16_t *d, int32_t n) {
    for (int32_t i = 0; i < n; i += 4, d += 16) q16_zeros(d, 4);
}

/* The patch at (oy, ox) into position p of the tile; rows: in_c is no multiple of four, and the patch is first put together
 * there. */
M4_INLINE void q16_gather(const q16_conv_shape *s, const int16_t *in, int32_t oy, int32_t ox, int16_t *tile, int16_t *rows) {
    const int32_t size = s->k_h * s->k_w * s->in_c, whole = s->in_c % 4 == 0, run = s->k_w * s->in_c;
    const int32_t ix = ox * s->stride_w - s->pad_left;
    int16_t *d = whole ? tile : rows;
#pragma GCC unroll 1
    for (int32_t ky = 0; ky < s->k_h; ky++) {
        const int32_t iy = oy * s->stride_h - s->pad_top + ky * s->dil_h;
        const int16_t *src = in + (iy * s->in_w + ix) * s->in_c;
        if (s->dil_w == 1 && (uint32_t)iy < (uint32_t)s->in_h && ix >= 0 && ix + s->k_w <= s->in_w) {
            if (whole)
                q16_spread(d, src, run);
            else
                q16_copy(d, src, run);
            d += whole ? 4 * run : run;
            continue;
        }
#pragma GCC unroll 1
        for (int32_t kx = 0; kx < s->k_w; kx++, d += whole ? 4 * s->in_c : s->in_c) {
            const int32_t x = ix + kx * s->dil_w, at = kx * s->dil_w * s->in_c;
            const int inside = (uint32_t)iy < (uint32_t)s->in_h && (uint32_t)x < (uint32_t)s->in_w;
            if (whole && inside)
                q16_spread(d, src + at, s->in_c);
            else if (whole)
                q16_spread_zeros(d, s->in_c);
            else if (inside)
                q16_copy(d, src + at, s->in_c);
            else
                q16_zeros(d, s->in_c);
        }
    }
    if (!whole) q16_spread(tile, rows, size);
}

/* Scratch, if not direct: 32 bytes for each step of each part, then the patch itself if in_c is no multiple of four. */
M4_INLINE void q16_conv(const q16_conv_shape *s, const q16_channels *d, const int16_t *in, int16_t *out, uint8_t *scratch) {
    const int32_t positions = s->out_h * s->out_w, parts = s->parts ? s->parts : 1;
    const q16_layout l = s->direct ? (q16_layout){2 * s->stride_w * s->in_c, 8} : (q16_layout){8, 32};
    int16_t *const tile = (int16_t *)(void *)scratch, *const rows = tile + 16 * parts * s->steps;
    if (!s->direct) q16_zeros(tile, 16 * parts * s->steps);
    int32_t oy = 0, ox = 0;
#pragma GCC unroll 1
    for (int32_t i = 0; i < positions;) {
        /* A direct tile stays in its row, unless one row ends where the next begins. */
        const int32_t left = s->direct && (s->stride_w != 1 || s->stride_h != 1 || s->out_w != s->in_w) ? s->out_w - ox
                                                                                                        : positions - i;
        const int32_t n = left < 4 ? left : 4;
        const uint8_t *x = scratch;
        if (s->direct) x = (const uint8_t *)(in + (oy * s->stride_h * s->in_w + ox * s->stride_w) * s->in_c);
        for (int32_t p = 0; p < n; p++) {
            if (!s->direct) q16_gather(s, in, oy, ox, tile + 4 * p, rows);
            if (++ox == s->out_w) ox = 0, oy++;
        }
        if (n == 4)
            q16_tile(s, d, l, x, out, 4);
        else
#pragma GCC unroll 1
            for (int32_t p = 0; p < n; p++) q16_tile(s, d, l, x + p * l.pitch, out + p * s->out_c, 1);
        out += n * s->out_c;
        i += n;
    }
}

#endif
