/* input.h: the form of the loop's fuzz input: bursts, each a u16 (bits 0 to 14: bytes that follow; bit 15: it is sent
 * twice) and its bytes. Every string of bytes is such an input: the last burst may be cut short. */
#ifndef INPUT_H
#define INPUT_H

#include <stdint.h>

#include "line.h"

enum { INPUT_HEAD_BYTES = 2, INPUT_TWICE = 0x8000, INPUT_LENGTH = 0x7FFF };

/* Takes the burst at `at`; returns the place behind it. */
const uint8_t *input_take(const uint8_t *at, const uint8_t *end, line_burst *burst, int *twice);

#endif
