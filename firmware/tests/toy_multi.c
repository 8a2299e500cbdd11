/* toy_multi.c: two inputs (float32[6], int8[10000]) and three outputs: float32[6] doubled, int8[10000] negated and
 * int32[1], the sum of both. Inputs and outputs are larger than a frame. An input sum of 127 makes it fail. */
#include "../nn/engine.h"

enum { FLOATS = 6, BYTES = 10000, FAILING_SUM = 127 };

static float x[FLOATS], doubled[FLOATS];
static int8_t b[BYTES], negated[BYTES];
static int32_t sum;

static const engine_tensor inputs[] = {
    {x, sizeof x, ENGINE_FLOAT32, 3, {1, 2, 3}, 0, 0},
    {b, sizeof b, ENGINE_INT8, 2, {100, 100}, 0.125f, -128},
};
static const engine_tensor outputs[] = {
    {doubled, sizeof doubled, ENGINE_FLOAT32, 3, {1, 2, 3}, 0, 0},
    {negated, sizeof negated, ENGINE_INT8, 2, {100, 100}, 0.125f, 127},
    {&sum, sizeof sum, ENGINE_INT32, 1, {1}, 0, 0},
};

const engine_info engine = {
    .name = "toy-multi",
    .model_sha256 = {0x80},
    .arena_bytes = 2 * (sizeof x + sizeof b),
    .input_count = 2,
    .output_count = 3,
    .op_count = 0,
    .inputs = inputs,
    .outputs = outputs,
};

int engine_init(void)
{
    return ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE;
}

int engine_invoke(void)
{
    float total = 0;
    for (int i = 0; i < FLOATS; i++) {
        doubled[i] = 2 * x[i];
        total += x[i];
    }
    for (int i = 0; i < BYTES; i++) {
        negated[i] = (int8_t)(uint8_t)-b[i];
        total += b[i];
    }
    sum = (int32_t)total;
    return sum == FAILING_SUM ? ENGINE_ERR_INVOKE : ENGINE_OK;
}
