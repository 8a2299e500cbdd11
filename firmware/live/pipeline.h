/* pipeline.h: from frames to the engine's input: selection and order of channels, normalisation, quantisation, the window.
 *
 * Arithmetic: float32, each operation rounded once, in this order: value = count * scale[channel]; x = (value - mean) / std; for
 * an integer input q = x / input scale, rounded to the nearest, halves away from zero, plus the zero point, clipped. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdint.h>

#ifndef PIPELINE_BYTES
#define PIPELINE_BYTES 49152 /* of a window as the model takes it */
#endif
enum { PIPELINE_CHANNEL_BYTES = 12, PIPELINE_MAX_CHANNELS = 64 };

/* `channels` entries of u16 index, u16 0, f32 mean, f32 std, as on the wire. Returns 0, or what is wrong. */
const char *pipeline_configure(uint16_t length, uint16_t hop, uint16_t channels, const uint8_t *entries);

/* A frame's counts; returns 1 when a window is complete whose turn it is. A gap before the frame begins the window again: none
 * ever spans one. */
int pipeline_add(const int16_t *frame, int gap);

/* The newest window into the engine's input: a copy, because every frame was converted when it came. */
void pipeline_fill(void);

#endif
