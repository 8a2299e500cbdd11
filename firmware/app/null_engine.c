/* null_engine.c: no model at all; an image with it costs what the measuring itself costs. */
#include "../nn/engine.h"

const engine_info engine = {.name = "null"};

int engine_init(void)
{
    return ENGINE_OK;
}

int engine_invoke(void)
{
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE;
}

#ifdef APP_LIVE
/* The measuring part of an image with a sensor is linked on its own too, to find its size: without firmware/live. */
#include "../live/live.h"
#include "../port/port.h"

__attribute__((weak)) void port_idle(void)
{
}

__attribute__((weak)) int live_has_engine(void)
{
    return 0;
}

__attribute__((weak)) wire_status live_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply,
                                               uint32_t *reply_bytes)
{
    (void)type, (void)payload, (void)n, (void)reply;
    *reply_bytes = 0;
    return WIRE_STATUS_BAD_TYPE;
}
#endif
