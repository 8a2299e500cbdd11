/* phases.h: a transposed convolution is as many ordinary ones as its strides' product, each of which gives the outputs of one phase:
 * every stride-th row and column. This puts such a map among the others. */
#ifndef M4_PHASES_H
#define M4_PHASES_H

#include "m4/dsp.h"

/* A map of [batch][rows][columns][pixel] bytes; the steps, in bytes, are those of the whole output. */
typedef struct {
    int32_t batch, rows, columns, pixel, batch_step, row_step, column_step;
} m4_phase;

static __attribute__((noinline, noclone, unused)) void m4_phase_put(const m4_phase *p, const uint8_t *map, uint8_t *out) {
    for (int32_t b = 0; b < p->batch; b++, out += p->batch_step) {
        uint8_t *row = out;
        for (int32_t y = 0; y < p->rows; y++, row += p->row_step) {
            uint8_t *d = row;
            for (int32_t x = 0; x < p->columns; x++, d += p->column_step) {
                int32_t i = 0;
                for (; i + 4 <= p->pixel; i += 4, map += 4) m4_store(d + i, m4_load(map));
                for (; i < p->pixel; i++) d[i] = *map++;
            }
        }
    }
}

#endif
