#include <string.h>

#include "nn_math.h"
#include "nn_signal.h"

static inline void copy(int16_t *to, const int16_t *from, int32_t n) { memmove(to, from, (size_t)n * sizeof *to); }

void nn_signal_framer(const nn_frames *p, const int16_t *in, int16_t *samples, int32_t *count, int16_t *out, uint8_t *whole) {
    int32_t begin = *count;
    *whole = 1;
    for (int32_t row = 0; row < p->rows; row++, samples += p->room) {
        *count = begin;
        for (int32_t frame = 0; frame < p->frames; frame++, in += p->step, out += p->size) {
            int32_t n = p->start + *count;
            copy(samples + n, in, p->step);
            n += p->step;
            if (n < p->size) {
                memset(out, 0, (size_t)p->size * sizeof *out);
                *whole = 0;
            } else {
                copy(out, samples, p->size);
                n -= p->step;
                copy(samples, samples + p->step, n);
            }
            *count = n - p->start;
        }
    }
}

#define OVERLAP(NAME, DATA, SUM)                                                   \
    void NAME(const nn_frames *p, const DATA *in, DATA *overlap, DATA *out) {      \
        for (int32_t row = 0; row < p->rows; row++, overlap += p->size) {          \
            for (int32_t frame = 0; frame < p->frames; frame++, in += p->size) {   \
                for (int32_t i = 0; i < p->size; i++) {                            \
                    overlap[i] = SUM;                                              \
                }                                                                  \
                for (int32_t i = 0; i < p->size; i++) {                            \
                    if (i < p->step) {                                             \
                        *out++ = overlap[i];                                       \
                    }                                                              \
                    overlap[i] = i + p->step < p->size ? overlap[i + p->step] : 0; \
                }                                                                  \
            }                                                                      \
        }                                                                          \
    }

OVERLAP(nn_signal_overlap_s16, int16_t, (int16_t)nn_clamp(in[i] + overlap[i], INT16_MIN, INT16_MAX))
OVERLAP(nn_signal_overlap_f32, float, overlap[i] + in[i])

void nn_signal_stacker(const nn_stack *p, const int16_t *in, int16_t *inputs, int32_t *count, int16_t *out, uint8_t *whole) {
    int32_t times = count[1] ? 1 : 1 + p->left;
    for (; times > 0; times--) {
        copy(inputs + count[0]++ * p->channels, in, p->channels);
    }
    count[1] = 1;
    *whole = count[0] >= p->room;
    if (*whole) {
        copy(out, inputs, p->room * p->channels);
        count[0] -= p->step;
        copy(inputs, inputs + p->step * p->channels, count[0] * p->channels);
    } else {
        memset(out, 0, (size_t)(p->room * p->channels) * sizeof *out);
    }
}

void nn_signal_delay(int32_t rows, int32_t n, int32_t length, const int16_t *in, int16_t *delayed, int16_t *out) {
    for (int32_t row = 0; row < rows; row++, in += n, out += n, delayed += length) {
        int32_t old = length < n ? length : n;
        copy(out, delayed, old);
        copy(out + old, in, n - old);
        copy(delayed, delayed + old, length - old);
        copy(delayed + length - old, in + n - old, old);
    }
}
