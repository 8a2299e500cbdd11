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
