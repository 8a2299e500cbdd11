/* toy_hang.c: hangs if its first input byte is not 0; else the identity. For the host. */
#include "../nn/engine.h"

static uint8_t io[4];

static const engine_tensor tensor = {io, sizeof io, ENGINE_UINT8, 1, {4}, 0, 0};

const engine_info engine = {
    .name = "toy-hang",
    .arena_bytes = sizeof io,
    .input_count = 1,
    .output_count = 1,
    .op_count = 1,
    .inputs = &tensor,
    .outputs = &tensor,
};

int engine_init(void)
{
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    while (*(volatile uint8_t *)io) {}
    return ENGINE_OK;
}

int engine_invoke(void)
{
    return engine_run_op(0);
}
