/* f32_bits.h: ReLU on a float's bits: two integer instructions instead of a compare, a flag transfer and a move. */
#ifndef F32_BITS_H
#define F32_BITS_H

#include <stdint.h>

typedef union {
    float f;
    int32_t i;
} f32_bits;

/* mask -1: negative values become 0; mask 0: nothing happens. */
static inline float f32_rectify(float v, int32_t mask) {
    f32_bits u = {v};
    u.i &= ~((u.i >> 31) & mask);
    return u.f;
}

#endif
