/* nn_broadcast.h: walks the outer dimensions of two operands, either of which may be repeated. */
#ifndef NN_BROADCAST_H
#define NN_BROADCAST_H

#include <stdbool.h>

#include "nn.h"

/* Position in the outer dimensions and the operands' offsets there. */
typedef struct {
    int32_t at[NN_BROADCAST_RANK - 1];
    int32_t a, b;
} nn_cursor;

static inline bool nn_next(const nn_broadcast *s, nn_cursor *c) {
    for (int32_t d = NN_BROADCAST_RANK - 2; d >= 0; d--) {
        c->a += s->a_step[d];
        c->b += s->b_step[d];
        if (++c->at[d] < s->count[d]) {
            return true;
        }
        c->a -= s->count[d] * s->a_step[d];
        c->b -= s->count[d] * s->b_step[d];
        c->at[d] = 0;
    }
    return false;
}

#endif
