#include "nn_signal.h"

#define NAME(x) nn_##x##_s32
#define DATA int32_t
#define WIDE int64_t
/* Sums of whole values wrap, as the reference's do. */
#define PLUS(a, b) ((int32_t)((uint32_t)(a) + (uint32_t)(b)))
#define MINUS(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)))
#define PRODUCT(sum) (((sum) + ((int64_t)1 << 30)) >> 31)
#define SHRINK(x, k) (((int64_t)(x) * (INT32_MAX / (k)) + ((int64_t)1 << 30)) >> 31)
#define HALF(x) ((x) >> 1)
#include "fft.inc"
