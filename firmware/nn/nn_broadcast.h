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

/* A function of two operands, element by element: VALUE of *x, *y and *p. out may be an operand that is not repeated and has
 * elements of the same size: every element is read before it is written. */
#define NN_BINARY(NAME, PARAMS, DATA, OUT, VALUE) NN_BINARY_OF(NAME, PARAMS, DATA, DATA, OUT, VALUE)

/* The second operand is of another type. */
#define NN_BINARY_OF(NAME, PARAMS, DATA, SECOND, OUT, VALUE)                                          \
    void NAME(const PARAMS *p, const DATA *a, const SECOND *b, OUT *out) {                            \
        const nn_broadcast *s = &p->shape;                                                            \
        int32_t n = s->count[NN_BROADCAST_RANK - 1];                                                  \
        int32_t a_step = s->a_step[NN_BROADCAST_RANK - 1], b_step = s->b_step[NN_BROADCAST_RANK - 1]; \
        nn_cursor c = {{0}, 0, 0};                                                                    \
        do {                                                                                          \
            const DATA *x = a + c.a;                                                                  \
            const SECOND *y = b + c.b;                                                                \
            for (int32_t i = 0; i < n; i++, x += a_step, y += b_step) {                               \
                *out++ = (OUT)(VALUE);                                                                \
            }                                                                                         \
        } while (nn_next(s, &c));                                                                     \
    }

#endif
