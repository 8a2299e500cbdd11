/* f32_conv.c: float32 convolution: finds each tile's inputs, then runs the register tile over all output channels. */
#include "f32_conv.h"

#include "f32_tile.h"

/* Walks the output positions; y and x are those of the first tap in the input, negative in the padding. */
typedef struct {
    int32_t oy, ox;
    int32_t y, x;
    int32_t image; /* start of the batch's image, in floats */
} f32_cursor;

typedef struct {
    int32_t y, x;
    int32_t offset; /* of the first tap from the input's start, in floats */
} f32_position;

static inline __attribute__((always_inline)) void set_cursor(const nn_window *w, int32_t index, f32_cursor *at) {
    int32_t row = index / w->out_w, b = row / w->out_h;
    at->ox = index - row * w->out_w;
    at->oy = row - b * w->out_h;
    at->y = at->oy * w->stride_h - w->pad_top;
    at->x = at->ox * w->stride_w - w->pad_left;
    at->image = b * w->in_h * w->in_w * w->in_c;
}

static inline void advance(const nn_window *w, f32_cursor *at) {
    at->x += w->stride_w;
    if (++at->ox < w->out_w) return;
    at->ox = 0;
    at->x = -w->pad_left;
    at->y += w->stride_h;
    if (++at->oy < w->out_h) return;
    at->oy = 0;
    at->y = -w->pad_top;
    at->image += w->in_h * w->in_w * w->in_c;
}

/* In place, a run of k_w * in_c inputs a kernel row. */
static const float **rows_of(const nn_window *w, const float *in, const f32_position *at, const float **rows) {
    int32_t step = w->dil_h * w->in_w * w->in_c;
    for (int32_t ky = 0; ky < w->k_h; ky++, in += step, rows += 4) {
        rows[0] = in + at[0].offset;
        rows[1] = in + at[1].offset;
        rows[2] = in + at[2].offset;
        rows[3] = in + at[3].offset;
    }
    return rows;
}

/* In place, a run of in_c inputs a tap. */
static const float **taps_of(const nn_window *w, const float *in, const float *zeros, const f32_position *at,
                             const float **rows) {
    for (int32_t dy = 0; dy < w->k_h * w->dil_h; dy += w->dil_h)
        for (int32_t dx = 0; dx < w->k_w * w->dil_w; dx += w->dil_w)
            for (int32_t i = 0; i < 4; i++) {
                int inside = (uint32_t)(at[i].y + dy) < (uint32_t)w->in_h && (uint32_t)(at[i].x + dx) < (uint32_t)w->in_w;
                *rows++ = inside ? in + (at[i].offset + (dy * w->in_w + dx) * w->in_c) : zeros;
            }
    return rows;
}

/* Copied: one run of k_h * k_w * in_c inputs a position. */
static const float **gather(const nn_window *w, const float *in, float *to, const f32_position *at, const float **rows) {
    int32_t width = w->in_w * w->in_c, length = w->k_w * w->in_c;
    for (int32_t i = 0; i < 4; i++) {
        *rows++ = to;
        int32_t x = at[i].x * w->in_c;
        for (int32_t ky = 0; ky < w->k_h; ky++) {
            int32_t dy = ky * w->dil_h;
            int32_t limit = (uint32_t)(at[i].y + dy) < (uint32_t)w->in_h ? width : 0;
            const float *from = in + (at[i].offset + dy * width);
            for (int32_t k = 0; k < length; k++, to++) *to = (uint32_t)(x + k) < (uint32_t)limit ? from[k] : 0;
        }
    }
    return rows;
}

static void set_runs(f32_tile *t, const float **end, int32_t length) {
    t->runs = (uint32_t)(end - t->rows) / 4;
    t->steps = (uint32_t)length / 4;
    t->ones = (uint32_t)length % 4;
}

static void run_channels(f32_tile *t, const float *packed, float *out, int32_t out_c, int32_t positions) {
    if (positions == 4)
        f32_channels(t, packed, out, out_c, f32_tile_group, 4);
    else
        f32_channels(t, packed, out, out_c, f32_single_group, 1);
}

/* Reads 4 positions from the cursor on, or 1 (four times): are all their taps inside, and each kernel row one run? */
static int take(const nn_window *w, f32_cursor *next, int32_t positions, f32_position *at) {
    int32_t free_h = w->in_h - (w->k_h - 1) * w->dil_h, free_w = w->in_w - (w->k_w - 1) * w->dil_w;
    int inside = w->dil_w == 1;
    for (int32_t i = 0; i < 4; i++) {
        if (i >= positions) {
            at[i] = at[0];
            continue;
        }
        at[i].y = next->y;
        at[i].x = next->x;
        at[i].offset = next->image + (next->y * w->in_w + next->x) * w->in_c;
        inside &= next->y >= 0 && next->y < free_h && next->x >= 0 && next->x < free_w;
        advance(w, next);
    }
    return inside;
}

static void find_runs(const nn_m4_conv_f32 *p, const float *in, f32_cursor *next, int32_t positions, float *extra, f32_tile *t) {
    const nn_window *w = &p->w;
    /* The caller's own table, which only readers take as const; one more argument would cost 8 bytes of stack and code. */
    const float **rows = (const float **)(uintptr_t)t->rows;
    f32_position at[4];
    if (take(w, next, positions, at))
        set_runs(t, rows_of(w, in, at, rows), w->k_w * w->in_c);
    else if (p->gather)
        set_runs(t, gather(w, in, extra, at, rows), w->k_h * w->k_w * w->in_c);
    else
        set_runs(t, taps_of(w, in, extra, at, rows), w->in_c);
}

void nn_m4_conv2d_f32(const nn_m4_conv_f32 *p, const float *in, const float *packed, float *out, void *scratch) {
    const nn_window *w = &p->w;
    int32_t taps = w->k_h * w->k_w;
    F32_TABLE(rows, 4 * taps, scratch);
    float *extra = (float *)scratch + 4 * taps, *tile = extra + p->extra;
    int32_t count = w->batch * w->out_h * w->out_w;
    for (int32_t i = 0; i < p->extra; i++) extra[i] = 0;
    for (int32_t c = 0; p->mean && c < w->out_c; c++) out[c] = 0;
    f32_tile t = {.rows = rows, .relu = p->relu};
    f32_cursor next;
    set_cursor(w, 0, &next);
    for (int32_t first = 0, n; first < count; first += n) {
        int32_t again = count - first == 3 && count > 3; /* one position again costs less than three singly */
        if (again) set_cursor(w, --first, &next);
        n = count - first < 4 ? 1 : 4;
        find_runs(p, in, &next, n, extra, &t);
        run_channels(&t, packed, p->mean ? tile : out + first * w->out_c, w->out_c, n);
        if (p->mean) f32_add_rows(out, tile, again, n, w->out_c);
    }
    for (int32_t c = 0; p->mean && c < w->out_c; c++) out[c] /= (float)count;
}

void nn_m4_pointwise_f32(const nn_m4_pointwise *p, const float *in, const float *packed, float *out) {
    const float *rows[4];
    f32_tile t = {.rows = rows, .relu = p->relu};
    set_runs(&t, rows + 4, p->in_c);
    for (int32_t first = 0, n; first < p->count; first += n) {
        if (p->count - first == 3 && p->count > 3) first--;
        n = p->count - first < 4 ? 1 : 4;
        rows[0] = in + first * p->in_c;
        for (int i = 1; i < 4; i++) rows[i] = rows[i - 1] + p->in_c;
        run_channels(&t, packed, out + first * p->out_c, p->out_c, n);
    }
}
