/* lstm.h: the fused LSTM of int8 or int16 activations: 23 cycles for 16 multiply-accumulates, some 200 for what is left of a unit's
 * step. Layers share the code. */
#ifndef M4_LSTM_H
#define M4_LSTM_H

#include "m4/state_common.h"

/* Weights of the input's and the hidden state's sums: [gate][group of 4 units][step][4 words]; biases [gate][units up to a whole
 * four]; scales of both sums by gate, to Q3.12, and of the products. For the others see nn_lstm_int. */
typedef struct {
    const uint32_t *weights[2];
    const int32_t *bias;
    const uint16_t *table;
    int32_t in_zero, hidden_zero;
    m4_scale side[2][NN_LSTM_GATES];
    m4_scale forget_cell, in_cell, hidden;
    int32_t tanh_multiplier, tanh_shift, clip;
} m4_lstm_data;

/* nn_logistic_s16's and nn_tanh_s16's value at v, in steps of the table. */
M4_INLINE int32_t m4_table_value(const uint16_t *table, int32_t v, int32_t bits, int32_t top) {
    const uint32_t a = (uint32_t)(v < 0 ? -v : v), i = a >> bits;
    if (i >= 255) return top;
    return (table[i] << bits) + (int32_t)(a & ((1u << bits) - 1)) * (table[i + 1] - table[i]);
}

M4_INLINE int16_t m4_logistic(const uint16_t *table, int32_t v) {
    const int32_t y = m4_table_value(table, v, 9, 0x7FFF << 10);
    return (int16_t)((v >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10);
}

M4_INLINE int16_t m4_tanh(const uint16_t *table, int32_t v) {
    const int32_t y = m4_table_value(table, v, 8, 0xFFFF << 8) - (1 << 23);
    return (int16_t)((v >= 0 ? y + (1 << 7) : -y + (1 << 7) - 1) >> 8);
}

/* Four units' sums of one side, added to sum: each saturated. */
M4_INLINE const uint32_t *m4_lstm_side(q16_quad a, const m4_scale *scale, const int16_t *x, const uint32_t *w, int32_t steps,
                                       int32_t *sum) {
    const m4_scale q = *scale;
    w = q16_dot_1x4(&a, x, w, steps);
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; i++) sum[i] += m4_ssat16(m4_scaled(a.v[i], &q));
    return w;
}

/* All gates of one step behind their activations: x of int16 are the input and the hidden state. */
M4_SHARED void m4_lstm_gates(const nn_lstm *p, const m4_lstm_data *d, const int16_t *const *x, int16_t *gates) {
    const uint32_t *w[2] = {d->weights[0], d->weights[1]};
    const int32_t steps[2] = {(p->inputs + 3) / 4, (p->units + 3) / 4}, units = p->units;
    const uint16_t *const table = d->table;
    const int32_t *bias = d->bias;
    for (int32_t g = 0; g < NN_LSTM_GATES; g++) {
        for (int32_t u = 0; u < units; u += 4, bias += 4) {
            int32_t sum[4] = {0};
            q16_quad a = {{bias[0], bias[1], bias[2], bias[3]}};
#pragma GCC unroll 1
            for (int32_t side = 0; side < 2; side++, a = (q16_quad){{0}})
                w[side] = m4_lstm_side(a, &d->side[side][g], x[side], w[side], steps[side], sum);
            const int32_t n = units - u < 4 ? units - u : 4;
#pragma GCC unroll 1
            for (int32_t i = 0; i < n; i++) {
                const int32_t v = 3 * m4_ssat16(sum[i]); /* Q3.12 in thirds of the table's steps */
                *gates++ = g == NN_LSTM_CELL ? m4_tanh(table, v) : m4_logistic(table, v);
            }
        }
    }
}

/* Unit u's new cell, and its new hidden value before the zero point and saturation. The products are below 2^30, since one
 * factor is a sigmoid's. */
M4_INLINE int32_t m4_lstm_unit(const nn_lstm *p, const m4_lstm_data *q, const int16_t *gates, int16_t *cell) {
    const int32_t n = p->units;
    const int32_t kept = m4_ssat16(m4_scaled(gates[NN_LSTM_FORGET * n] * *cell, &q->forget_cell));
    const int32_t added = m4_ssat16(m4_scaled(gates[NN_LSTM_IN * n] * gates[NN_LSTM_CELL * n], &q->in_cell));
    int32_t v = m4_ssat16(kept + added);
    if (q->clip > 0) v = nn_clamp(v, -q->clip, q->clip);
    *cell = (int16_t)v;
    v = (v * q->tanh_multiplier + (q->tanh_shift > 0 ? 1 << (q->tanh_shift - 1) : 0)) >> q->tanh_shift;
    return m4_scaled(m4_tanh(q->table, v) * gates[NN_LSTM_OUT * n], &q->hidden);
}

M4_INLINE int32_t m4_lstm_row(const nn_lstm *p, int32_t b, int32_t t) {
    return p->time_major ? t * p->batch + b : b * p->time + t;
}

/* Scratch: gates, and the input and the hidden state as int16, each filled up to whole fours. */
#define M4_LSTM(NAME, DATA, FILL, LOW, HIGH)                                                                                    \
    M4_SHARED void NAME(const nn_lstm *p, const m4_lstm_data *q, const DATA *in, DATA *hidden, int16_t *cell, uint8_t *scratch, \
                        DATA *out) {                                                                                            \
        int16_t *const x = (int16_t *)(void *)scratch, *const h = x + q16_round4(p->inputs);                                    \
        int16_t *const gates = h + q16_round4(p->units);                                                                        \
        const int16_t *const data[2] = {x, h};                                                                                  \
        for (int32_t b = 0; b < p->batch; b++, hidden += p->units, cell += p->units) {                                          \
            for (int32_t t = 0; t < p->time; t++) {                                                                             \
                const int32_t row = m4_lstm_row(p, b, t);                                                                       \
                FILL(x, in + row * p->inputs, p->inputs, q->in_zero);                                                           \
                FILL(h, hidden, p->units, q->hidden_zero);                                                                      \
                m4_lstm_gates(p, q, data, gates);                                                                               \
                for (int32_t u = 0; u < p->units; u++) {                                                                        \
                    const int32_t v = m4_lstm_unit(p, q, gates + u, cell + u) + q->hidden_zero;                                 \
                    out[row * p->units + u] = hidden[u] = (DATA)nn_clamp(v, LOW, HIGH);                                         \
                }                                                                                                               \
            }                                                                                                                   \
        }                                                                                                                       \
    }

M4_INLINE void m4_lstm_fill(int16_t *d, const int16_t *s, int32_t n, int32_t zero) {
    (void)zero; /* 0 */
    q16_copy(d, s, n);
    q16_zeros(d + n, -n & 3);
}

M4_LSTM(m4_lstm_s8, int8_t, m4_widen, INT8_MIN, INT8_MAX)
M4_LSTM(m4_lstm_s16, int16_t, m4_lstm_fill, INT16_MIN, INT16_MAX)

#endif
