/* Runs a compiled model on the host: inputs from stdin, one inference after the other until it ends, outputs to stdout.
 * Each inference runs twice, through engine_invoke and step by step, and both must give the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static uint32_t total(const engine_tensor *t, uint32_t n) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        bytes += t[i].bytes;
    }
    return bytes;
}

static void copy(uint8_t *flat, const engine_tensor *t, uint32_t n, int to_tensors) {
    for (uint32_t i = 0; i < n; flat += t[i].bytes, i++) {
        memcpy(to_tensors ? t[i].data : flat, to_tensors ? flat : t[i].data, t[i].bytes);
    }
}

__attribute__((weak)) void engine_reset(void) {}

int main(void) {
    uint32_t in_bytes = total(engine.inputs, engine.input_count), out_bytes = total(engine.outputs, engine.output_count);
    uint8_t *in = malloc(in_bytes), *once = malloc(out_bytes), *stepped = malloc(out_bytes);
    if (!in || !once || !stepped || engine_init() != ENGINE_OK) {
        return 2;
    }
    while (fread(in, 1, in_bytes, stdin) == in_bytes) {
        copy(in, engine.inputs, engine.input_count, 1);
        engine_reset();
        if (engine_invoke() != ENGINE_OK) {
            return 3;
        }
        copy(once, engine.outputs, engine.output_count, 0);
        copy(in, engine.inputs, engine.input_count, 1);
        engine_reset();
        for (uint16_t i = 0; i < engine.op_count; i++) {
            if (engine_run_op(i) != ENGINE_OK) {
                return 4;
            }
        }
        copy(stepped, engine.outputs, engine.output_count, 0);
        if (memcmp(once, stepped, out_bytes) != 0) {
            return 5;
        }
        fwrite(once, 1, out_bytes, stdout);
    }
    free(in);
    free(once);
    free(stepped);
    return engine_run_op(engine.op_count) == ENGINE_OK ? 6 : 0;
}
