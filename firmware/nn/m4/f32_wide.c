/* f32_wide.c: float32 convolution with three taps in a row at stride 1: neighbouring positions share their columns. */
#include "f32_conv.h"
#include "f32_tile.h"

/* The six columns of positions (oy, ox) to (oy, ox + 3), for each kernel row. */
static void columns_of(const nn_window *w, const float *image, const float *zeros, int32_t oy, int32_t ox, const float **rows) {
    int32_t left = ox - w->pad_left;
    for (int32_t ky = 0; ky < w->k_h; ky++) {
        int32_t y = oy * w->stride_h - w->pad_top + ky * w->dil_h;
        int32_t width = (uint32_t)y < (uint32_t)w->in_h ? w->in_w : 0;
        for (int32_t x = left; x < left + 6; x++)
            *rows++ = (uint32_t)x < (uint32_t)width ? image + (y * w->in_w + x) * w->in_c : zeros;
    }
}

void nn_m4_conv2d_wide_f32(const nn_m4_conv_f32 *p, const float *in, const float *packed, float *out, void *scratch) {
    const nn_window *w = &p->w;
    F32_TABLE(rows, 6 * w->k_h, scratch);
    float *zeros = (float *)scratch + 6 * w->k_h, *tile = zeros + p->extra;
    int32_t lines = w->batch * w->out_h;
    for (int32_t i = 0; i < p->extra; i++) zeros[i] = 0;
    for (int32_t c = 0; p->mean && c < w->out_c; c++) out[c] = 0;
    f32_tile t = {
        .rows = rows, .runs = (uint32_t)w->k_h, .steps = (uint32_t)w->in_c / 2, .ones = (uint32_t)w->in_c % 2, .relu = p->relu};
    for (int32_t line = 0, oy = 0; line < lines; line++) {
        for (int32_t ox = 0, n; ox < w->out_w; ox += n) {
            int32_t again = w->out_w - ox == 3; /* one position again costs less than three singly */
            ox -= again;
            n = w->out_w - ox < 4 ? 1 : 4;
            columns_of(w, in, zeros, oy, ox, rows);
            float *to = p->mean ? tile : out + (line * w->out_w + ox) * w->out_c;
            if (n == 4)
                f32_channels(&t, packed, to, w->out_c, f32_wide_group, 4);
            else
                f32_channels(&t, packed, to, w->out_c, f32_wide_single_group, 1);
            if (p->mean) f32_add_rows(out, tile, again, n, w->out_c);
        }
        if (++oy == w->out_h) oy = 0, in += w->in_h * w->in_w * w->in_c;
    }
    for (int32_t c = 0; p->mean && c < w->out_c; c++) out[c] /= (float)(lines * w->out_w);
}
