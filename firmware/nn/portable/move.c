#include <string.h>

#include "nn.h"

static void copy_run(int32_t bytes, const uint8_t *in, uint8_t *out) {
    switch (bytes) {
    case 1: *out = *in; break;
    case 2: memcpy(out, in, 2); break;
    case 4: memcpy(out, in, 4); break;
    default: memcpy(out, in, (size_t)bytes);
    }
}

void nn_move(const nn_block *p, const uint8_t *in, uint8_t *out) {
    enum { LAST = NN_MOVE_RANK - 1 };
    int32_t at[LAST] = {0};
    for (;;) {
        const uint8_t *from = in;
        uint8_t *to = out;
        for (int32_t i = 0; i < p->count[LAST]; i++) {
            copy_run(p->run, from + i * p->in_step[LAST], to + i * p->out_step[LAST]);
        }
        int32_t d = LAST - 1;
        while (d >= 0 && ++at[d] == p->count[d]) {
            at[d] = 0;
            in -= (p->count[d] - 1) * p->in_step[d];
            out -= (p->count[d] - 1) * p->out_step[d];
            d--;
        }
        if (d < 0) {
            return;
        }
        in += p->in_step[d];
        out += p->out_step[d];
    }
}

void nn_fill(int32_t n, int32_t bytes, uint64_t value, void *out) {
    uint8_t *to = out;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t b = 0; b < bytes; b++) {
            *to++ = (uint8_t)(value >> (8 * b));
        }
    }
}

void nn_copy(int32_t bytes, const void *in, void *out) {
    if (in != out) {
        memcpy(out, in, (size_t)bytes);
    }
}
