#include "nn_signal.h"

#define NAME(x) nn_##x##_s16
#define DATA int16_t
#define WIDE int32_t
#define PLUS(a, b) ((int32_t)(a) + (b))
#define MINUS(a, b) ((int32_t)(a) - (b))
/* Rounded half up from Q15; a sum of two whole products wraps, as the reference's does. */
#define PRODUCT(sum) (((sum) + (1 << 14)) >> 15)
#define SHRINK(x, k) (((int32_t)(x) * (32767 / (k)) + (1 << 14)) >> 15)
#define HALF(x) ((x) >> 1)
#include "fft.inc"
