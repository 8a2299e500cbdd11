/* toy_fault.c: misbehaves as its first input byte says, to see what the firmware makes of it. ARM only. */
#include "../nn/engine.h"
#include "../port/port.h"

enum { BEHAVE = 0, BAD_ADDRESS = 1, BAD_INSTRUCTION = 2, USE_ALL_STACK = 3 };

static uint8_t io[4];

static const engine_tensor tensor = {io, sizeof io, ENGINE_UINT8, 1, {4}, 0, 0};

const engine_info engine = {
    .name = "toy-fault", .arena_bytes = sizeof io, .input_count = 1, .output_count = 1, .op_count = 1, .inputs = &tensor,
    .outputs = &tensor,
};

int engine_init(void)
{
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    if (io[0] == BAD_ADDRESS)
        io[0] = *(volatile uint8_t *)0x60000000; /* nothing is mapped there */
    else if (io[0] == BAD_INSTRUCTION)
        __asm volatile("udf #0");
    else if (io[0] == USE_ALL_STACK)
        *(volatile uint32_t *)(void *)port_stack_limit() = 0;
    return ENGINE_OK;
}

int engine_invoke(void)
{
    return engine_run_op(0);
}
