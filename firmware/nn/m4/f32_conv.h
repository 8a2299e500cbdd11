/* f32_conv.h: float32 convolution for Cortex-M4F, register tiles of 4 positions x 4 channels. */
#ifndef F32_CONV_H
#define F32_CONV_H

#include "../nn.h"

/* gather: tiles that touch the padding (or are dilated in width) are copied together, tap by tap, which suits few input
 * channels (dil_w must be 1); else they are reached tap by tap in place, the padding being a row of zeros.
 * scratch: 16 bytes a tap, then 4 * k_h * k_w * in_c floats (gather) or in_c floats (zeros). */
typedef struct {
    nn_window w;
    uint32_t gather;
    uint32_t relu; /* 1 or 0 */
} nn_m4_conv_f32;

/* A 1x1 convolution of stride 1 without padding, or a dense layer: count vectors of in_c -> out_c. */
typedef struct {
    int32_t count, in_c, out_c;
    uint32_t relu;
} nn_m4_pointwise;

/* packed: a group of 4 output channels after the other: 4 biases, then [k_h][k_w][in_c] times 4 weights; out_c is filled
 * up with zeros to a multiple of 4. in and out don't overlap. */
void nn_m4_conv2d_f32(const nn_m4_conv_f32 *p, const float *in, const float *packed, float *out, void *scratch);
void nn_m4_pointwise_f32(const nn_m4_pointwise *p, const float *in, const float *packed, float *out);

#endif
