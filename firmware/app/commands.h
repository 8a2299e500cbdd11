/* commands.h: what each request does. Knows payloads, not frames. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdint.h>

#include "wire.h"

/* 16 bytes that name firmware sources, compiler flags and model; the image builder defines them in build_id.c. */
extern const uint8_t app_build_id[16];

/* Prepares the engine and the timer. A failing engine is kept in mind and answers every RUN with ENGINE. */
void app_init(void);

/* Executes one request. `reply` has room for WIRE_MAX_PAYLOAD bytes and `*reply_bytes` says how many were written
 * (an ASCII explanation if the status is not OK). */
wire_status app_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes);

#endif
