/* nn_signal.h: TensorFlow Lite Micro's signal library (audio front ends), as portable kernels with the same results.
 *
 * The Fourier transforms are those of kissfft, bit for bit: radix 4 with a last stage of 2 where the length asks for it, every
 * stage scaled down and each product rounded. */
#ifndef NN_SIGNAL_H
#define NN_SIGNAL_H

#include "nn.h"

/* See nn_fft.inc. given: real values a row, zeros stand behind them up to 2n. */
typedef struct {
    int32_t rows, given, n;
} nn_fft;

typedef struct {
    int32_t rows, n, shift;
} nn_signal_window_shape;

typedef struct {
    int32_t channels;
    const int16_t *weights, *unweights, *starts, *weight_starts, *widths;
} nn_filter_bank;

typedef struct {
    int32_t n;
    uint32_t smoothing[2], rest[2]; /* of even and of odd channels */
    int32_t smoothing_bits, bits;
    uint32_t floor;
    int32_t clamping;
} nn_subtract;

typedef struct {
    int32_t rows, frames, size, step, room, start;
} nn_frames;

typedef struct {
    int32_t channels, left, room, step;
} nn_stack;

void nn_rfft_s16(const nn_fft *p, const int16_t *twiddles, const int16_t *edges, const int16_t *in, int16_t *out);
void nn_rfft_s32(const nn_fft *p, const int32_t *twiddles, const int32_t *edges, const int32_t *in, int32_t *out);
void nn_rfft_f32(const nn_fft *p, const float *twiddles, const float *edges, const float *in, float *out);
void nn_irfft_s16(const nn_fft *p, const int16_t *twiddles, const int16_t *edges, const int16_t *in, int16_t *out);
void nn_irfft_s32(const nn_fft *p, const int32_t *twiddles, const int32_t *edges, const int32_t *in, int32_t *out);
void nn_irfft_f32(const nn_fft *p, const float *twiddles, const float *edges, const float *in, float *out);

void nn_signal_window(const nn_signal_window_shape *p, const int16_t *weights, const int16_t *in, int16_t *out);
void nn_signal_scale(int32_t n, const int16_t *in, int16_t *out, int32_t *bits);
void nn_signal_energy(int32_t n, int32_t first, int32_t end, const int16_t *in, uint32_t *out);
void nn_signal_filter_bank(const nn_filter_bank *p, const uint32_t *in, uint64_t *out);
void nn_signal_root(int32_t n, const uint64_t *in, const int32_t *bits, uint32_t *out);
/* noise is kept from call to call; told is a copy of it. */
void nn_signal_subtract(const nn_subtract *p, const uint32_t *in, uint32_t *noise, uint32_t *out, uint32_t *told);
void nn_signal_pcan(int32_t n, int32_t shift, const int16_t *gains, const uint32_t *in, const uint32_t *noise, uint32_t *out);
void nn_signal_log(int32_t n, int32_t bits, uint32_t scale, const uint16_t *table, const uint32_t *in, int16_t *out);

/* What is kept from call to call: `samples` and how many beyond `start`; `overlap`; `inputs`, how many and whether there was
 * one; `delayed`. Frames and stacks that are not whole are zeros. */
void nn_signal_framer(const nn_frames *p, const int16_t *in, int16_t *samples, int32_t *count, int16_t *out, uint8_t *whole);
void nn_signal_overlap_s16(const nn_frames *p, const int16_t *in, int16_t *overlap, int16_t *out);
void nn_signal_overlap_f32(const nn_frames *p, const float *in, float *overlap, float *out);
void nn_signal_stacker(const nn_stack *p, const int16_t *in, int16_t *inputs, int32_t *count, int16_t *out, uint8_t *whole);
void nn_signal_delay(int32_t rows, int32_t n, int32_t length, const int16_t *in, int16_t *delayed, int16_t *out);

#endif
