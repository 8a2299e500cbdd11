/* f32_winograd.h: 3x3 float32 convolution of stride 1 by Winograd's F(2x2, 3x3): 16 products instead of 36 for four outputs.
 *
 * Method: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), section 4.1. */
#ifndef F32_WINOGRAD_H
#define F32_WINOGRAD_H

#include "../nn.h"

typedef struct {
    nn_window w;
    uint32_t relu; /* 1 or 0 */
} nn_m4_winograd_f32;

/* packed: [group of 4 output channels][16][1 + in_c][4]: transformed weights; the first of the 1 + in_c are the biases for
 * element 5, which reaches all four outputs, and zeros for the others. out_c is filled up with zeros to a multiple of 4.
 * scratch: 81 * in_c + 256 floats. in and out don't overlap. */
void nn_m4_winograd_f32_3x3(const nn_m4_winograd_f32 *p, const float *in, const float *packed, float *out, float *scratch);

#endif
