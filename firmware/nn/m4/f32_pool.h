/* f32_pool.h: float32 pooling and mean, eight channels at a time; padding is left out of average and maximum. */
#ifndef F32_POOL_H
#define F32_POOL_H

#include "../nn.h"

/* Dilation is 1; the mean over [outer, reduced, inner] is an average over one row of `reduced` columns. */
void nn_m4_average_pool_f32(const nn_window *w, const float *in, float *out);
void nn_m4_max_pool_f32(const nn_window *w, const float *in, float *out);

#endif
