/* q8_pool.h: int8 average and maximum pooling and the mean over rows, four channels at a time. Sums are kept as pairs of
 * int16, so at most 256 values are added before they go to 32 bits. */
#ifndef M4_Q8_POOL_H
#define M4_Q8_POOL_H

#include "m4/q8_common.h"
#include "nn_math.h"

/* padded: some window leaves the input. */
typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w, k_h, k_w, stride_h, stride_w, pad_top, pad_left, padded, lo, hi;
} q8_pool_shape;

/* Rows and columns of a window inside the input. */
typedef struct {
    const int8_t *at;
    int32_t rows, columns;
} q8_window;

M4_INLINE q8_window q8_window_at(const q8_pool_shape *s, const int8_t *in, int32_t oy, int32_t ox) {
    int32_t y = oy * s->stride_h - s->pad_top, x = ox * s->stride_w - s->pad_left, rows = s->k_h, columns = s->k_w;
    if (s->padded) {
        const int32_t y_end = y + rows < s->in_h ? y + rows : s->in_h, x_end = x + columns < s->in_w ? x + columns : s->in_w;
        y = y < 0 ? 0 : y;
        x = x < 0 ? 0 : x;
        rows = y_end - y;
        columns = x_end - x;
    }
    return (q8_window){in + (y * s->in_w + x) * s->channels, rows, columns};
}

/* Adds n pixels of four channels, `pitch` bytes apart, to sums of channels 0, 2 and 1, 3. */
M4_INLINE void q8_sum_pixels(const int8_t *x, int32_t n, int32_t pitch, uint32_t *even, uint32_t *odd) {
    uint32_t a = *even, b = *odd;
#pragma GCC unroll 4
    for (int32_t i = 0; i < n; i++, x += pitch) {
        const uint32_t v = m4_load(x);
        a = m4_sxtab16(a, v);
        b = m4_sxtab16_8(b, v);
    }
    *even = a;
    *odd = b;
}

/* Half away from zero, as TFLM's pooling rounds. */
M4_INLINE int8_t q8_average(const q8_pool_shape *s, int32_t sum, int32_t count) {
    return (int8_t)nn_clamp((sum > 0 ? sum + count / 2 : sum - count / 2) / count, s->lo, s->hi);
}

M4_INLINE void q8_average_window(const q8_pool_shape *s, const q8_window *w, int8_t *out) {
    const int32_t count = w->rows * w->columns;
    int32_t c = 0;
#pragma GCC unroll 1
    for (; c + 4 <= s->channels; c += 4, out += 4) {
        uint32_t even = 0, odd = 0;
        for (int32_t y = 0; y < w->rows; y++)
            q8_sum_pixels(w->at + y * s->in_w * s->channels + c, w->columns, s->channels, &even, &odd);
        out[0] = q8_average(s, m4_lo(even), count);
        out[1] = q8_average(s, m4_lo(odd), count);
        out[2] = q8_average(s, m4_hi(even), count);
        out[3] = q8_average(s, m4_hi(odd), count);
    }
    for (; c < s->channels; c++) {
        int32_t sum = 0;
        for (int32_t y = 0; y < w->rows; y++)
            for (int32_t x = 0; x < w->columns; x++) sum += w->at[(y * s->in_w + x) * s->channels + c];
        *out++ = q8_average(s, sum, count);
    }
}

M4_INLINE void q8_max_window(const q8_pool_shape *s, const q8_window *w, int8_t *out) {
    int32_t c = 0;
#pragma GCC unroll 1
    for (; c + 4 <= s->channels; c += 4, out += 4) {
        uint32_t best = 0x80808080u;
        for (int32_t y = 0; y < w->rows; y++)
            for (int32_t x = 0; x < w->columns; x++) best = m4_max_s8(best, m4_load(w->at + (y * s->in_w + x) * s->channels + c));
        if (s->lo == -128 && s->hi == 127)
            m4_store(out, best);
        else
            for (int32_t i = 0; i < 4; i++) out[i] = (int8_t)nn_clamp((int8_t)(best >> 8 * i & 0xFF), s->lo, s->hi);
    }
    for (; c < s->channels; c++) {
        int32_t best = -128;
        for (int32_t y = 0; y < w->rows; y++)
            for (int32_t x = 0; x < w->columns; x++) {
                const int32_t v = w->at[(y * s->in_w + x) * s->channels + c];
                best = v > best ? v : best;
            }
        *out++ = (int8_t)nn_clamp(best, s->lo, s->hi);
    }
}

#define Q8_POOL(name, window)                                                    \
    M4_INLINE void name(const q8_pool_shape *s, const int8_t *in, int8_t *out) { \
        for (int32_t oy = 0; oy < s->out_h; oy++) {                              \
            for (int32_t ox = 0; ox < s->out_w; ox++, out += s->channels) {      \
                const q8_window w = q8_window_at(s, in, oy, ox);                 \
                window(s, &w, out);                                              \
            }                                                                    \
        }                                                                        \
    }
Q8_POOL(q8_average_pool, q8_average_window)
Q8_POOL(q8_max_pool, q8_max_window)

/* [rows, channels] -> [channels]; channels is a multiple of 4. Requantised as nn_mean_s8 does it. */
typedef struct {
    int32_t rows, channels, in_zero, out_zero, multiplier, shift;
} q8_mean_shape;

M4_INLINE void q8_mean(const q8_mean_shape *s, const int8_t *in, int8_t *out) {
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->channels; c += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        for (int32_t r = 0; r < s->rows; r += 256) {
            uint32_t even = 0, odd = 0;
            q8_sum_pixels(in + r * s->channels + c, s->rows - r < 256 ? s->rows - r : 256, s->channels, &even, &odd);
            sums[0] += m4_lo(even);
            sums[1] += m4_lo(odd);
            sums[2] += m4_hi(even);
            sums[3] += m4_hi(odd);
        }
#pragma GCC unroll 1
        for (int32_t i = 0; i < 4; i++) {
            const int32_t centred = sums[i] - s->rows * s->in_zero;
            out[c + i] = (int8_t)m4_ssat8(nn_requantize(centred, s->multiplier, s->shift) + s->out_zero);
        }
    }
}

#endif
