/* corrupt.h: seeded damaged frames. The same seed and index give the same bytes on every machine. */
#ifndef CORRUPT_H
#define CORRUPT_H

#include <stdint.h>

#include "../app/wire.h"

enum {
    CORRUPT_FRAME_ROOM = WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES,
    CORRUPT_LINE_ROOM = 4 * CORRUPT_FRAME_ROOM,
    CORRUPT_KINDS = 10,
};

typedef struct {
    wire_header header;
    uint32_t n; /* of the whole frame */
    uint8_t bytes[CORRUPT_FRAME_ROOM];
} corrupt_frame;

typedef struct {
    uint32_t kind;      /* below CORRUPT_KINDS, or CORRUPT_KINDS: a whole frame stands in the payload of a damaged one */
    corrupt_frame a, b; /* what was sent: one frame, or two that the line mixed */
    uint32_t n;
    uint8_t line[CORRUPT_LINE_ROOM]; /* what arrived */
} corruption;

extern const char *const corrupt_names[CORRUPT_KINDS + 1];

/* Case `index` of `seed`. `sequence` is that of frame a; b has the next. */
void corrupt_make(corruption *c, uint64_t seed, uint64_t index, uint32_t kind, uint16_t sequence);

#endif
