/* q8_conv.h: int8 convolutions as tiles of 4 positions x 2 channels, or of fewer positions in less scratch. Everything in q8_conv_shape is a constant of the
 * call, so the compiler specialises these templates for the layer. Two ways to bring the input into tile format:
 *
 * - q8_slide keeps the filter's rows as columns in scratch (a window of a tile's strides + one filter width) and moves it
 *   along the output row: every column is expanded once a row.
 * - q8_patch expands the filter's patch of each position of a tile, any geometry; a patch that lies in the input as it is comes from
 *   there.
 *
 * segments > 0: the sum is too long for one accumulator in 24 bits. It is taken in so many parts (q8_slide: filter rows),
 * each of which goes to a 32-bit total; the bias is then plain.
 *
 * Weights of two channels at a time: both biases, [step][channel] words, both multipliers, both shifts in a word.
 *
 * mends: some pairs of weights are to be mended (q8_common.h).
 *
 * compact: little code rather than few cycles. Nothing is unrolled, and positions that are left over take a tile of four whose
 * surplus is not stored: 944 B less and 17 % more cycles for 12 filters over 3 steps of 6 channels. */
#ifndef M4_Q8_CONV_H
#define M4_Q8_CONV_H

#include "m4/q8_tile.h"

typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w, stride_h, stride_w, dil_h, dil_w, pad_top, pad_left;
    int32_t in_zero;
    q8_range range;
    int32_t unroll, segments, mends, compact, positions; /* positions at a time: 4, 2 or 1 */
} q8_conv_shape;

M4_INLINE int32_t q8_round4(int32_t n) { return (n + 3) & ~3; }

/* Where results go: to the map, or into a sum for each channel (sums not NULL). */
typedef struct {
    int8_t *map;
    int32_t *sums;
} q8_target;

/* Requantises n positions of one channel: multiplier m, shift e. */
M4_INLINE void q8_store_channel(const q8_conv_shape *s, const int32_t *acc, int32_t c, int32_t m, int32_t e, const q8_target *to,
                                int32_t n) {
    const int32_t half = q8_half(e, &s->range);
    int32_t sum = 0;
#pragma GCC unroll 4
    for (int32_t p = 0; p < n; p++) {
        const int32_t q = q8_requant(s->segments ? 2 * acc[p] : acc[p] >> 7, m, e, half, &s->range);
        if (to->sums)
            sum += q;
        else
            to->map[p * s->out_c + c] = (int8_t)q;
    }
    if (to->sums) to->sums[c] += sum;
}

/* Can q8_store_4x2 store the whole tile? */
M4_INLINE int q8_stores_whole(const q8_conv_shape *s) {
    return !s->compact && !s->range.left && s->range.lo == -128 && s->range.hi == 127 && 3 * s->out_c + 1 < 4096;
}

/* Channels c and c + 1, the latter only if it exists; w: their multipliers and shifts. -> what is behind them. */
M4_INLINE const uint32_t *q8_store(const q8_conv_shape *s, const q8_tile *t, int32_t c, const uint32_t *w, const q8_target *to,
                                   int32_t n) {
    const int32_t both = !(s->out_c & 1) || c + 1 < s->out_c;
    const int8_t *const shifts = (const int8_t *)(w + 2);
    if (q8_stores_whole(s) && !to->sums && n == 4 && s->positions == 4 && both)
        return q8_store_4x2(t, w, 2 * s->range.zero + 1, to->map + c, s->out_c, s->segments);
    q8_store_channel(s, t->a, c, (int32_t)w[0], shifts[0], to, n);
    if (both) q8_store_channel(s, t->b, c + 1, (int32_t)w[1], shifts[1], to, n);
    return w + 3;
}

/* The tile format of one call: rows of `steps` steps, `row` bytes apart. */
typedef struct {
    int32_t rows, steps, row, pitch, advance;
} q8_layout;

/* Bytes from the end of a row's steps to the next row. */
M4_INLINE int32_t q8_row_rest(const q8_layout *l) { return l->row - l->steps * l->advance; }

/* Part r of channels c and c + 1, of n positions whose first is at x. */
M4_INLINE void q8_mend_pair(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, const uint8_t *x, int32_t c,
                            int32_t r, int32_t n, q8_tile *t) {
    const int32_t parts = s->segments ? l->rows : 1;
    if (!s->mends) return;
    q8_mend(d, c * parts + r, x, l->pitch, n, t->a);
    q8_mend(d, (c + 1) * parts + r, x, l->pitch, n, t->b);
}

M4_INLINE void q8_dot_tile(const q8_conv_shape *s, const q8_layout *l, q8_tile *t, q8_streams *stream) {
    if (s->positions == 4)
        q8_dot_4x2(t, stream, l->steps, s->unroll, l->pitch, l->advance);
    else
        q8_dot_2x2(t, stream, l->steps, l->pitch, l->advance);
}

/* The sums of a tile, in parts: each row's goes to a 32-bit total. Leaves the accumulators themselves. */
M4_INLINE void q8_parts_tile(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, int32_t c, q8_tile *t,
                             q8_streams *stream) {
    const uint8_t *const x = stream->x;
    q8_tile total = *t;
#pragma GCC unroll 1
    for (int32_t r = 0; r < l->rows; r++) {
        for (int32_t p = 0; p < s->positions; p++) t->a[p] = t->b[p] = 0;
        q8_dot_tile(s, l, t, stream);
        stream->x += q8_row_rest(l);
        q8_mend_pair(s, d, l, x, c, r, s->positions, t);
        for (int32_t p = 0; p < s->positions; p++) {
            total.a[p] = m4_add32(total.a[p], t->a[p] >> 8);
            total.b[p] = m4_add32(total.b[p], t->b[p] >> 8);
        }
    }
    *t = total;
}

M4_INLINE void q8_parts_1(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, int32_t c, q8_tile *t,
                          q8_streams *stream) {
    const uint8_t *const x = stream->x;
    int32_t total_a = t->a[0], total_b = t->b[0];
#pragma GCC unroll 1
    for (int32_t r = 0; r < l->rows; r++) {
        t->a[0] = t->b[0] = 0;
        q8_dot_1x2(&t->a[0], &t->b[0], stream, l->steps, l->advance);
        stream->x += q8_row_rest(l);
        q8_mend_pair(s, d, l, x, c, r, 1, t);
        total_a = m4_add32(total_a, t->a[0] >> 8);
        total_b = m4_add32(total_b, t->b[0] >> 8);
    }
    t->a[0] = total_a;
    t->b[0] = total_b;
}

/* All channels of a tile whose first position is at x; n of them are stored. */
M4_INLINE void q8_whole_tile(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, const uint8_t *x,
                             const q8_target *to, int32_t n) {
    const uint32_t *w = d->weights;
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->out_c; c += 2) {
        const int32_t a = (int32_t)w[0], b = (int32_t)w[1];
        q8_tile t = {{a, a, a, a}, {b, b, b, b}};
        q8_streams stream = {x, w + 2};
        if (s->segments) {
            q8_parts_tile(s, d, l, c, &t, &stream);
        } else {
#pragma GCC unroll 1
            for (int32_t r = 0; r < l->rows; r++) {
                q8_dot_tile(s, l, &t, &stream);
                stream.x += q8_row_rest(l);
            }
            q8_mend_pair(s, d, l, x, c, 0, s->positions, &t);
        }
        w = q8_store(s, &t, c, stream.w, to, n);
    }
}

/* All channels of one position. */
M4_INLINE void q8_tile_1(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, const uint8_t *x,
                         const q8_target *to) {
    const uint32_t *w = d->weights;
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->out_c; c += 2) {
        q8_tile t;
        t.a[0] = (int32_t)w[0];
        t.b[0] = (int32_t)w[1];
        q8_streams stream = {x, w + 2};
        if (s->segments) {
            q8_parts_1(s, d, l, c, &t, &stream);
        } else {
#pragma GCC unroll 1
            for (int32_t r = 0; r < l->rows; r++) {
                q8_dot_1x2(&t.a[0], &t.b[0], &stream, l->steps, l->advance);
                stream.x += q8_row_rest(l);
            }
            q8_mend_pair(s, d, l, x, c, 0, 1, &t);
        }
        w = q8_store(s, &t, c, stream.w, to, 1);
    }
}

/* n positions: a tile at once, or one by one where that is less work. */
M4_INLINE void q8_tiles(const q8_conv_shape *s, const q8_channels *d, const q8_layout *l, const uint8_t *x, q8_target *to,
                        int32_t n, int32_t tail) {
    if (s->positions == 1) {
        q8_tile_1(s, d, l, x, to);
        to->map += to->sums ? 0 : s->out_c;
    } else if (s->compact) {
        q8_whole_tile(s, d, l, x, to, n);
        to->map += to->sums ? 0 : n * s->out_c;
    } else if (n == s->positions) {
        q8_whole_tile(s, d, l, x, to, s->positions);
        to->map += to->sums ? 0 : s->positions * s->out_c;
    } else if (tail) {
#pragma GCC unroll 1
        for (int32_t p = 0; p < n; p++, x += l->pitch) {
            q8_tile_1(s, d, l, x, to);
            to->map += to->sums ? 0 : s->out_c;
        }
    }
}

/* `count` columns of padding. */
M4_INLINE uint32_t *q8_fill(uint32_t *d, int32_t zero, int32_t count, int32_t words) {
    uint32_t v[2];
    q8_expand4(v, (uint32_t)(zero & 0xFF) * 0x01010101u);
    for (int32_t i = 0; i < count * words / 2; i++, d += 2) {
        d[0] = v[0];
        d[1] = v[1];
    }
    return d;
}

/* Columns first .. first + count of input row iy, which may lie outside, in tile format. */
M4_INLINE void q8_columns(const q8_conv_shape *s, const int8_t *in, int32_t iy, int32_t first, int32_t count, uint32_t *d) {
    const int32_t words = q8_round4(s->in_c) / 2;
    int32_t begin = first < 0 ? 0 : first, end = first + count > s->in_w ? s->in_w : first + count;
    if ((uint32_t)iy >= (uint32_t)s->in_h || begin >= end) {
        q8_fill(d, s->in_zero, count, words);
        return;
    }
    d = q8_fill(d, s->in_zero, begin - first, words);
    const int8_t *src = in + (iy * s->in_w + begin) * s->in_c;
    if (s->in_c % 4 == 0) {
        q8_expand(d, src, (end - begin) * s->in_c, 2, s->compact);
        d += (end - begin) * words;
    } else {
        for (int32_t x = begin; x < end; x++, src += s->in_c, d += words) q8_expand(d, src, s->in_c, 2, s->compact);
    }
    q8_fill(d, s->in_zero, first + count - end, words);
}

M4_INLINE void q8_move_words(uint32_t *d, const uint32_t *s, int32_t n) {
#pragma GCC unroll 4
    for (int32_t i = 0; i < n; i++) d[i] = s[i];
}

/* Stride along the row no wider than the filter, no dilation along it. */
M4_INLINE void q8_slide(const q8_conv_shape *s, const q8_channels *d, const int8_t *in, q8_target to, uint8_t *scratch) {
    const int32_t words = q8_round4(s->in_c) / 2, columns = (s->positions - 1) * s->stride_w + s->k_w;
    const int32_t keep = s->k_w - s->stride_w;
    const q8_layout l = {s->k_h, s->k_w * words / 2, columns * words * 4, s->stride_w * words * 4, 8};
    uint32_t *const window = (uint32_t *)(void *)scratch;
    for (int32_t oy = 0; oy < s->out_h; oy++) {
        for (int32_t ox = 0; ox < s->out_w; ox += s->positions) {
            const int32_t n = s->out_w - ox < s->positions ? s->out_w - ox : s->positions;
            const int32_t kept = ox ? keep : 0, used = (n - 1) * s->stride_w + s->k_w;
            for (int32_t ky = 0; ky < s->k_h; ky++) {
                uint32_t *row = window + ky * columns * words;
                if (kept) q8_move_words(row, row + (columns - keep) * words, keep * words);
                q8_columns(s, in, oy * s->stride_h - s->pad_top + ky * s->dil_h, ox * s->stride_w - s->pad_left + kept,
                           used - kept, row + kept * words);
            }
            q8_tiles(s, d, &l, scratch, &to, n, s->out_w % s->positions);
        }
    }
}

M4_INLINE void q8_copy(int8_t *d, const int8_t *s, int32_t n) {
    int32_t i = 0;
#pragma GCC unroll 4
    for (; i + 4 <= n; i += 4) m4_store(d + i, m4_load(s + i));
#pragma GCC unroll 4
    for (; i < n; i++) d[i] = s[i];
}

/* The filter's patch at (oy, ox) as k_h * k_w * in_c bytes; padding is the zero point. */
M4_INLINE void q8_gather(const q8_conv_shape *s, const int8_t *in, int32_t oy, int32_t ox, int8_t *d) {
    for (int32_t ky = 0; ky < s->k_h; ky++) {
        const int32_t iy = oy * s->stride_h - s->pad_top + ky * s->dil_h, ix = ox * s->stride_w - s->pad_left;
        const int32_t run = s->k_w * s->in_c;
        const int8_t *src = in + (iy * s->in_w + ix) * s->in_c;
        if (s->dil_w == 1 && (uint32_t)iy < (uint32_t)s->in_h && ix >= 0 && ix + s->k_w <= s->in_w) {
            q8_copy(d, src, run);
            d += run;
            continue;
        }
        for (int32_t kx = 0; kx < s->k_w; kx++, d += s->in_c) {
            const int32_t x = ix + kx * s->dil_w;
            const int inside = (uint32_t)iy < (uint32_t)s->in_h && (uint32_t)x < (uint32_t)s->in_w;
            for (int32_t i = 0; i < s->in_c; i++) d[i] = inside ? src[kx * s->dil_w * s->in_c + i] : (int8_t)s->in_zero;
        }
    }
}

/* Does every patch lie in the input as it is: one row of columns side by side, none of them padding? */
M4_INLINE int q8_direct(const q8_conv_shape *s) {
    const int inside = (s->out_h - 1) * s->stride_h < s->in_h && (s->out_w - 1) * s->stride_w + s->k_w <= s->in_w;
    return s->k_h == 1 && s->dil_w == 1 && !s->pad_top && !s->pad_left && inside;
}

/* Any geometry. Scratch: 2 bytes for every value of each position's patch (rounded up to whole steps in every segment; what is beyond the
 * patch meets zero weights), then the patch itself where needed. */
M4_INLINE void q8_patch(const q8_conv_shape *s, const q8_channels *d, const int8_t *in, q8_target to, uint8_t *scratch) {
    const int32_t size = s->k_h * s->k_w * s->in_c, direct = q8_direct(s);
    const int32_t rows = s->segments ? s->segments : 1, steps = (q8_round4(size) / 4 + rows - 1) / rows;
    const int32_t advance = 8 * s->positions;
    const q8_layout l = {rows, steps, advance * steps, 8, advance};
    const int32_t positions = s->out_h * s->out_w;
    int8_t *const patch = (int8_t *)scratch + advance * rows * steps;
    int32_t oy = 0, ox = 0;
    for (int32_t i = 0; i < positions; i += s->positions) {
        const int32_t n = positions - i < s->positions ? positions - i : s->positions;
        for (int32_t p = 0; p < n; p++) {
            const int8_t *src = in + (oy * s->stride_h * s->in_w + ox * s->stride_w) * s->in_c;
            if (!direct) q8_gather(s, in, oy, ox, patch);
            q8_expand((uint32_t *)(void *)(scratch + 8 * p), direct ? src : patch, size, 2 * s->positions, s->compact);
            if (++ox == s->out_w) ox = 0, oy++;
        }
        q8_tiles(s, d, &l, scratch, &to, n, positions % s->positions);
    }
}

M4_INLINE void q8_conv_slide(const q8_conv_shape *s, const q8_channels *d, const int8_t *in, int8_t *out, uint8_t *scratch) {
    q8_slide(s, d, in, (q8_target){out, 0}, scratch);
}

M4_INLINE void q8_conv_patch(const q8_conv_shape *s, const q8_channels *d, const int8_t *in, int8_t *out, uint8_t *scratch) {
    q8_patch(s, d, in, (q8_target){out, 0}, scratch);
}

#endif
