/* f32_winograd.c: blocks of four tiles (2 rows x 8 columns of outputs): inputs and sums are transformed a tile at a time, the
 * products are a register tile of 4 tiles x 4 output channels for each of the 16 elements. */
#include "f32_winograd.h"

#include "f32_tile.h"

/* One input column of four rows, transformed vertically: [in_c][16], of which 4 are written. */
static void transform_column(const float *const rows[4], int32_t in_c, float *to) {
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    for (int32_t i = 0; i < in_c; i++, to += 16) {
        float v0 = *a++, v1 = *b++, v2 = *c++, v3 = *d++;
        to[0] = v0 - v2;
        to[1] = v1 + v2;
        to[2] = v2 - v1;
        to[3] = v1 - v3;
    }
}

static inline void transform_row(float v0, float v1, float v2, float v3, float *to) {
    to[0] = v0 - v2;
    to[4] = v1 + v2;
    to[8] = v2 - v1;
    to[12] = v1 - v3;
}

/* Two columns each from `left` and `right`, transformed horizontally: to[in_c][16 elements][4 tiles], of one tile. */
static void transform_tile(const float *left, const float *right, int32_t in_c, float *to) {
    for (int32_t i = 0; i < in_c; i++, left += 16, right += 16, to += 64) {
        transform_row(left[0], left[4], right[0], right[4], to);
        transform_row(left[1], left[5], right[1], right[5], to + 16);
        transform_row(left[2], left[6], right[2], right[6], to + 32);
        transform_row(left[3], left[7], right[3], right[7], to + 48);
    }
}

/* Columns x and x + 1 into one half of the ring; what lies outside the image is zero. */
static void load_columns(const nn_window *w, const float *image, const float *zeros, int32_t y, int32_t x, float *half) {
    for (int32_t i = 0; i < 2; i++, x++) {
        const float *rows[4];
        for (int32_t r = 0; r < 4; r++) {
            int inside = (uint32_t)(y + r) < (uint32_t)w->in_h && (uint32_t)x < (uint32_t)w->in_w;
            rows[r] = inside ? image + ((y + r) * w->in_w + x) * w->in_c : zeros;
        }
        transform_column(rows, w->in_c, half + 4 * i);
    }
}

#if defined(__arm__) && defined(__ARM_FP) && !defined(NN_PORTABLE)
/* clang-format off: a line is a group of instructions */

#define WINOGRAD_STEP(x0, x1, x2, x3, w0, w1, w2, w3) \
    "vldr s16, [%[x], #" #x0 "]\n"                    \
    "vldr s17, [%[x], #" #x1 "]\n"                    \
    "vldr s18, [%[x], #" #x2 "]\n"                    \
    "vldr s19, [%[x], #" #x3 "]\n" F32_WEIGHTS(w0, w1, w2, w3) F32_OUTER("s16", "s17", "s18", "s19")

/* sums[16 elements][4 tiles][4 channels] of one group of channels; returns the next group's weights. */
static const float *multiply(const float *tiles, const float *w, int32_t in_c, float *sums) {
    uint32_t x, n, ones, elements = 16;
    __asm__ volatile("0:\n" F32_BIASES "mov %[x], %[tiles]\n"
                     "lsrs %[n], %[in_c], #2\n"
                     "beq 3f\n"
                     "2:\n" WINOGRAD_STEP(0, 4, 8, 12, 0, 4, 8, 12) WINOGRAD_STEP(256, 260, 264, 268, 16, 20, 24, 28)
                         WINOGRAD_STEP(512, 516, 520, 524, 32, 36, 40, 44) WINOGRAD_STEP(
                             768, 772, 776, 780, 48, 52, 56, 60) "subs %[n], %[n], #1\n"
                                                                 "add %[x], %[x], #1024\n"
                                                                 "add %[w], %[w], #64\n"
                                                                 "bne 2b\n"
                                                                 "3:\n"
                                                                 "ands %[ones], %[in_c], #3\n"
                                                                 "beq 5f\n"
                                                                 "4:\n" WINOGRAD_STEP(0, 4, 8, 12, 0, 4, 8,
                                                                                      12) "subs %[ones], %[ones], #1\n"
                                                                                          "add %[x], %[x], #256\n"
                                                                                          "add %[w], %[w], #16\n"
                                                                                          "bne 4b\n"
                                                                                          "5:\n"
                                                                                          "vstmia %[sums]!, {s0-s15}\n"
                                                                                          "add %[tiles], %[tiles], #16\n"
                                                                                          "subs %[elements], %[elements], #1\n"
                                                                                          "bne 0b\n"
                     : [w] "+r"(w), [tiles] "+r"(tiles), [sums] "+r"(sums), [elements] "+r"(elements), [x] "=&r"(x), [n] "=&r"(n),
                       [ones] "=&r"(ones)
                     : [in_c] "r"(in_c)
                     : F32_CLOBBERS);
    return w;
}

/* clang-format on */
#else

static const float *multiply(const float *tiles, const float *w, int32_t in_c, float *sums) {
    for (int32_t e = 0; e < 16; e++, tiles += 4, sums += 16) {
        for (int i = 0; i < 16; i++) sums[i] = w[i % 4];
        w += 4;
        for (int32_t c = 0; c < in_c; c++, w += 4)
            for (int i = 0; i < 16; i++) sums[i] += tiles[64 * c + i / 4] * w[i % 4];
    }
    return w;
}

#endif

typedef union {
    float f;
    int32_t i;
} winograd_bits;

static inline void put(float *to, float v, int32_t relu) {
    winograd_bits u = {v};
    u.i &= ~((u.i >> 31) & relu);
    *to = u.f;
}

/* Four outputs of one tile and channel from its 16 sums, 16 floats apart; `rows` and `columns` of them lie inside. */
static inline void finish_tile(const float *m, float *out, int32_t row_step, int32_t out_c, int rows, int columns, int32_t relu) {
    float top[4], bottom[4];
    for (int j = 0; j < 4; j++) {
        float a = m[16 * j], b = m[16 * (4 + j)], c = m[16 * (8 + j)], d = m[16 * (12 + j)];
        top[j] = a + b + c;
        bottom[j] = b - c - d;
    }
    put(out, top[0] + top[1] + top[2], relu);
    if (columns > 1) put(out + out_c, top[1] - top[2] - top[3], relu);
    if (rows < 2) return;
    out += row_step;
    put(out, bottom[0] + bottom[1] + bottom[2], relu);
    if (columns > 1) put(out + out_c, bottom[1] - bottom[2] - bottom[3], relu);
}

static void finish(const nn_m4_winograd_f32 *p, const float *sums, int32_t y, int32_t x, int32_t channels, float *out) {
    const nn_window *w = &p->w;
    int32_t relu = -(int32_t)p->relu;
    for (int32_t t = 0; t < 4 && x + 2 * t < w->out_w; t++)
        for (int32_t c = 0; c < channels; c++)
            finish_tile(sums + 4 * t + c, out + 2 * t * w->out_c + c, w->out_w * w->out_c, w->out_c, w->out_h - y,
                        w->out_w - x - 2 * t, relu);
}

static void run_block(const nn_m4_winograd_f32 *p, const float *image, const float *packed, int32_t y, int32_t x, float *out,
                      float *scratch) {
    const nn_window *w = &p->w;
    float *zeros = scratch, *ring = zeros + w->in_c, *tiles = ring + 16 * w->in_c, *sums = tiles + 64 * w->in_c;
    int32_t top = y - w->pad_top, left = x - w->pad_left;
    load_columns(w, image, zeros, top, left, ring);
    for (int32_t t = 0; t < 4; t++) {
        float *old = ring + (t % 2 ? 8 : 0), *new = ring + (t % 2 ? 0 : 8);
        load_columns(w, image, zeros, top, left + 2 * t + 2, new);
        transform_tile(old, new, w->in_c, tiles + t);
    }
    for (int32_t c = 0; c < w->out_c; c += 4) {
        packed = multiply(tiles, packed, w->in_c, sums);
        finish(p, sums, y, x, w->out_c - c < 4 ? w->out_c - c : 4, out + c);
    }
}

void nn_m4_winograd_f32_3x3(const nn_m4_winograd_f32 *p, const float *in, const float *packed, float *out, float *scratch) {
    const nn_window *w = &p->w;
    for (int32_t i = 0; i < w->in_c; i++) scratch[i] = 0;
    for (int32_t b = 0; b < w->batch; b++, in += w->in_h * w->in_w * w->in_c, out += w->out_h * w->out_w * w->out_c)
        for (int32_t y = 0; y < w->out_h; y += 2)
            for (int32_t x = 0; x < w->out_w; x += 8)
                run_block(p, in, packed, y, x, out + (y * w->out_w + x) * w->out_c, scratch);
}
