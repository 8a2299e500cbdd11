/* engine.c: C that another tool generated from the same network, behind engine.h.
 *
 * Copy this folder, put the generated files beside, and change the two marked places. */
#include "engine.h"
#include "engine_config.h"
#include "model_data.h"

/* 1: the generated function's declaration, or its header. */
int generated_predict(const float *features, float *outputs);

_Static_assert(MODEL_INPUT_COUNT == 1 && MODEL_OUTPUT_COUNT == 1, "one tensor in and one out");
_Static_assert(MODEL_INPUT_0_BYTES + MODEL_OUTPUT_0_BYTES <= ENGINE_ARENA_BYTES, "ENGINE_ARENA_BYTES is too small");

static float arena[ENGINE_ARENA_BYTES / sizeof(float)];

enum { OUTPUT = MODEL_INPUT_0_BYTES / sizeof(float) };

static const engine_tensor input[] = {MODEL_INPUT_0(arena)};
static const engine_tensor output[] = {MODEL_OUTPUT_0(arena + OUTPUT)};

const engine_info engine = {
    .name = ENGINE_NAME,
    .model_sha256 = MODEL_SHA256,
    .arena_bytes = ENGINE_ARENA_BYTES,
    .input_count = 1,
    .output_count = 1,
    .inputs = input,
    .outputs = output,
};

int engine_init(void)
{
    return ENGINE_OK;
}

int engine_invoke(void)
{
    /* 2: the call, and what it returns when it fails. */
    return generated_predict(arena, arena + OUTPUT) < 0 ? ENGINE_ERR_INVOKE : ENGINE_OK;
}

int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE; /* op_count is 0: no per-op profile */
}
