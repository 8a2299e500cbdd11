/* f32_add.c: four elements a round: loads, sums and stores in runs. */
#include "f32_add.h"

#include "f32_bits.h"

void nn_m4_add_f32(int32_t n, uint32_t relu, const float *a, const float *b, float *out) {
    const int32_t mask = -(int32_t)relu;
    for (; n >= 4; n -= 4, a += 4, b += 4, out += 4) {
        float v0 = a[0] + b[0], v1 = a[1] + b[1], v2 = a[2] + b[2], v3 = a[3] + b[3];
        out[0] = f32_rectify(v0, mask);
        out[1] = f32_rectify(v1, mask);
        out[2] = f32_rectify(v2, mask);
        out[3] = f32_rectify(v3, mask);
    }
    for (; n > 0; n--) *out++ = f32_rectify(*a++ + *b++, mask);
}
