/* q8_depthwise.h: int8 depthwise convolutions on channel planes.
 *
 * Four channels at a time, a band of input rows is turned into planes of int16 (x - in_zero, padding 0) in scratch, so that
 * neighbours of one channel share a word and SMLAD takes two taps; weights are doubled, so accumulators hold 2 * acc.
 * 3x3 filters: 18 (stride 1) or 24 (stride 2) cycles for two outputs before requantisation. The rows that two bands share
 * are moved, never read again, so the output may overwrite the input. Dilation along the row is zeros between taps. */
#ifndef M4_Q8_DEPTHWISE_H
#define M4_Q8_DEPTHWISE_H

#include "m4/q8_common.h"

/* k_w counts the zeros of a dilated filter; band: output rows at a time; pitch: words of a plane's row;
 * compact: little code rather than few cycles. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, multiplier, k_h, k_w, stride_h, stride_w, dil_h, pad_top, pad_left;
    int32_t in_zero;
    q8_range range;
    int32_t band, pitch, compact;
} q8_depthwise_shape;

M4_INLINE int32_t q8_band_rows(const q8_depthwise_shape *s) { return (s->band - 1) * s->stride_h + (s->k_h - 1) * s->dil_h + 1; }

/* Channels c .. c + n of pixel x; outside the row: padding. */
M4_INLINE uint32_t q8_pixel(const q8_depthwise_shape *s, const int8_t *row, int32_t x, int32_t n) {
    if ((uint32_t)x >= (uint32_t)s->in_w) return (uint32_t)(s->in_zero & 0xFF) * 0x01010101u;
    return n == 4 ? m4_load(row + x * s->in_c) : q8_load_tail(row + x * s->in_c, n);
}

/* Two neighbouring pixels of four channels -> a word in each of the four planes. */
M4_INLINE void q8_split(uint32_t a, uint32_t b, uint32_t minus_zero, uint32_t *d, int32_t plane) {
    uint32_t a02 = m4_sxtab16(minus_zero, a), a13 = m4_sxtab16_8(minus_zero, a);
    uint32_t b02 = m4_sxtab16(minus_zero, b), b13 = m4_sxtab16_8(minus_zero, b);
    d[0] = m4_pkhbt_16(a02, b02);
    d[plane] = m4_pkhbt_16(a13, b13);
    d[2 * plane] = m4_pkhtb_16(b02, a02);
    d[3 * plane] = m4_pkhtb_16(b13, a13);
}

/* One input row into the four planes; row NULL: padding. */
M4_INLINE void q8_plane_row(const q8_depthwise_shape *s, const int8_t *row, int32_t n, uint32_t *d, int32_t plane) {
    const uint32_t minus_zero = m4_pair(-s->in_zero, -s->in_zero);
    const int32_t lead = (s->pad_left + 1) / 2, full = (s->in_w + s->pad_left) / 2;
    int32_t i = 0;
    if (!row) {
        for (; i < s->pitch; i++) d[i] = d[i + plane] = d[i + 2 * plane] = d[i + 3 * plane] = 0;
        return;
    }
    for (; i < lead && i < s->pitch; i++) {
        const int32_t x = 2 * i - s->pad_left;
        q8_split(q8_pixel(s, row, x, n), q8_pixel(s, row, x + 1, n), minus_zero, d + i, plane);
    }
    const int8_t *src = row + (2 * i - s->pad_left) * s->in_c;
    for (; i < full && i < s->pitch; i++, src += 2 * s->in_c) {
        const uint32_t a = n == 4 ? m4_load(src) : q8_load_tail(src, n);
        const uint32_t b = n == 4 ? m4_load(src + s->in_c) : q8_load_tail(src + s->in_c, n);
        q8_split(a, b, minus_zero, d + i, plane);
    }
    for (; i < s->pitch; i++) {
        const int32_t x = 2 * i - s->pad_left;
        q8_split(q8_pixel(s, row, x, n), q8_pixel(s, row, x + 1, n), minus_zero, d + i, plane);
    }
}

/* The doubled weights of a 3x3 filter as halves (w0, w1) and (w1, w2) of each row, from bytes w0 w1 w2 0. */
M4_INLINE void q8_weights_3x3(const uint32_t *packed, uint32_t w[6]) {
    for (int32_t r = 0; r < 3; r++) {
        uint32_t w02 = m4_sxtb16(packed[r]), w1 = m4_sxtb16_8(packed[r]);
        w02 = m4_sadd16(w02, w02);
        w1 = m4_sadd16(w1, w1);
        w[2 * r] = m4_pkhbt_16(w02, w1);
        w[2 * r + 1] = m4_pkhbt(w1, w02);
    }
}

#if M4_ASM
/* The end of `out` and the bias wait in FPU registers. Scratch registers are fixed, so that gcc never runs out of choices
 * for the others: r9, r10 and r11 hold a column of three rows, r12 and lr two outputs. Rows are `pitch` bytes apart. */
#define Q8_DW_LOAD "ldr r10, [%[x], #%c[p]]\n\tldr r11, [%[x], #2*%c[p]]\n\tldr r9, [%[x]], #4\n\t"
/* clang-format off: a line is a group of instructions */
#define Q8_DW_MAC(insn, y, w) \
    insn " " y ", r9, %[" w "0], " y "\n\t" insn " " y ", r10, %[" w "1], " y "\n\t" insn " " y ", r11, %[" w "2], " y "\n\t"
/* clang-format on */
#define Q8_DW_START(y) "vmov " y ", %[bias]\n\t"
#define Q8_DW_STORE(y) "str " y ", [%[o]], #4\n\t"
#define Q8_DW_FIRST Q8_DW_MAC("smlad", "r12", "a") Q8_DW_LOAD Q8_DW_MAC("smlabt", "r12", "b")
/* Two outputs at stride 1 and 2; one. */
#define Q8_DW_PAIR_1               \
    Q8_DW_START("r12")             \
    Q8_DW_START("lr")              \
    Q8_DW_MAC("smlad", "r12", "a") \
    Q8_DW_MAC("smlatb", "lr", "a") \
    Q8_DW_LOAD Q8_DW_MAC("smlabt", "r12", "b") Q8_DW_MAC("smlad", "lr", "b") Q8_DW_STORE("r12") Q8_DW_STORE("lr")
#define Q8_DW_PAIR_2   \
    Q8_DW_START("r12") \
    Q8_DW_START("lr")  \
    Q8_DW_FIRST Q8_DW_MAC("smlad", "lr", "a") Q8_DW_LOAD Q8_DW_MAC("smlabt", "lr", "b") Q8_DW_STORE("r12") Q8_DW_STORE("lr")
#define Q8_DW_ONE Q8_DW_START("r12") Q8_DW_FIRST Q8_DW_STORE("r12")
#define Q8_DW_LOOP(body) ".p2align 2\n1:\n\t" body "vmov lr, %[end]\n\tcmp %[o], lr\n\tbne 1b\n\t"
#define Q8_DW_ROW(body)                                                                                                \
    __asm__ volatile(Q8_DW_LOAD body                                                                                   \
                     : [x] "+r"(x), [o] "+r"(out)                                                                      \
                     : [a0] "r"(w[0]), [b0] "r"(w[1]), [a1] "r"(w[2]), [b1] "r"(w[3]), [a2] "r"(w[4]), [b2] "r"(w[5]), \
                       [p] "i"(pitch), [bias] "t"(start), [end] "t"(end)                                               \
                     : "r9", "r10", "r11", "r12", "lr", "cc", "memory")
/* n outputs: few without a loop, more in rounds of four, or of two in little code, and what is left. */
#define Q8_DW_ROWS(pair)                                         \
    do {                                                         \
        if (rounds && rest == 0) {                               \
            if (at_once == 2)                                    \
                Q8_DW_ROW(Q8_DW_LOOP(pair));                     \
            else                                                 \
                Q8_DW_ROW(Q8_DW_LOOP(pair pair));                \
        } else if (rounds) {                                     \
            if (at_once == 2)                                    \
                Q8_DW_ROW(Q8_DW_LOOP(pair) Q8_DW_ONE);           \
            else if (rest == 1)                                  \
                Q8_DW_ROW(Q8_DW_LOOP(pair pair) Q8_DW_ONE);      \
            else if (rest == 2)                                  \
                Q8_DW_ROW(Q8_DW_LOOP(pair pair) pair);           \
            else                                                 \
                Q8_DW_ROW(Q8_DW_LOOP(pair pair) pair Q8_DW_ONE); \
        } else {                                                 \
            switch (n) {                                         \
            case 1: Q8_DW_ROW(Q8_DW_ONE); break;                 \
            case 2: Q8_DW_ROW(pair); break;                      \
            case 3: Q8_DW_ROW(pair Q8_DW_ONE); break;            \
            case 4: Q8_DW_ROW(pair pair); break;                 \
            case 5: Q8_DW_ROW(pair pair Q8_DW_ONE); break;       \
            case 6: Q8_DW_ROW(pair pair pair); break;            \
            default: Q8_DW_ROW(pair pair pair Q8_DW_ONE); break; \
            }                                                    \
        }                                                        \
    } while (0)

/* All but x, w, bias and out are constants of the call. */
M4_INLINE void q8_row_3x3(const uint32_t *x, const uint32_t w[6], int32_t bias, int32_t *out, int n, int pitch, int stride,
                          int compact) {
    const int at_once = compact ? 2 : 4, rounds = n >= (compact ? 2 : 8) ? n / at_once : 0, rest = n % at_once;
    const float start = m4_to_fpu((uint32_t)bias), end = m4_to_fpu((uint32_t)(uintptr_t)(out + rounds * at_once));
    if (stride == 1)
        Q8_DW_ROWS(Q8_DW_PAIR_1);
    else
        Q8_DW_ROWS(Q8_DW_PAIR_2);
}
#else
M4_INLINE void q8_row_3x3(const uint32_t *x, const uint32_t w[6], int32_t bias, int32_t *out, int n, int pitch, int stride,
                          int compact) {
    (void)compact;
    for (int i = 0; i < n; i++) {
        out[i] = bias;
        for (int r = 0; r < 3; r++) {
            const uint32_t *row = x + r * pitch / 4 + i * stride / 2, a = w[2 * r], b = w[2 * r + 1];
            out[i] = i * stride & 1 ? m4_smlad(row[1], b, m4_smlatb(row[0], a, out[i]))
                                    : m4_smlabt(row[1], b, m4_smlad(row[0], a, out[i]));
        }
    }
}
#endif

/* Words that cover a filter row from an even or an odd column. */
M4_INLINE int32_t q8_tap_words(const q8_depthwise_shape *s) { return (s->k_w + 2) / 2; }

/* Doubled taps of any filter, `lead` zeros (0 or 1) before each row. */
M4_INLINE void q8_weights_any(const q8_depthwise_shape *s, const int8_t *w, int32_t lead, uint32_t *d) {
    for (int32_t r = 0; r < s->k_h; r++, w += s->k_w) {
        for (int32_t i = 0; i < q8_tap_words(s); i++) {
            const int32_t lo = 2 * i - lead, hi = lo + 1;
            *d++ = m4_pair(lo >= 0 && lo < s->k_w ? 2 * w[lo] : 0, hi < s->k_w ? 2 * w[hi] : 0);
        }
    }
}

/* A row of outputs of any filter. w: taps for even columns, behind them those for odd ones. */
M4_INLINE void q8_row_any(const q8_depthwise_shape *s, const uint32_t *x, const uint32_t *w, int32_t bias, int32_t *out) {
    const int32_t words = q8_tap_words(s);
#pragma GCC unroll 1
    for (int32_t ox = 0; ox < s->out_w; ox++) {
        const uint32_t *row = x + ox * s->stride_w / 2, *tap = w + (ox * s->stride_w & 1) * s->k_h * words;
        int32_t sum = bias;
#pragma GCC unroll 1
        for (int32_t r = 0; r < s->k_h; r++, row += s->dil_h * s->pitch) {
#pragma GCC unroll 8
            for (int32_t i = 0; i < words; i++) sum = m4_smlad(row[i], *tap++, sum);
        }
        out[ox] = sum;
    }
}

M4_INLINE int q8_is_3x3(const q8_depthwise_shape *s) {
    return s->k_h == 3 && s->k_w == 3 && s->dil_h == 1 && (s->stride_w == 1 || s->stride_w == 2) && 8 * s->pitch < 4096;
}

/* `rows` output rows of one channel from its plane; out: the first of them. sums: out_w + 1 words. */
M4_INLINE void q8_channel_band(const q8_depthwise_shape *s, const q8_channels *d, int32_t c, const uint32_t *plane, int32_t rows,
                               int8_t *out, int32_t *sums, uint32_t *taps) {
    const int32_t e = d->shift[c], m = d->multiplier[c], half = q8_half(e, &s->range), bias = d->bias[c];
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
            q8_row_3x3(plane, w, bias, sums, s->out_w, 4 * s->pitch, s->stride_w, s->compact);
        else
            q8_row_any(s, plane, taps, bias, sums);
#pragma GCC unroll 4
        for (int32_t ox = 0; ox < s->out_w; ox++, out += out_c) *out = (int8_t)q8_requant(sums[ox], m, e, half, &s->range);
    }
}

/* Input rows of a band into the planes: those shared with the band before are moved up. */
M4_INLINE void q8_load_band(const q8_depthwise_shape *s, const int8_t *in, int32_t oy, int32_t rows, int32_t n,
                            uint32_t *planes) {
    const int32_t plane = q8_band_rows(s) * s->pitch, reach = (s->k_h - 1) * s->dil_h + 1;
    const int32_t keep = oy && reach > s->stride_h ? reach - s->stride_h : 0;
    if (keep) {
        for (int32_t j = 0; j < 4; j++) {
            uint32_t *d = planes + j * plane;
            for (int32_t i = 0; i < keep * s->pitch; i++) d[i] = d[i + s->band * s->stride_h * s->pitch];
        }
    }
#pragma GCC unroll 1
    for (int32_t r = keep; r < (rows - 1) * s->stride_h + reach; r++) {
        const int32_t iy = oy * s->stride_h - s->pad_top + r;
        const int8_t *row = (uint32_t)iy < (uint32_t)s->in_h ? in + iy * s->in_w * s->in_c : 0;
        q8_plane_row(s, row, n, planes + r * s->pitch, plane);
    }
}

/* Scratch: 4 planes of q8_band_rows * pitch words, out_w + 1 sums, 2 * k_h * q8_tap_words taps (none for 3x3). */
M4_INLINE void q8_depthwise(const q8_depthwise_shape *s, const q8_channels *d, const int8_t *in, int8_t *out, uint8_t *scratch) {
    const int32_t plane = q8_band_rows(s) * s->pitch, out_c = s->in_c * s->multiplier;
    uint32_t *const planes = (uint32_t *)(void *)scratch;
    int32_t *const sums = (int32_t *)(void *)(planes + 4 * plane);
    uint32_t *const taps = (uint32_t *)(void *)(sums + (s->out_w + 2) / 2 * 2);
#pragma GCC unroll 1
    for (int32_t c = 0; c < s->in_c; c += 4) {
        const int32_t n = s->in_c % 4 && s->in_c - c < 4 ? s->in_c % 4 : 4;
#pragma GCC unroll 1
        for (int32_t oy = 0; oy < s->out_h; oy += s->band) {
            const int32_t rows = s->out_h - oy < s->band ? s->out_h - oy : s->band;
            q8_load_band(s, in + c, oy, rows, n, planes);
#pragma GCC unroll 1
            for (int32_t j = 0; j < n * s->multiplier; j++) {
                const int32_t oc = c * s->multiplier + j;
                q8_channel_band(s, d, oc, planes + j / s->multiplier * plane, rows, out + oy * s->out_w * out_c + oc, sums, taps);
            }
        }
    }
}

#endif
