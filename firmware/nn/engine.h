/* engine.h: the border between the measuring firmware and whatever runs the model.
 *
 * The firmware calls nothing else. Any runtime that defines these symbols can be measured; tinyrig's
 * compiler writes them into the generated model.c. All memory is static and owned by the engine. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdint.h>

enum { ENGINE_MAX_RANK = 6 };

/* Element types, numbered as in the TFLite schema's TensorType. */
typedef enum {
    ENGINE_FLOAT32 = 0,
    ENGINE_INT32 = 2,
    ENGINE_UINT8 = 3,
    ENGINE_INT64 = 4,
    ENGINE_BOOL = 6,
    ENGINE_INT16 = 7,
    ENGINE_INT8 = 9,
} engine_dtype;

enum {
    ENGINE_OK = 0,
    ENGINE_ERR_INIT = -1,   /* engine_init could not prepare the engine */
    ENGINE_ERR_INVOKE = -2, /* an operator failed at run time */
};

typedef struct {
    void *data; /* where the tensor lives; valid after engine_init */
    uint32_t bytes;
    uint8_t dtype; /* engine_dtype */
    uint8_t rank;
    uint32_t dims[ENGINE_MAX_RANK];
    float scale; /* 0: not quantised */
    int32_t zero_point;
} engine_tensor;

typedef struct {
    const char *name;         /* of the engine, at most 15 characters */
    uint8_t model_sha256[32]; /* of the .tflite it was made from */
    uint32_t arena_bytes;     /* working memory, input and output tensors included */
    uint16_t input_count, output_count;
    uint16_t op_count; /* steps that engine_run_op can run singly; 0: no per-op profile */
    const engine_tensor *inputs, *outputs;
} engine_info;

extern const engine_info engine;

/* Once after reset. */
int engine_init(void);

/* Puts what is kept from one inference to the next back to where engine_init left it; inputs stay. An engine that keeps nothing
 * leaves it out. */
void engine_reset(void);

/* One inference. Inputs are in place; they may be overwritten. Outputs stay until the next input is written. */
int engine_invoke(void);

/* Step `index` of the same inference; running 0 .. op_count-1 in order equals engine_invoke. */
int engine_run_op(uint16_t index);

#endif
