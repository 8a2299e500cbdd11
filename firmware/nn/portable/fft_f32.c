#include "nn_signal.h"

#define NAME(x) nn_##x##_f32
#define DATA float
#define WIDE float
#define PLUS(a, b) ((a) + (b))
#define MINUS(a, b) ((a) - (b))
#define PRODUCT(sum) (sum)
#define SHRINK(x, k) ((void)(k), (x))
#define HALF(x) ((x)*0.5f)
#define BACK(x, n) ((x) / (float)(n))
#include "fft.inc"
