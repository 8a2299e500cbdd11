/* f32_exp.h: tanh, logistic and softmax in float32 by one short exponential instead of libm's. */
#ifndef F32_EXP_H
#define F32_EXP_H

#include <stdint.h>

/* out may be in. */
void nn_m4_tanh_f32(int32_t n, const float *in, float *out);
void nn_m4_logistic_f32(int32_t n, const float *in, float *out);
void nn_m4_softmax_f32(int32_t rows, int32_t depth, float beta, const float *in, float *out);

#endif
