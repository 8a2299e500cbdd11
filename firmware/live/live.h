/* live.h: sampling and live inference beside the command loop; WIRE.md, "Sampling". Linked into images with a sensor only, which
 * are compiled with APP_LIVE. */
#ifndef LIVE_H
#define LIVE_H

#include <stdint.h>

#include "../app/wire.h"

/* Requests of types that app_execute does not know. As app_execute. */
wire_status live_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes);

/* Whether the engine's tensors are in use: RUN and READ must wait. */
int live_has_engine(void);

#endif
