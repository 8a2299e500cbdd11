/* toy_int8.c: y = 2x + 1 on int8[8] (wrapping) in two steps. It works in place, so its input does not survive:
 * a request that were executed twice would show. It uses a known piece of stack. */
#include "../nn/engine.h"

enum { TOY_STACK_BYTES = 1024 };

static int8_t io[8];

static const engine_tensor input = {io, sizeof io, ENGINE_INT8, 2, {1, 8}, 0.5f, -3};
static const engine_tensor output = {io, sizeof io, ENGINE_INT8, 2, {1, 8}, 0.25f, 7};

const engine_info engine = {
    .name = "toy-int8",
    .model_sha256 = {0x70, 0x71, 0x72},
    .arena_bytes = sizeof io,
    .input_count = 1,
    .output_count = 1,
    .op_count = 2,
    .inputs = &input,
    .outputs = &output,
};

int engine_init(void)
{
    return ENGINE_OK;
}

static void twice(void)
{
    volatile uint8_t scratch[TOY_STACK_BYTES];
    for (int i = 0; i < TOY_STACK_BYTES; i++)
        scratch[i] = 1;
    for (int i = 0; i < 8; i++)
        io[i] = (int8_t)(uint8_t)(io[i] * (scratch[i] + 1));
}

int engine_run_op(uint16_t index)
{
    if (index == 0)
        twice();
    else if (index == 1)
        for (int i = 0; i < 8; i++)
            io[i] = (int8_t)(uint8_t)(io[i] + 1);
    else
        return ENGINE_ERR_INVOKE;
    return ENGINE_OK;
}

int engine_invoke(void)
{
    engine_run_op(0);
    return engine_run_op(1);
}
