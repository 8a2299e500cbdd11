/* f32_add.h: float32 addition of two tensors of one shape; out may be a or b. */
#ifndef F32_ADD_H
#define F32_ADD_H

#include <stdint.h>

void nn_m4_add_f32(int32_t n, uint32_t relu, const float *a, const float *b, float *out);

#endif
