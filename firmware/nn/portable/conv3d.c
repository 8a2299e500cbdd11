#include "nn_litert.h"
#include "nn_math.h"

/* One value of the output: taps outside the input are left out. `at`: where the filter's first tap lies. */
static float volume(const nn_conv3d *p, const float *in, const float *weights, const int32_t *at, int32_t c) {
    float sum = 0;
    for (int32_t kd = 0; kd < p->taps[0]; kd++) {
        for (int32_t kh = 0; kh < p->taps[1]; kh++) {
            for (int32_t kw = 0; kw < p->taps[2]; kw++, weights += p->in_c * p->out_c) {
                int32_t d = at[0] + kd * p->dilation[0], h = at[1] + kh * p->dilation[1], w = at[2] + kw * p->dilation[2];
                if (d < 0 || d >= p->in[0] || h < 0 || h >= p->in[1] || w < 0 || w >= p->in[2]) {
                    continue;
                }
                const float *x = in + ((d * p->in[1] + h) * p->in[2] + w) * p->in_c;
                for (int32_t i = 0; i < p->in_c; i++) {
                    sum += x[i] * weights[i * p->out_c + c];
                }
            }
        }
    }
    return sum;
}

void nn_conv3d_f32(const nn_conv3d *p, const float *in, const float *weights, const float *bias, float *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in[0] * p->in[1] * p->in[2] * p->in_c) {
        for (int32_t i = 0; i < p->out[0] * p->out[1] * p->out[2]; i++) {
            int32_t place[3] = {i / (p->out[1] * p->out[2]), i / p->out[2] % p->out[1], i % p->out[2]}, at[3];
            for (int32_t d = 0; d < 3; d++) {
                at[d] = place[d] * p->stride[d] - p->pad[d];
            }
            for (int32_t c = 0; c < p->out_c; c++) {
                *out++ = nn_clamp_f32(volume(p, in, weights, at, c) + bias[c], p->min, p->max);
            }
        }
    }
}
