#include "nn.h"
#include "nn_math.h"

/* Floats with weights stored as int8: the bias is in steps of the output's scale. */
#define NAME nn_dense_w8
#define PARAMS nn_dense_w8_shape
#define DATA float
#define WEIGHT int8_t
#define BIAS float
#define ACC float
#define CENTRE(x) (x)
#define FINISH(acc, c) nn_clamp_f32((acc)*p->scale[c], p->min, p->max)
#define WEIGHT_CENTRE(w) (w)
#include "dense.inc"
