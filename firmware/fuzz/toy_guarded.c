/* toy_guarded.c: a toy that has what the other toys have and more (an empty tensor, one larger than a frame, one in place,
 * steps, errors, use of all stack), its tensors standing between guard bytes in one piece of memory: a sanitizer sees
 * what leaves the whole piece, the guards show what leaves a tensor. */
#include <string.h>

#include "../nn/engine.h"
#include "../port/port.h"
#include "../tests/check.h"

enum { GUARD = 0xA6, GUARD_BYTES = 24, BYTES = 1500, FAIL = 0x11, USE_ALL_STACK = 0x22 };

static struct {
    uint8_t guard0[GUARD_BYTES];
    uint8_t io[8];
    uint8_t guard1[GUARD_BYTES];
    uint8_t big[BYTES];
    uint8_t guard2[GUARD_BYTES];
    uint8_t out[BYTES];
    uint8_t guard3[GUARD_BYTES];
    uint8_t sum[4];
    uint8_t guard4[GUARD_BYTES];
} memory;

static const engine_tensor inputs[] = {
    {memory.io, sizeof memory.io, ENGINE_INT8, 2, {1, 8}, 0.5f, -3},
    {memory.big, sizeof memory.big, ENGINE_UINT8, 6, {1, 1, 3, 5, 10, 10}, 0.125f, 128},
    {0, 0, ENGINE_FLOAT32, 1, {0}, 0, 0},
};
static const engine_tensor outputs[] = {
    {memory.io, sizeof memory.io, ENGINE_INT8, 2, {1, 8}, 0.25f, 7},
    {memory.out, sizeof memory.out, ENGINE_UINT8, 1, {BYTES}, 0.125f, 127},
    {0, 0, ENGINE_FLOAT32, 0, {0}, 0, 0},
    {memory.sum, sizeof memory.sum, ENGINE_INT32, 1, {1}, 0, 0},
};

const engine_info engine = {
    .name = "toy-guarded-of-a-long-name",
    .model_sha256 = {0x90},
    .arena_bytes = sizeof memory,
    .input_count = 3,
    .output_count = 4,
    .op_count = 2,
    .inputs = inputs,
    .outputs = outputs,
};

static uint8_t *const guards[] = {memory.guard0, memory.guard1, memory.guard2, memory.guard3, memory.guard4};
enum { GUARDS = sizeof guards / sizeof *guards };

int engine_init(void)
{
    for (int i = 0; i < GUARDS; i++)
        memset(guards[i], GUARD, GUARD_BYTES);
    return ENGINE_OK;
}

void toy_check_guards(void);
void toy_check_guards(void)
{
    for (int i = 0; i < GUARDS; i++)
        for (int k = 0; k < GUARD_BYTES; k++)
            CHECK(guards[i][k] == GUARD);
}

static int work(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < BYTES; i++)
        sum += memory.out[i] = (uint8_t)-memory.big[i];
    memcpy(memory.sum, &sum, sizeof sum);
    return memory.big[0] == FAIL ? ENGINE_ERR_INVOKE : ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    if (index == 0)
        return work();
    for (unsigned i = 0; i < sizeof memory.io; i++)
        memory.io[i] = (uint8_t)(2 * memory.io[i] + 1);
    if (memory.big[0] == USE_ALL_STACK)
        *(volatile uint32_t *)(void *)port_stack_limit() = 0;
    return index == 1 ? ENGINE_OK : ENGINE_ERR_INVOKE;
}

int engine_invoke(void)
{
    int error = engine_run_op(0);
    return error < 0 ? error : engine_run_op(1);
}
