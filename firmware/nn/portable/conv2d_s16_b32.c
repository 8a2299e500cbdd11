#include "nn.h"
#include "nn_math.h"

/* 16-bit activations with a 32-bit bias (or none): TFLM then accumulates and rounds in 32 bits. Summing in 64 and
 * cutting is the same modulo 2^32. */
#define NAME nn_conv2d_s16_b32
#define PARAMS nn_conv_int
#define DATA int16_t
#define WEIGHT int8_t
#define BIAS int32_t
#define ACC int64_t
#define CENTRE(x) (x)
#define FINISH(acc, c) ((int16_t)nn_finish(&p->q, (int32_t)acc, c))
#include "conv2d.inc"
