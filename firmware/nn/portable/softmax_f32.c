#include <math.h>

#include "nn.h"

void nn_softmax_f32(int32_t rows, int32_t depth, float beta, const float *in, float *out) {
    for (int32_t r = 0; r < rows; r++, in += depth, out += depth) {
        float top = in[0], sum = 0;
        for (int32_t i = 1; i < depth; i++) {
            top = in[i] > top ? in[i] : top;
        }
        for (int32_t i = 0; i < depth; i++) {
            out[i] = expf((in[i] - top) * beta);
            sum += out[i];
        }
        for (int32_t i = 0; i < depth; i++) {
            out[i] /= sum;
        }
    }
}
