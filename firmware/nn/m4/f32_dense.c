/* f32_dense.c: a float32 dense layer, vector by vector. */
#include "f32_conv.h"
#include "f32_tile.h"

void nn_m4_dense_f32(const nn_m4_pointwise *p, const float *in, const float *packed, float *out) {
    const float *row[1];
    f32_tile t = {.rows = row, .runs = 1, .steps = (uint32_t)p->in_c / 4, .ones = (uint32_t)p->in_c % 4, .relu = p->relu};
    for (int32_t i = 0; i < p->count; i++, in += p->in_c, out += p->out_c) {
        row[0] = in;
        f32_channels(&t, packed, out, p->out_c, f32_single_group, 1);
    }
}
