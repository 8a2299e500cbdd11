#include "nn.h"

/* A share may leave [0, 1] at the borders. */

void nn_resize_bilinear_f32(const nn_bilinear *p, const uint16_t *rows, const float *down, const uint16_t *columns,
                            const float *across, const float *in, float *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_h * p->in_w * p->channels) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const float *top = in + rows[2 * y] * p->in_w * p->channels;
            const float *bottom = in + rows[2 * y + 1] * p->in_w * p->channels;
            float v = down[y];
            for (int32_t x = 0; x < p->out_w; x++) {
                int32_t l = columns[2 * x] * p->channels, r = columns[2 * x + 1] * p->channels;
                float h = across[x];
                for (int32_t c = 0; c < p->channels; c++) {
                    *out++ = top[l + c] * (1 - v) * (1 - h) + bottom[l + c] * v * (1 - h) + top[r + c] * (1 - v) * h
                             + bottom[r + c] * v * h;
                }
            }
        }
    }
}

/* Shares are in 1/1024; the sum is rounded half away from zero. */
void nn_resize_bilinear_s8(const nn_bilinear *p, const uint16_t *rows, const int16_t *down, const uint16_t *columns,
                           const int16_t *across, const int8_t *in, int8_t *out) {
    const int32_t one = 1 << 10;
    for (int32_t b = 0; b < p->batch; b++, in += p->in_h * p->in_w * p->channels) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const int8_t *top = in + rows[2 * y] * p->in_w * p->channels;
            const int8_t *bottom = in + rows[2 * y + 1] * p->in_w * p->channels;
            int32_t v = down[y];
            for (int32_t x = 0; x < p->out_w; x++) {
                int32_t l = columns[2 * x] * p->channels, r = columns[2 * x + 1] * p->channels;
                int32_t h = across[x];
                for (int32_t c = 0; c < p->channels; c++) {
                    int32_t sum = top[l + c] * (one - v) * (one - h) + bottom[l + c] * v * (one - h) + top[r + c] * (one - v) * h
                                  + bottom[r + c] * v * h;
                    *out++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
                }
            }
        }
    }
}
