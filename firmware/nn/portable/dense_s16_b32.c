#include "nn.h"
#include "nn_math.h"

/* With a 32-bit bias TFLM sums and rounds in 32 bits: see conv2d_s16_b32.c. */
#define NAME nn_dense_s16_b32
#define PARAMS nn_dense_int
#define DATA int16_t
#define WEIGHT int8_t
#define BIAS int32_t
#define ACC int64_t
#define CENTRE(x) (x)
#define FINISH(acc, c) ((int16_t)nn_finish(&p->q, (int32_t)acc, c))
#define WEIGHT_CENTRE(w) ((w)-p->weight_zero)
#include "dense.inc"
