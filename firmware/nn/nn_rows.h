/* nn_rows.h: rows of a map that are kept while a chain of layers goes row by row. */
#ifndef NN_ROWS_H
#define NN_ROWS_H

#include <stdint.h>
#include <string.h>

static inline int32_t nn_least(int32_t a, int32_t b) { return a < b ? a : b; }

/* Of `size` bytes at `rows` the first `gone` are dropped, the others move to the front. Four at a time, because the memmove of a
 * small C library takes single bytes. */
static inline void nn_drop_rows(uint8_t *rows, int32_t gone, int32_t size) {
    const int32_t kept = size - gone;
    int32_t i = 0;
    if (gone >= 4) {
#pragma GCC unroll 4
        for (; i + 4 <= kept; i += 4) {
            uint32_t v;
            memcpy(&v, rows + gone + i, 4);
            memcpy(rows + i, &v, 4);
        }
    }
    for (; i < kept; i++) rows[i] = rows[gone + i];
}

#endif
