#include <math.h>

#include "nn.h"
#include "nn_math.h"

/* One row at a time: its steps in order, the state of each row of the batch for itself. */
static int32_t row_at(const nn_lstm *p, int32_t b, int32_t t) { return p->time_major ? t * p->batch + b : b * p->time + t; }

static inline int32_t to_s16(int32_t v) { return nn_clamp(v, INT16_MIN, INT16_MAX); }

/* A gate before its activation: in * weights + bias, rescaled, + hidden * recurrent, rescaled; each saturated. */
#define GATE(NAME, DATA, BIAS, ACC, REQUANTIZE)                                                                                  \
    static void NAME(const nn_lstm *p, const nn_lstm_int *q, int32_t g, const DATA *in, const int8_t *weights, const BIAS *bias, \
                     const DATA *hidden, const int8_t *recurrent, int16_t *out) {                                                \
        for (int32_t u = 0; u < p->units; u++, weights += p->inputs, recurrent += p->units) {                                    \
            ACC a = 0, b = 0;                                                                                                    \
            for (int32_t i = 0; i < p->inputs; i++) {                                                                            \
                a += weights[i] * (in[i] - q->in_zero);                                                                          \
            }                                                                                                                    \
            for (int32_t i = 0; i < p->units; i++) {                                                                             \
                b += recurrent[i] * (hidden[i] - q->hidden_zero);                                                                \
            }                                                                                                                    \
            a += bias ? bias[u] : 0;                                                                                             \
            int32_t left = to_s16(REQUANTIZE(a, q->in[g].multiplier, q->in[g].shift));                                           \
            int32_t right = to_s16(REQUANTIZE(b, q->recurrent[g].multiplier, q->recurrent[g].shift));                            \
            out[u] = (int16_t)to_s16(left + right);                                                                              \
        }                                                                                                                        \
        const nn_sigmoid_int by_three = {p->units, 3, 0}; /* Q3.12 in thirds of its table's steps */                             \
        if (g == NN_LSTM_CELL) {                                                                                                 \
            nn_tanh_s16(&by_three, q->table, out, out);                                                                          \
        } else {                                                                                                                 \
            nn_logistic_s16(&by_three, q->table, out, out);                                                                      \
        }                                                                                                                        \
    }

GATE(gate_s8, int8_t, int32_t, int32_t, nn_requantize)
GATE(gate_s16, int16_t, int64_t, int64_t, nn_requantize_64)

static inline int32_t times(const nn_scale *q, int32_t a, int32_t b) { return nn_requantize(a * b, q->multiplier, q->shift); }

static void new_cell(const nn_lstm *p, const nn_lstm_int *q, const int16_t *gates, int16_t *cell) {
    const int16_t *in = gates + NN_LSTM_IN * p->units, *forget = gates + NN_LSTM_FORGET * p->units;
    const int16_t *update = gates + NN_LSTM_CELL * p->units;
    for (int32_t u = 0; u < p->units; u++) {
        int32_t kept = to_s16(times(&q->forget_cell, forget[u], cell[u]));
        int32_t added = to_s16(times(&q->in_cell, in[u], update[u]));
        int32_t v = to_s16(kept + added);
        cell[u] = (int16_t)(q->clip > 0 ? nn_clamp(v, -q->clip, q->clip) : v);
    }
}

#define LSTM(NAME, GATE_OF, DATA, BIAS, LOW, HIGH)                                                                           \
    void NAME(const nn_lstm *p, const nn_lstm_int *q, const int8_t *const *weights, const BIAS *const *bias, const DATA *in, \
              DATA *hidden, int16_t *cell, int16_t *gates, DATA *out) {                                                      \
        const nn_sigmoid_int of_cell = {p->units, q->tanh_multiplier, q->tanh_shift};                                        \
        int16_t *opened = gates + NN_LSTM_OUT * p->units;                                                                    \
        for (int32_t b = 0; b < p->batch; b++, hidden += p->units, cell += p->units) {                                       \
            for (int32_t t = 0; t < p->time; t++) {                                                                          \
                const DATA *row = in + row_at(p, b, t) * p->inputs;                                                          \
                for (int32_t g = 0; g < NN_LSTM_GATES; g++) {                                                                \
                    GATE_OF(p, q, g, row, weights[g], bias[g], hidden, weights[NN_LSTM_GATES + g], gates + g * p->units);    \
                }                                                                                                            \
                new_cell(p, q, gates, cell);                                                                                 \
                nn_tanh_s16(&of_cell, q->table, cell, gates);                                                                \
                for (int32_t u = 0; u < p->units; u++) {                                                                     \
                    int32_t v = times(&q->hidden, gates[u], opened[u]) + q->hidden_zero;                                     \
                    hidden[u] = (DATA)nn_clamp(v, LOW, HIGH);                                                                \
                    out[row_at(p, b, t) * p->units + u] = hidden[u];                                                         \
                }                                                                                                            \
            }                                                                                                                \
        }                                                                                                                    \
    }

LSTM(nn_lstm_s8, gate_s8, int8_t, int32_t, INT8_MIN, INT8_MAX)
LSTM(nn_lstm_s16, gate_s16, int16_t, int64_t, INT16_MIN, INT16_MAX)

static float logistic(float v) { return 1 / (1 + expf(-v)); }

static float gate_f32(const nn_lstm *p, const float *in, const float *weights, float bias, const float *hidden,
                      const float *recurrent) {
    float sum = bias;
    for (int32_t i = 0; i < p->inputs; i++) {
        sum += weights[i] * in[i];
    }
    for (int32_t i = 0; i < p->units; i++) {
        sum += recurrent[i] * hidden[i];
    }
    return sum;
}

void nn_lstm_f32(const nn_lstm *p, float clip, const float *const *weights, const float *const *bias, const float *in,
                 float *hidden, float *cell, float *gates, float *out) {
    for (int32_t b = 0; b < p->batch; b++, hidden += p->units, cell += p->units) {
        for (int32_t t = 0; t < p->time; t++) {
            const float *row = in + row_at(p, b, t) * p->inputs;
            for (int32_t g = 0; g < NN_LSTM_GATES; g++) {
                for (int32_t u = 0; u < p->units; u++) {
                    float v = gate_f32(p, row, weights[g] + u * p->inputs, bias[g] ? bias[g][u] : 0, hidden,
                                       weights[NN_LSTM_GATES + g] + u * p->units);
                    gates[g * p->units + u] = g == NN_LSTM_CELL ? tanhf(v) : logistic(v);
                }
            }
            for (int32_t u = 0; u < p->units; u++) {
                float v = gates[NN_LSTM_FORGET * p->units + u] * cell[u];
                v += gates[NN_LSTM_IN * p->units + u] * gates[NN_LSTM_CELL * p->units + u];
                cell[u] = clip > 0 ? nn_clamp_f32(v, -clip, clip) : v;
                hidden[u] = tanhf(cell[u]) * gates[NN_LSTM_OUT * p->units + u];
                out[row_at(p, b, t) * p->units + u] = hidden[u];
            }
        }
    }
}
