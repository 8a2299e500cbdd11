#include "nn.h"
#include "nn_math.h"

#define NAME nn_conv2d_f32
#define PARAMS nn_conv_float
#define DATA float
#define WEIGHT float
#define BIAS float
#define ACC float
#define CENTRE(x) (x)
#define FINISH(acc, c) nn_clamp_f32(acc, p->min, p->max)
#include "conv2d.inc"
