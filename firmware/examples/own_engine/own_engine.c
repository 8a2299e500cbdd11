/* own_engine.c: a user's runtime behind engine.h, as small as a useful one can be.
 *
 * It reads the .tflite on the board and runs chains of float32 FULLY_CONNECTED (with or without RELU) and SOFTMAX, each
 * layer from one row of the arena into the other. Anything else makes engine_init fail. */
#include <math.h>

#include "engine_config.h"
#include "flat.h"
#include "model_data.h"

/* Numbers of the TFLite schema: fields of its tables, operators, activations. */
enum { MODEL_CODES = 1, MODEL_SUBGRAPHS = 2, MODEL_BUFFERS = 4 };
enum { SUBGRAPH_TENSORS = 0, SUBGRAPH_OPERATORS = 3 };
enum { TENSOR_SHAPE = 0, TENSOR_BUFFER = 2, BUFFER_DATA = 0 };
enum { CODE_DEPRECATED = 0, CODE_BUILTIN = 3 };
enum { OPERATOR_CODE = 0, OPERATOR_INPUTS = 1, OPERATOR_OPTIONS = 4, OPTIONS_ACTIVATION = 0 };
enum { OP_FULLY_CONNECTED = 9, OP_SOFTMAX = 25 };
enum { ACTIVATION_NONE = 0, ACTIVATION_RELU = 1 };

typedef struct {
    const uint8_t *weights, *bias; /* float32, unaligned; weights 0: softmax */
    uint32_t in_n, out_n;
    uint32_t relu;
} own_layer;

static float arena[2][OWN_WIDTH];
_Static_assert(sizeof arena == ENGINE_ARENA_BYTES, "engine_config.h tells the host another size");

static own_layer layers[OWN_MAX_LAYERS];
static uint32_t layer_count;

static engine_tensor inputs[] = {MODEL_INPUT_0(arena[0])};
static engine_tensor outputs[] = {MODEL_OUTPUT_0(0)};

const engine_info engine = {
    .name = ENGINE_NAME,
    .model_sha256 = MODEL_SHA256,
    .arena_bytes = ENGINE_ARENA_BYTES,
    .input_count = 1,
    .output_count = 1,
    .inputs = inputs,
    .outputs = outputs,
};

static float load(const uint8_t *p, uint32_t i)
{
    float v;
    memcpy(&v, p + 4 * i, sizeof v);
    return v;
}

/* The bytes of constant tensor `index`; 0 for an activation or an omitted input. */
static const uint8_t *constant(const uint8_t *model, const uint8_t *tensors, int32_t index)
{
    if (index < 0)
        return 0;
    const uint8_t *buffer = flat_field(flat_table(tensors, (uint32_t)index), TENSOR_BUFFER);
    const uint8_t *buffers = flat_child(model, MODEL_BUFFERS);
    const uint8_t *data = flat_child(flat_table(buffers, buffer ? flat_u32(buffer) : 0), BUFFER_DATA);
    return flat_count(data) ? data + 4 : 0;
}

/* Files before schema 3a carry the operator in a byte, later ones in an integer too. */
static uint32_t operator_code(const uint8_t *model, const uint8_t *op)
{
    const uint8_t *number = flat_field(op, OPERATOR_CODE);
    const uint8_t *code = flat_table(flat_child(model, MODEL_CODES), number ? flat_u32(number) : 0);
    const uint8_t *wide = flat_field(code, CODE_BUILTIN), *narrow = flat_field(code, CODE_DEPRECATED);
    return wide && flat_u32(wide) ? flat_u32(wide) : narrow ? *narrow : 0;
}

static int add_dense(const uint8_t *model, const uint8_t *tensors, const uint8_t *op, own_layer *layer)
{
    const uint8_t *ins = flat_child(op, OPERATOR_INPUTS);
    const uint8_t *shape = flat_child(flat_table(tensors, (uint32_t)flat_int(ins, 1)), TENSOR_SHAPE);
    const uint8_t *options = flat_child(op, OPERATOR_OPTIONS);
    const uint8_t *activation = options ? flat_field(options, OPTIONS_ACTIVATION) : 0;
    layer->weights = constant(model, tensors, flat_int(ins, 1));
    layer->bias = flat_count(ins) > 2 ? constant(model, tensors, flat_int(ins, 2)) : 0;
    layer->out_n = (uint32_t)flat_int(shape, 0);
    layer->in_n = (uint32_t)flat_int(shape, 1);
    layer->relu = activation && *activation == ACTIVATION_RELU;
    int known = !activation || *activation <= ACTIVATION_RELU;
    return known && layer->weights && layer->in_n <= OWN_WIDTH && layer->out_n <= OWN_WIDTH;
}

int engine_init(void)
{
    const uint8_t *model = flat_follow(model_data);
    const uint8_t *graph = flat_table(flat_child(model, MODEL_SUBGRAPHS), 0);
    const uint8_t *tensors = flat_child(graph, SUBGRAPH_TENSORS), *operators = flat_child(graph, SUBGRAPH_OPERATORS);
    uint32_t width = MODEL_INPUT_0_BYTES / sizeof(float);
    layer_count = flat_count(operators);
    if (layer_count > OWN_MAX_LAYERS || inputs[0].dtype != ENGINE_FLOAT32)
        return ENGINE_ERR_INIT;
    for (uint32_t i = 0; i < layer_count; i++) {
        const uint8_t *op = flat_table(operators, i);
        uint32_t code = operator_code(model, op);
        layers[i] = (own_layer){.in_n = width, .out_n = width};
        if (code != OP_SOFTMAX && (code != OP_FULLY_CONNECTED || !add_dense(model, tensors, op, &layers[i])))
            return ENGINE_ERR_INIT;
        if (layers[i].in_n != width) /* a batch, or no plain chain */
            return ENGINE_ERR_INIT;
        width = layers[i].out_n;
    }
    outputs[0].data = arena[layer_count & 1];
    return width * sizeof(float) == MODEL_OUTPUT_0_BYTES ? ENGINE_OK : ENGINE_ERR_INIT;
}

static void dense(const own_layer *layer, const float *in, float *out)
{
    for (uint32_t o = 0; o < layer->out_n; o++) {
        float sum = layer->bias ? load(layer->bias, o) : 0.0f;
        for (uint32_t i = 0; i < layer->in_n; i++)
            sum += in[i] * load(layer->weights, o * layer->in_n + i);
        out[o] = layer->relu && sum < 0.0f ? 0.0f : sum;
    }
}

static void softmax(uint32_t n, const float *in, float *out)
{
    float top = in[0], sum = 0.0f;
    for (uint32_t i = 1; i < n; i++)
        top = in[i] > top ? in[i] : top;
    for (uint32_t i = 0; i < n; i++)
        sum += out[i] = expf(in[i] - top);
    for (uint32_t i = 0; i < n; i++)
        out[i] /= sum;
}

int engine_invoke(void)
{
    for (uint32_t i = 0; i < layer_count; i++) {
        const own_layer *layer = &layers[i];
        if (layer->weights)
            dense(layer, arena[i & 1], arena[~i & 1]);
        else
            softmax(layer->in_n, arena[i & 1], arena[~i & 1]);
    }
    return ENGINE_OK;
}

/* op_count is 0: this engine offers no per-op profile. */
int engine_run_op(uint16_t index)
{
    (void)index;
    return ENGINE_ERR_INVOKE;
}
