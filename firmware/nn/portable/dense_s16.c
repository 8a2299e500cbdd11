#include "nn.h"
#include "nn_math.h"

/* 16-bit activations have zero point 0. */
#define NAME nn_dense_s16
#define PARAMS nn_dense_int
#define DATA int16_t
#define WEIGHT int8_t
#define BIAS int64_t
#define ACC int64_t
#define CENTRE(x) (x)
#define FINISH(acc, c) ((int16_t)nn_finish_64(&p->q, acc, c))
#define WEIGHT_CENTRE(w) ((w)-p->weight_zero)
#include "dense.inc"
