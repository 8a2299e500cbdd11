/* f32_depthwise.h: float32 depthwise convolution (multiplier 1) for Cortex-M4F. */
#ifndef F32_DEPTHWISE_H
#define F32_DEPTHWISE_H

#include <stdint.h>

/* A 3x3 kernel of stride 1 or 2, slid along one axis of the image, a channel at a time: every input is read once a line.
 * `along` is the axis slid on, `across` the other; steps are in floats. */
typedef struct {
    int32_t batch, channels;
    int32_t in_along, out_along, pad_along, in_along_step, out_along_step;
    int32_t in_across, out_across, pad_across, in_across_step, out_across_step;
    int32_t in_image, out_image; /* floats of one image */
    int32_t stride;
    uint32_t relu; /* 1 or 0 */
} nn_m4_slide_f32;

/* packed: a channel after the other: bias, then [across 3][along 3] weights. */
void nn_m4_depthwise3_f32(const nn_m4_slide_f32 *p, const float *in, const float *packed, float *out);

#endif
