#include <float.h>
#include <string.h>

#include "nn_litert.h"

/* Sorted in as they come: of equal values the first stays in front. */
#define TOP_K(NAME, DATA)                                                                \
    void NAME(const nn_top_k_shape *p, const DATA *in, DATA *out, int32_t *places) {     \
        for (int32_t r = 0; r < p->rows; r++, in += p->n, out += p->k, places += p->k) { \
            for (int32_t i = 0; i < p->n; i++) {                                         \
                int32_t at = i < p->k ? i : p->k;                                        \
                for (; at > 0 && in[i] > out[at - 1]; at--) {                            \
                    if (at < p->k) {                                                     \
                        out[at] = out[at - 1];                                           \
                        places[at] = places[at - 1];                                     \
                    }                                                                    \
                }                                                                        \
                if (at < p->k) {                                                         \
                    out[at] = in[i];                                                     \
                    places[at] = i;                                                      \
                }                                                                        \
            }                                                                            \
        }                                                                                \
    }

TOP_K(nn_top_k_f32, float)
TOP_K(nn_top_k_s8, int8_t)
TOP_K(nn_top_k_s16, int16_t)
TOP_K(nn_top_k_s32, int32_t)

/* The row that an index names, -1 outside. */
static int32_t row_of(const nn_scatter *p, const int32_t *at) {
    int32_t row = 0;
    for (int32_t d = 0; d < p->depth; d++) {
        if (at[d] < 0 || at[d] >= p->size[d]) {
            return -1;
        }
        row = row * p->size[d] + at[d];
    }
    return row;
}

#define SCATTER(NAME, DATA, WIDE)                                                            \
    void NAME(const nn_scatter *p, const int32_t *places, const DATA *rows, DATA *out) {     \
        memset(out, 0, (size_t)p->total * sizeof(DATA));                                     \
        for (int32_t i = 0; i < p->count; i++, places += p->depth, rows += p->row) {         \
            int32_t row = row_of(p, places);                                                 \
            for (int32_t k = 0; row >= 0 && k < p->row; k++) {                               \
                out[row * p->row + k] = (DATA)((WIDE)out[row * p->row + k] + (WIDE)rows[k]); \
            }                                                                                \
        }                                                                                    \
    }

SCATTER(nn_scatter_nd_f32, float, float)
SCATTER(nn_scatter_nd_s32, int32_t, uint32_t)
SCATTER(nn_scatter_nd_s8, int8_t, int32_t)

#define SEGMENTS(NAME, DATA, FIRST, JOINED)                                               \
    void NAME(const nn_segments *p, const DATA *in, const int32_t *ids, DATA *out) {      \
        for (int32_t i = 0; i < p->segments * p->row; i++) {                              \
            out[i] = FIRST;                                                               \
        }                                                                                 \
        for (int32_t r = 0; r < p->rows; r++, in += p->row) {                             \
            for (int32_t k = 0; ids[r] >= 0 && ids[r] < p->segments && k < p->row; k++) { \
                DATA a = out[ids[r] * p->row + k], b = in[k];                             \
                out[ids[r] * p->row + k] = (DATA)(JOINED);                                \
            }                                                                             \
        }                                                                                 \
    }

SEGMENTS(nn_segment_sum_f32, float, 0, a + b)
SEGMENTS(nn_segment_sum_s32, int32_t, 0, (uint32_t)a + (uint32_t)b)
SEGMENTS(nn_segment_prod_f32, float, 1, a *b)
SEGMENTS(nn_segment_prod_s32, int32_t, 1, (uint32_t)a *(uint32_t)b)
SEGMENTS(nn_segment_max_f32, float, -FLT_MAX, b > a ? b : a)
SEGMENTS(nn_segment_max_s32, int32_t, INT32_MIN, b > a ? b : a)
SEGMENTS(nn_segment_min_f32, float, FLT_MAX, b < a ? b : a)
SEGMENTS(nn_segment_min_s32, int32_t, INT32_MAX, b < a ? b : a)

#define REVERSE_SEQUENCE(NAME, LENGTH)                                                                 \
    void NAME(const nn_reversal *p, const uint8_t *in, const LENGTH *lengths, uint8_t *out) {          \
        int32_t step = p->middle * p->second; /* in elements, of the first dimension */                \
        for (int32_t o = 0; o < p->outer; o++, in += p->first * step * p->bytes) {                     \
            for (int32_t i = 0; i < p->first; i++) {                                                   \
                for (int32_t m = 0; m < p->middle; m++) {                                              \
                    for (int32_t j = 0; j < p->second; j++, out += p->bytes) {                         \
                        LENGTH n = lengths[p->time_first ? j : i];                                     \
                        int32_t time = p->time_first ? i : j;                                          \
                        int32_t from = time < n ? (int32_t)n - 1 - time : time;                        \
                        int32_t a = p->time_first ? from : i, b = p->time_first ? j : from;            \
                        memcpy(out, in + (a * step + m * p->second + b) * p->bytes, (size_t)p->bytes); \
                    }                                                                                  \
                }                                                                                      \
            }                                                                                          \
        }                                                                                              \
    }

REVERSE_SEQUENCE(nn_reverse_sequence_s32, int32_t)
REVERSE_SEQUENCE(nn_reverse_sequence_s64, int64_t)
