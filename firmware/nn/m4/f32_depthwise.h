/* f32_depthwise.h: float32 depthwise convolution for Cortex-M4F. */
#ifndef F32_DEPTHWISE_H
#define F32_DEPTHWISE_H

#include "../nn.h"

/* A 3x3 kernel of stride 1 and multiplier 1, slid along one axis of the image, a channel and two lines of outputs at a time.
 * `along` is the axis slid on, `across` the other; paddings 0 or 1; steps are in floats. */
typedef struct {
    int32_t batch, channels;
    int32_t in_along, out_along, pad_along, in_along_step, out_along_step;
    int32_t in_across, out_across, pad_across, in_across_step, out_across_step;
    int32_t in_image, out_image; /* floats of one image */
    uint32_t relu;               /* 1 or 0 */
} nn_m4_slide_f32;

/* packed: a channel after the other: bias, then [across 3][along 3] weights. */
void nn_m4_depthwise_slide_f32(const nn_m4_slide_f32 *p, const float *in, const float *packed, float *out);

/* Any kernel, stride, dilation, padding and multiplier. */
typedef struct {
    nn_window w;
    int32_t multiplier; /* output channels of an input channel */
    uint32_t relu;
} nn_m4_taps_f32;

/* packed: weights [k_h][k_w][out_c], then the biases; scratch: 8 bytes a tap. */
void nn_m4_depthwise_taps_f32(const nn_m4_taps_f32 *p, const float *in, const float *packed, float *out, float *scratch);

#endif
