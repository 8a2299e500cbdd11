#include <string.h>

#include "nn.h"

void nn_resize_nearest(const nn_resize *p, const uint16_t *rows, const uint16_t *columns, const uint8_t *in, uint8_t *out) {
    for (int32_t b = 0; b < p->batch; b++, in += p->in_h * p->in_w * p->pixel_bytes) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const uint8_t *row = in + rows[y] * p->in_w * p->pixel_bytes;
            for (int32_t x = 0; x < p->out_w; x++, out += p->pixel_bytes) {
                memcpy(out, row + columns[x] * p->pixel_bytes, (size_t)p->pixel_bytes);
            }
        }
    }
}
