#include "nn_signal.h"

#include "nn_math.h"

void nn_signal_window(const nn_signal_window_shape *p, const int16_t *weights, const int16_t *in, int16_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->n; i++) {
            *out++ = (int16_t)nn_clamp((*in++ * weights[i]) >> p->shift, INT16_MIN, INT16_MAX);
        }
    }
}

/* How many binary digits v has; 0 has none. */
static inline int32_t digits(uint64_t v) {
    int32_t n = 0;
    for (; v; v >>= 1) {
        n++;
    }
    return n;
}

void nn_signal_scale(int32_t n, const int16_t *in, int16_t *out, int32_t *bits) {
    int16_t top = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t v = in[i] > top || -in[i] <= top ? in[i] : -in[i];
        top = v > top ? (int16_t)v : top; /* -(-32768) comes back as -32768, in the reference too */
    }
    int32_t left = top > 0 ? 15 - digits((uint64_t)top) : 0;
    for (int32_t i = 0; i < n; i++) {
        out[i] = (int16_t)(in[i] * (1 << left));
    }
    *bits = left;
}

void nn_signal_energy(int32_t n, int32_t first, int32_t end, const int16_t *in, uint32_t *out) {
    for (int32_t i = 0; i < n; i++) {
        uint32_t real = (uint32_t)(in[2 * i] * in[2 * i]), imaginary = (uint32_t)(in[2 * i + 1] * in[2 * i + 1]);
        out[i] = i >= first && i < end ? real + imaginary : 0;
    }
}

void nn_signal_filter_bank(const nn_filter_bank *p, const uint32_t *in, uint64_t *out) {
    uint64_t carried = 0; /* what the band before gave to this one */
    for (int32_t band = 0; band <= p->channels; band++) {
        const uint32_t *x = in + p->starts[band];
        uint64_t own = carried, next = 0;
        for (int32_t i = 0; i < p->widths[band]; i++) {
            own += (uint64_t)p->weights[p->weight_starts[band] + i] * x[i];
            next += (uint64_t)p->unweights[p->weight_starts[band] + i] * x[i];
        }
        if (band > 0) {
            out[band - 1] = own;
        }
        carried = next;
    }
}

/* The square root, rounded to the nearest, at most `most`. */
static uint32_t root(uint64_t v, uint32_t most) {
    uint64_t found = 0, rest = v;
    for (int32_t bit = 31; bit >= 0; bit--) {
        uint64_t more = (2 * found + ((uint64_t)1 << bit)) << bit;
        if (rest >= more) {
            rest -= more;
            found += (uint64_t)1 << bit;
        }
    }
    return (uint32_t)(rest > found && found != most ? found + 1 : found);
}

void nn_signal_root(int32_t n, const uint64_t *in, const int32_t *bits, uint32_t *out) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = root(in[i], in[i] >> 32 ? UINT32_MAX : UINT16_MAX) >> (*bits & 31);
    }
}

void nn_signal_subtract(const nn_subtract *p, const uint32_t *in, uint32_t *noise, uint32_t *out, uint32_t *told) {
    for (int32_t i = 0; i < p->n; i++) {
        uint32_t signal = in[i] << p->smoothing_bits;
        noise[i] = (uint32_t)(((uint64_t)signal * p->smoothing[i & 1] + (uint64_t)noise[i] * p->rest[i & 1]) >> p->bits);
        uint32_t estimate = noise[i] < signal ? noise[i] : signal;
        noise[i] = p->clamping ? estimate : noise[i];
        uint32_t floor = (uint32_t)(((uint64_t)in[i] * p->floor) >> p->bits), left = (signal - estimate) >> p->smoothing_bits;
        out[i] = left > floor ? left : floor;
        told[i] = noise[i];
    }
}

/* The gain for a noise of v: a value of the curve for each v below 3, then for every number of digits a parabola over the next
 * ten of them. */
static int16_t gain(const int16_t *curve, uint32_t v) {
    if (v < 3) {
        return curve[v];
    }
    int32_t n = digits(v);
    const int16_t *part = curve + 4 * n - 6;
    int32_t at = (int32_t)((n < 11 ? v << (11 - n) : v >> (n - 11)) & 0x3FF);
    int32_t slope = ((part[2] * at) >> 5) + (int32_t)((uint32_t)part[1] << 5);
    return (int16_t)(((int32_t)((uint32_t)slope * (uint32_t)at + (1 << 14)) >> 15) + part[0]);
}

void nn_signal_pcan(int32_t n, int32_t shift, const int16_t *gains, const uint32_t *in, const uint32_t *noise, uint32_t *out) {
    for (int32_t i = 0; i < n; i++) {
        uint32_t ratio = (uint32_t)(((uint64_t)in[i] * (uint32_t)gain(gains, noise[i])) >> shift); /* Q12 */
        out[i] = ratio < 2 << 12 ? (ratio * ratio) >> 20 : (ratio >> 6) - (1 << 6);                /* Q6: r^2 / 4, then r - 1 */
    }
}

/* scale * ln(v) for v >= 2, in steps of 2^-16: the straight line between powers of two and what the table adds to it. */
static uint32_t logarithm(const uint16_t *table, uint32_t v, uint32_t scale) {
    int32_t whole = digits(v) - 1;
    int32_t part = (int32_t)(v - ((uint32_t)1 << whole));
    part = whole < 16 ? part * (1 << (16 - whole)) : part >> (whole - 16);
    int32_t i = part >> 9, more = ((table[i + 1] - table[i]) * (part & 511)) >> 16;
    uint32_t log2 = ((uint32_t)whole << 16) + (uint32_t)(part + table[i] + more);
    uint32_t natural = (uint32_t)((45426 * (uint64_t)log2 + (1 << 15)) >> 16); /* ln(2) * 2^16 */
    return (scale * natural + (1 << 15)) >> 16;
}

void nn_signal_log(int32_t n, int32_t bits, uint32_t scale, const uint16_t *table, const uint32_t *in, int16_t *out) {
    for (int32_t i = 0; i < n; i++) {
        uint32_t v = in[i] << bits, result = v > 1 ? logarithm(table, v, scale) : 0;
        out[i] = (int16_t)(result < INT16_MAX ? result : INT16_MAX);
    }
}
