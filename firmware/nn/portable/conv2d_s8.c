#include "nn.h"
#include "nn_math.h"

#define NAME nn_conv2d_s8
#define PARAMS nn_conv_int
#define DATA int8_t
#define WEIGHT int8_t
#define BIAS int32_t
#define ACC int32_t
#define CENTRE(x) ((x)-p->in_zero)
#define FINISH(acc, c) ((int8_t)nn_finish(&p->q, acc, c))
#include "conv2d.inc"
