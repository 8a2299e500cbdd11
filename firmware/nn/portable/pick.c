#include <string.h>

#include "nn.h"

/* A row that does not exist gives zeros. */
void nn_gather(const nn_pick *p, const uint8_t *in, const int32_t *picks, uint8_t *out) {
    for (int32_t o = 0; o < p->outer; o++, in += p->rows * p->row_bytes) {
        for (int32_t i = 0; i < p->picks; i++, out += p->row_bytes) {
            if (picks[i] >= 0 && picks[i] < p->rows) {
                memcpy(out, in + picks[i] * p->row_bytes, (size_t)p->row_bytes);
            } else {
                memset(out, 0, (size_t)p->row_bytes);
            }
        }
    }
}

void nn_gather_nd(const nn_pick_nd *p, const uint8_t *in, const int32_t *picks, uint8_t *out) {
    for (int32_t i = 0; i < p->picks; i++, out += p->row_bytes) {
        int32_t row = 0, inside = 1;
        for (int32_t d = 0; d < p->depth; d++) {
            int32_t at = *picks++;
            inside = inside && at >= 0 && at < p->size[d];
            row = inside ? row * p->size[d] + at : 0;
        }
        if (inside) {
            memcpy(out, in + row * p->row_bytes, (size_t)p->row_bytes);
        } else {
            memset(out, 0, (size_t)p->row_bytes);
        }
    }
}

void nn_lookup_s8_f32(const nn_pick *p, float scale, const int8_t *in, const int32_t *picks, float *out) {
    for (int32_t i = 0; i < p->picks; i++) {
        for (int32_t k = 0; k < p->row_bytes; k++) {
            *out++ = picks[i] >= 0 && picks[i] < p->rows ? scale * (float)in[picks[i] * p->row_bytes + k] : 0;
        }
    }
}

static int32_t start_of(const nn_update *p, int32_t d, int64_t start) {
    int64_t most = p->size[d] - p->part[d];
    return (int32_t)(start < 0 ? 0 : start > most ? most : start);
}

/* `out` holds the operand already, or gets it here. */
static void update(const nn_update *p, const int32_t *starts, const uint8_t *in, const uint8_t *part, uint8_t *out) {
    int32_t step[NN_BROADCAST_RANK], at[NN_BROADCAST_RANK] = {0}, bytes = p->bytes;
    if (in != out) {
        memcpy(out, in, (size_t)p->total_bytes);
    }
    for (int32_t d = NN_BROADCAST_RANK - 1; d >= 0; bytes *= p->size[d], d--) {
        step[d] = bytes;
        out += starts[d] * bytes;
    }
    int32_t run = p->part[NN_BROADCAST_RANK - 1] * p->bytes;
    for (;;) {
        memcpy(out, part, (size_t)run);
        part += run;
        int32_t d = NN_BROADCAST_RANK - 2;
        for (; d >= 0; d--) {
            out += step[d];
            if (++at[d] < p->part[d]) {
                break;
            }
            out -= p->part[d] * step[d];
            at[d] = 0;
        }
        if (d < 0) {
            return;
        }
    }
}

#define UPDATE(NAME, INDEX)                                                                                    \
    void NAME(const nn_update *p, const uint8_t *in, const uint8_t *part, const INDEX *starts, uint8_t *out) { \
        int32_t from[NN_BROADCAST_RANK];                                                                       \
        for (int32_t d = 0; d < NN_BROADCAST_RANK; d++) {                                                      \
            int32_t behind = d - (NN_BROADCAST_RANK - p->rank);                                                \
            from[d] = behind < 0 ? 0 : start_of(p, d, starts[behind]);                                         \
        }                                                                                                      \
        update(p, from, in, part, out);                                                                        \
    }

UPDATE(nn_update_slice_s32, int32_t)
UPDATE(nn_update_slice_s64, int64_t)
