/* f32_tile.h: the inner loops of the float convolutions: 4 positions (or 1) x 4 output channels, sums in s0-s15.
 *
 * VMUL + VADD take 2 cycles and VFMA 3 on Cortex-M4 (TRM DDI0439, table 7-1), so products are added separately, a row of
 * four behind the next, which also hides the one-cycle latency. All loads of a step form one run: a cycle each after
 * the first. */
#ifndef F32_TILE_H
#define F32_TILE_H

#include <stdint.h>

/* rows: [runs][4] pointers to a run of inputs of each position; f32_wide_group: [runs][6], of six neighbouring columns.
 * A run's length is steps * (inputs a step) + ones, a step being 4 inputs (2 in f32_wide_group).
 * Position i's four results go to out + i * out_stride (in floats). */
typedef struct {
    const float *const *rows;
    uint32_t runs;
    uint32_t steps, ones;
    float *out;
    int32_t out_stride;
    uint32_t relu;
} f32_tile;

#if defined(__arm__) && defined(__ARM_FP) && !defined(NN_PORTABLE)
/* clang-format off: a line is a group of instructions */

/* One position's input times four weights, onto its four sums. */
#define F32_ROW(x, a, b, c, d)     \
    "vmul.f32 s26, " x ", s22\n"   \
    "vmul.f32 s27, " x ", s23\n"   \
    "vmul.f32 s28, " x ", s24\n"   \
    "vmul.f32 s29, " x ", s25\n"   \
    "vadd.f32 " a ", " a ", s26\n" \
    "vadd.f32 " b ", " b ", s27\n" \
    "vadd.f32 " c ", " c ", s28\n" \
    "vadd.f32 " d ", " d ", s29\n"
#define F32_OUTER(p, q, r, s)          \
    F32_ROW(p, "s0", "s1", "s2", "s3") \
    F32_ROW(q, "s4", "s5", "s6", "s7") F32_ROW(r, "s8", "s9", "s10", "s11") F32_ROW(s, "s12", "s13", "s14", "s15")
#define F32_WEIGHTS(w0, w1, w2, w3) \
    "vldr s22, [%[w], #" #w0 "]\n"  \
    "vldr s23, [%[w], #" #w1 "]\n"  \
    "vldr s24, [%[w], #" #w2 "]\n"  \
    "vldr s25, [%[w], #" #w3 "]\n"
#define F32_INPUTS(o)              \
    "vldr s16, [%[x0], #" #o "]\n" \
    "vldr s17, [%[x1], #" #o "]\n" \
    "vldr s18, [%[x2], #" #o "]\n" \
    "vldr s19, [%[x3], #" #o "]\n"
/* One input of each position (byte offset o) times four weights (byte offsets w0 ...). */
#define F32_STEP(o, w0, w1, w2, w3) F32_INPUTS(o) F32_WEIGHTS(w0, w1, w2, w3) F32_OUTER("s16", "s17", "s18", "s19")
/* An integer register pair at a time: clears negative values' bits (sign spread over the word), stores. */
#define F32_RELU_STORE(a, b, o)          \
    "vmov %[x1], %[x2], " a ", " b "\n"  \
    "bic %[x1], %[x1], %[x1], asr #31\n" \
    "bic %[x2], %[x2], %[x2], asr #31\n" \
    "strd %[x1], %[x2], [%[x0], #" #o "]\n"
#define F32_CLOBBERS                                                                                                           \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", \
        "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "cc", "memory"
/* Four biases, the same for each position. */
#define F32_BIASES            \
    "vldmia %[w]!, {s0-s3}\n" \
    "vmov.f32 s4, s0\n"       \
    "vmov.f32 s5, s1\n"       \
    "vmov.f32 s6, s2\n"       \
    "vmov.f32 s7, s3\n"       \
    "vmov.f32 s8, s0\n"       \
    "vmov.f32 s9, s1\n"       \
    "vmov.f32 s10, s2\n"      \
    "vmov.f32 s11, s3\n"      \
    "vmov.f32 s12, s0\n"      \
    "vmov.f32 s13, s1\n"      \
    "vmov.f32 s14, s2\n"      \
    "vmov.f32 s15, s3\n"
#define F32_ZEROS        \
    "mov %[n], #0\n"     \
    "vmov s0, %[n]\n"    \
    "vmov.f32 s1, s0\n"  \
    "vmov.f32 s2, s0\n"  \
    "vmov.f32 s3, s0\n"  \
    "vmov.f32 s4, s0\n"  \
    "vmov.f32 s5, s0\n"  \
    "vmov.f32 s6, s0\n"  \
    "vmov.f32 s7, s0\n"  \
    "vmov.f32 s8, s0\n"  \
    "vmov.f32 s9, s0\n"  \
    "vmov.f32 s10, s0\n" \
    "vmov.f32 s11, s0\n" \
    "vmov.f32 s12, s0\n" \
    "vmov.f32 s13, s0\n" \
    "vmov.f32 s14, s0\n" \
    "vmov.f32 s15, s0\n"
#define F32_ADD_BIASES(a, b, c, d) \
    "vadd.f32 " a ", " a ", s16\n" \
    "vadd.f32 " b ", " b ", s17\n" \
    "vadd.f32 " c ", " c ", s18\n" \
    "vadd.f32 " d ", " d ", s19\n"
#define F32_STORE                                                                                                               \
    "ldr %[x0], [%[t], #16]\n"                                                                                                  \
    "ldr %[n], [%[t], #20]\n"                                                                                                   \
    "ldr %[x3], [%[t], #24]\n"                                                                                                  \
    "lsl %[n], %[n], #2\n"                                                                                                      \
    "cbnz %[x3], 6f\n"                                                                                                          \
    "vstmia %[x0], {s0-s3}\n"                                                                                                   \
    "add %[x0], %[x0], %[n]\n"                                                                                                  \
    "vstmia %[x0], {s4-s7}\n"                                                                                                   \
    "add %[x0], %[x0], %[n]\n"                                                                                                  \
    "vstmia %[x0], {s8-s11}\n"                                                                                                  \
    "add %[x0], %[x0], %[n]\n"                                                                                                  \
    "vstmia %[x0], {s12-s15}\n"                                                                                                 \
    "b 7f\n"                                                                                                                    \
    "6:\n" F32_RELU_STORE("s0", "s1", 0) F32_RELU_STORE("s2", "s3", 8) "add %[x0], %[x0], %[n]\n" F32_RELU_STORE("s4", "s5", 0) \
        F32_RELU_STORE("s6", "s7", 8) "add %[x0], %[x0], %[n]\n" F32_RELU_STORE("s8", "s9", 0)                                  \
            F32_RELU_STORE("s10", "s11", 8) "add %[x0], %[x0], %[n]\n" F32_RELU_STORE("s12", "s13", 0)                          \
                F32_RELU_STORE("s14", "s15", 8) "7:\n"

/* One group of four channels: w points at its 4 biases; returns the next group's. Products are added in the order of TFLM's
 * reference kernels and the bias last, so that sums are the same to the bit. */
static inline __attribute__((always_inline)) const float *f32_tile_group(const f32_tile *t, const float *w) {
    uint32_t table, runs, n, x0, x1, x2, x3;
    const float *biases = w;
    w += 4;
    __asm__ volatile(
        "ldr %[table], [%[t], #0]\n"
        "ldr %[runs], [%[t], #4]\n" F32_ZEROS "1:\n"
        "ldr %[x0], [%[table], #0]\n"
        "ldr %[x1], [%[table], #4]\n"
        "ldr %[x2], [%[table], #8]\n"
        "ldr %[x3], [%[table], #12]\n"
        "ldr %[n], [%[t], #8]\n"
        "adds %[table], %[table], #16\n"
        "cmp %[n], #0\n"
        "beq 3f\n"
        "2:\n" F32_STEP(0, 0, 4, 8, 12) F32_STEP(4, 16, 20, 24, 28) F32_STEP(8, 32, 36, 40, 44)
            F32_STEP(12, 48, 52, 56,
                     60) "subs %[n], %[n], #1\n"
                         "add %[x0], %[x0], #16\n"
                         "add %[x1], %[x1], #16\n"
                         "add %[x2], %[x2], #16\n"
                         "add %[x3], %[x3], #16\n"
                         "add %[w], %[w], #64\n"
                         "bne 2b\n"
                         "3:\n"
                         "ldr %[n], [%[t], #12]\n"
                         "cmp %[n], #0\n"
                         "beq 5f\n"
                         "4:\n" F32_STEP(0, 0, 4, 8, 12) "subs %[n], %[n], #1\n"
                                                         "add %[x0], %[x0], #4\n"
                                                         "add %[x1], %[x1], #4\n"
                                                         "add %[x2], %[x2], #4\n"
                                                         "add %[x3], %[x3], #4\n"
                                                         "add %[w], %[w], #16\n"
                                                         "bne 4b\n"
                                                         "5:\n"
                                                         "subs %[runs], %[runs], #1\n"
                                                         "bne 1b\n"
                                                         "vldmia %[biases], {s16-s19}\n" F32_ADD_BIASES("s0", "s1", "s2", "s3")
                                                             F32_ADD_BIASES("s4", "s5", "s6", "s7")
                                                                 F32_ADD_BIASES("s8", "s9", "s10", "s11")
                                                                     F32_ADD_BIASES("s12", "s13", "s14", "s15") F32_STORE
        : [w] "+r"(w), [table] "=&r"(table), [runs] "=&r"(runs), [n] "=&r"(n), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2),
          [x3] "=&l"(x3)
        : [t] "r"(t), [biases] "r"(biases)
        : F32_CLOBBERS);
    return w;
}

/* As f32_tile_group for three taps in a row at stride 1: six columns serve the four positions. Weights: each channel's
 * three taps, four weights each. An odd channel enters at the second half of the loop. */
#define F32_COLUMNS(o)             \
    F32_INPUTS(o)                  \
    "vldr s20, [%[x4], #" #o "]\n" \
    "vldr s21, [%[x5], #" #o "]\n"
static inline __attribute__((always_inline)) const float *f32_wide_group(const f32_tile *t, const float *w) {
    uint32_t table, runs, n, x0, x1, x2, x3, x4, x5;
    __asm__ volatile("ldr %[table], [%[t], #0]\n"
                     "ldr %[runs], [%[t], #4]\n" F32_BIASES "1:\n"
                     "ldr %[x0], [%[table], #0]\n"
                     "ldr %[x1], [%[table], #4]\n"
                     "ldr %[x2], [%[table], #8]\n"
                     "ldr %[x3], [%[table], #12]\n"
                     "ldr %[x4], [%[table], #16]\n"
                     "ldr %[x5], [%[table], #20]\n"
                     "ldr %[n], [%[t], #12]\n"
                     "adds %[table], %[table], #24\n"
                     "cmp %[n], #0\n"
                     "ldr %[n], [%[t], #8]\n"
                     "beq 2f\n"
                     "sub %[x0], %[x0], #4\n"
                     "sub %[x1], %[x1], #4\n"
                     "sub %[x2], %[x2], #4\n"
                     "sub %[x3], %[x3], #4\n"
                     "sub %[x4], %[x4], #4\n"
                     "sub %[x5], %[x5], #4\n"
                     "sub %[w], %[w], #48\n"
                     "add %[n], %[n], #1\n"
                     "b 3f\n"
                     "2:\n" F32_COLUMNS(0) F32_WEIGHTS(0, 4, 8, 12) F32_OUTER("s16", "s17", "s18", "s19")
                         F32_WEIGHTS(16, 20, 24, 28) F32_OUTER("s17", "s18", "s19", "s20") F32_WEIGHTS(32, 36, 40, 44)
                             F32_OUTER("s18", "s19", "s20", "s21") "3:\n" F32_COLUMNS(4) F32_WEIGHTS(48, 52, 56, 60)
                                 F32_OUTER("s16", "s17", "s18", "s19") F32_WEIGHTS(64, 68, 72, 76)
                                     F32_OUTER("s17", "s18", "s19", "s20") F32_WEIGHTS(80, 84, 88, 92)
                                         F32_OUTER("s18", "s19", "s20", "s21") "subs %[n], %[n], #1\n"
                                                                               "add %[x0], %[x0], #8\n"
                                                                               "add %[x1], %[x1], #8\n"
                                                                               "add %[x2], %[x2], #8\n"
                                                                               "add %[x3], %[x3], #8\n"
                                                                               "add %[x4], %[x4], #8\n"
                                                                               "add %[x5], %[x5], #8\n"
                                                                               "add %[w], %[w], #96\n"
                                                                               "bne 2b\n"
                                                                               "subs %[runs], %[runs], #1\n"
                                                                               "bne 1b\n" F32_STORE
                     : [w] "+r"(w), [table] "=&r"(table), [runs] "=&r"(runs), [n] "=&r"(n), [x0] "=&r"(x0), [x1] "=&r"(x1),
                       [x2] "=&r"(x2), [x3] "=&l"(x3), [x4] "=&r"(x4), [x5] "=&r"(x5)
                     : [t] "r"(t)
                     : F32_CLOBBERS);
    return w;
}

#define F32_ONE(x, a, b, c, d)     \
    "vmul.f32 s24, " x ", " a "\n" \
    "vmul.f32 s25, " x ", " b "\n" \
    "vmul.f32 s26, " x ", " c "\n" \
    "vmul.f32 s27, " x ", " d "\n" \
    "vadd.f32 s0, s0, s24\n"       \
    "vadd.f32 s1, s1, s25\n"       \
    "vadd.f32 s2, s2, s26\n"       \
    "vadd.f32 s3, s3, s27\n"

#define F32_STORE_ONE          \
    "ldr %[x0], [%[t], #16]\n" \
    "ldr %[n], [%[t], #24]\n"  \
    "cbnz %[n], 6f\n"          \
    "vstmia %[x0], {s0-s3}\n"  \
    "b 7f\n"                   \
    "6:\n" F32_RELU_STORE("s0", "s1", 0) F32_RELU_STORE("s2", "s3", 8) "7:\n"

/* As f32_tile_group for position 0 alone: every weight is used once, so it costs 3.6 cycles a product against 2.7. */
static inline __attribute__((always_inline)) const float *f32_single_group(const f32_tile *t, const float *w) {
    uint32_t table, runs, n, x, y, z;
    const float *biases = w;
    w += 4;
    __asm__ volatile(
        "ldr %[table], [%[t], #0]\n"
        "ldr %[runs], [%[t], #4]\n"
        "mov %[n], #0\n"
        "vmov s0, %[n]\n"
        "vmov.f32 s1, s0\n"
        "vmov.f32 s2, s0\n"
        "vmov.f32 s3, s0\n"
        "1:\n"
        "ldr %[x0], [%[table], #0]\n"
        "ldr %[n], [%[t], #8]\n"
        "adds %[table], %[table], #16\n"
        "cmp %[n], #0\n"
        "beq 3f\n"
        "2:\n"
        "vldmia %[x0]!, {s4-s7}\n"
        "vldmia %[w]!, {s8-s23}\n" F32_ONE("s4", "s8", "s9", "s10", "s11") F32_ONE("s5", "s12", "s13", "s14", "s15")
            F32_ONE("s6", "s16", "s17", "s18", "s19")
                F32_ONE("s7", "s20", "s21", "s22",
                        "s23") "subs %[n], %[n], #1\n"
                               "bne 2b\n"
                               "3:\n"
                               "ldr %[n], [%[t], #12]\n"
                               "cmp %[n], #0\n"
                               "beq 5f\n"
                               "4:\n"
                               "vldmia %[x0]!, {s4}\n"
                               "vldmia %[w]!, {s8-s11}\n" F32_ONE("s4", "s8", "s9", "s10",
                                                                  "s11") "subs %[n], %[n], #1\n"
                                                                         "bne 4b\n"
                                                                         "5:\n"
                                                                         "subs %[runs], %[runs], #1\n"
                                                                         "bne 1b\n"
                                                                         "vldmia %[biases], {s16-s19}\n" F32_ADD_BIASES(
                                                                             "s0", "s1", "s2", "s3") F32_STORE_ONE
        : [w] "+r"(w), [table] "=&r"(table), [runs] "=&r"(runs), [n] "=&l"(n), [x0] "=&r"(x), [x1] "=&r"(y), [x2] "=&r"(z)
        : [t] "r"(t), [biases] "r"(biases)
        : F32_CLOBBERS);
    return w;
}

/* As f32_wide_group for its first position alone. */
static inline __attribute__((always_inline)) const float *f32_wide_single_group(const f32_tile *t, const float *w) {
    uint32_t table, runs, n, x0, x1, x2, x3;
    __asm__ volatile("ldr %[table], [%[t], #0]\n"
                     "ldr %[runs], [%[t], #4]\n"
                     "vldmia %[w]!, {s0-s3}\n"
                     "1:\n"
                     "ldr %[n], [%[t], #8]\n"
                     "ldr %[x3], [%[t], #12]\n"
                     "add %[n], %[x3], %[n], lsl #1\n"
                     "ldr %[x0], [%[table], #0]\n"
                     "ldr %[x1], [%[table], #4]\n"
                     "ldr %[x2], [%[table], #8]\n"
                     "adds %[table], %[table], #24\n"
                     "2:\n"
                     "vldmia %[w]!, {s8-s19}\n"
                     "vldr s4, [%[x0]]\n"
                     "vldr s5, [%[x1]]\n"
                     "vldr s6, [%[x2]]\n"
                     "add %[x0], %[x0], #4\n"
                     "add %[x1], %[x1], #4\n"
                     "add %[x2], %[x2], #4\n" F32_ONE("s4", "s8", "s9", "s10", "s11") F32_ONE("s5", "s12", "s13", "s14", "s15")
                         F32_ONE("s6", "s16", "s17", "s18", "s19") "subs %[n], %[n], #1\n"
                                                                   "bne 2b\n"
                                                                   "subs %[runs], %[runs], #1\n"
                                                                   "bne 1b\n" F32_STORE_ONE
                     : [w] "+r"(w), [table] "=&r"(table), [runs] "=&r"(runs), [n] "=&l"(n), [x0] "=&r"(x0), [x1] "=&r"(x1),
                       [x2] "=&r"(x2), [x3] "=&r"(x3)
                     : [t] "r"(t)
                     : F32_CLOBBERS);
    return w;
}

/* clang-format on */
#else

/* The same in C: what the tests run on the host, and what other cores get. taps: inputs that a position takes of a run's
 * neighbouring columns for each channel. */
static inline const float *f32_group(const f32_tile *t, const float *w, int positions, int taps, uint32_t length) {
    const int columns = taps == 1 ? 4 : 6;
    const float *biases = w;
    float acc[16];
    for (int i = 0; i < 16; i++) acc[i] = taps == 1 ? 0 : biases[i % 4];
    w += 4;
    for (uint32_t r = 0; r < t->runs; r++)
        for (uint32_t n = 0; n < length; n++)
            for (int k = 0; k < taps; k++, w += 4)
                for (int i = 0; i < 4 * positions; i++) acc[i] += t->rows[columns * r + i / 4 + k][n] * w[i % 4];
    for (int i = 0; i < 4 * positions; i++) {
        float v = taps == 1 ? acc[i] + biases[i % 4] : acc[i];
        t->out[i / 4 * t->out_stride + i % 4] = t->relu && !(v > 0) ? 0 : v;
    }
    return w;
}

static inline const float *f32_tile_group(const f32_tile *t, const float *w) {
    return f32_group(t, w, 4, 1, 4 * t->steps + t->ones);
}
static inline const float *f32_wide_group(const f32_tile *t, const float *w) {
    return f32_group(t, w, 4, 3, 2 * t->steps + t->ones);
}
static inline const float *f32_wide_single_group(const f32_tile *t, const float *w) {
    return f32_group(t, w, 1, 3, 2 * t->steps + t->ones);
}
static inline const float *f32_single_group(const f32_tile *t, const float *w) {
    return f32_group(t, w, 1, 1, 4 * t->steps + t->ones);
}

#endif

/* All output channels: the last group may be narrower than four and is then stored through a copy. */
static inline __attribute__((always_inline)) void f32_channels(f32_tile *t, const float *packed, float *out, int32_t out_c,
                                                               const float *(*group)(const f32_tile *, const float *),
                                                               int32_t positions) {
    float last[16];
    t->out = out;
    t->out_stride = out_c;
    for (int32_t left = out_c; left > 0; left -= 4, t->out += 4) {
        float *to = t->out;
        if (left < 4) t->out = last, t->out_stride = 4;
        packed = group(t, packed);
        if (left < 4)
            for (int32_t i = 0; i < 4 * positions; i++)
                if (i % 4 < left) to[i / 4 * out_c + i % 4] = last[i]; /* cppcheck-suppress uninitvar; `group` wrote it */
    }
}

/* sums[c] += the tile's rows from `first` to `end`. Out of line: twice inlined it costs 100 bytes and gains nothing. */
__attribute__((noinline, unused)) static void f32_add_rows(float *sums, const float *rows, int32_t first, int32_t end,
                                                           int32_t out_c) {
    if (first == 0 && end == 4) {
        const float *r1 = rows + out_c, *r2 = r1 + out_c, *r3 = r2 + out_c;
        for (int32_t c = 0; c < out_c; c++) sums[c] += (rows[c] + r1[c]) + (r2[c] + r3[c]);
        return;
    }
    for (int32_t i = first; i < end; i++)
        for (int32_t c = 0; c < out_c; c++) sums[c] += rows[i * out_c + c];
}

/* The tile's table: in the scratch, which is laid out for 32-bit pointers; on a 64-bit host on the stack. */
#if __SIZEOF_POINTER__ == 4
#define F32_TABLE(name, n, scratch) const float **name = (const float **)(scratch)
#else
#define F32_TABLE(name, n, scratch) const float *name[n]
#endif

#endif
