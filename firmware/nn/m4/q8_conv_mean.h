/* q8_conv_mean.h: a convolution and the mean over its map in one pass; the map is never stored. Scratch begins with a sum
 * for each channel. The mean is requantised as nn_mean_s8 does it. */
#ifndef M4_Q8_CONV_MEAN_H
#define M4_Q8_CONV_MEAN_H

#include "m4/q8_conv.h"
#include "nn_math.h"

typedef struct {
    q8_conv_shape conv;
    int32_t in_zero, out_zero, multiplier, shift;
} q8_conv_mean_shape;

M4_INLINE int32_t *q8_clear_sums(const q8_conv_mean_shape *s, uint8_t *scratch) {
    int32_t *sums = (int32_t *)(void *)scratch;
    for (int32_t c = 0; c < s->conv.out_c; c++) sums[c] = 0;
    return sums;
}

M4_INLINE void q8_mean_of_sums(const q8_conv_mean_shape *s, const int32_t *sums, int8_t *out) {
    const int32_t offset = s->conv.out_h * s->conv.out_w * s->in_zero;
    for (int32_t c = 0; c < s->conv.out_c; c++)
        out[c] = (int8_t)m4_ssat8(nn_requantize(sums[c] - offset, s->multiplier, s->shift) + s->out_zero);
}

M4_INLINE void q8_conv_mean_slide(const q8_conv_mean_shape *s, const q8_channels *d, const int8_t *in, int8_t *out,
                                  uint8_t *scratch) {
    int32_t *sums = q8_clear_sums(s, scratch);
    q8_slide(&s->conv, d, in, (q8_target){0, sums}, scratch + 4 * s->conv.out_c);
    q8_mean_of_sums(s, sums, out);
}

M4_INLINE void q8_conv_mean_patch(const q8_conv_mean_shape *s, const q8_channels *d, const int8_t *in, int8_t *out,
                                  uint8_t *scratch) {
    int32_t *sums = q8_clear_sums(s, scratch);
    q8_patch(&s->conv, d, in, (q8_target){0, sums}, scratch + 4 * s->conv.out_c);
    q8_mean_of_sums(s, sums, out);
}

#endif
