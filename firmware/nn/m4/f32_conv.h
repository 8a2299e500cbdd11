/* f32_conv.h: float32 convolution for Cortex-M4F, register tiles of 4 positions x 4 channels. */
#ifndef F32_CONV_H
#define F32_CONV_H

#include "../nn.h"

/* gather: tiles that touch the padding (or are dilated in width) are copied together, tap by tap, which suits few input
 * channels (dil_w must be 1); else they are reached tap by tap in place, the padding being a row of zeros.
 * extra: floats for that: 4 * k_h * k_w * in_c (gather), in_c (padding) or 0. mean: the output is the mean over all
 * positions instead, [out_c] (batch must be 1).
 * scratch: 16 bytes a tap (wide: 24 a kernel row), then `extra` floats, then 4 * out_c floats with `mean`. */
typedef struct {
    nn_window w;
    uint32_t gather;
    int32_t extra;
    uint32_t relu, mean; /* 1 or 0 */
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

/* The same a vector at a time: less code, for one or two vectors (f32_dense.c). */
void nn_m4_dense_f32(const nn_m4_pointwise *p, const float *in, const float *packed, float *out);

/* Three taps in a row at stride 1, undilated in width, at least 4 outputs a row (f32_wide.c); packed [k_h][in_c][3]. */
void nn_m4_conv2d_wide_f32(const nn_m4_conv_f32 *p, const float *in, const float *packed, float *out, void *scratch);

#endif
