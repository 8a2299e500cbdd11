/* commands.c: see commands.h; payload layouts are those of WIRE.md. */
#include "commands.h"

#include <string.h>

#include "../nn/engine.h"
#include "../port/port.h"
#include "measure.h"
#ifdef APP_LIVE
#include "../live/live.h"
enum { HELLO_FLAGS = WIRE_HELLO_SENSOR };
#else
enum { HELLO_FLAGS = 0 };
#endif

static int engine_state;

/* An engine that faulted or hung while it was prepared is not tried again at once: the board would never listen. */
void app_init(void)
{
    const port_fault *fault = port_last_fault();
    measure_init();
    if (fault && fault->flags & PORT_FAULT_AT_START) {
        engine_state = ENGINE_ERR_INIT;
        return;
    }
    port_watchdog_start(MEASURE_LONGEST_US);
    engine_state = engine_init();
    port_watchdog_stop();
}

static wire_status refuse_for(wire_status status, const char *why, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    *reply_bytes = n;
    wire_put_bytes(reply, why, n);
    return status;
}

/* `why` is a literal. No strlen: newlib's is aligned to 64 bytes, which moved the model's flash figure by up to as much. */
#define refuse(status, why, reply, reply_bytes) refuse_for(status, why, sizeof(why) - 1, reply, reply_bytes)

static uint32_t output_bytes(void)
{
    uint32_t total = 0;
    for (uint16_t i = 0; i < engine.output_count; i++)
        total += engine.outputs[i].bytes;
    return total;
}

/* A tensor's bytes [offset, offset + n) or NULL if there is no such tensor or the range leaves it. */
static uint8_t *slice(const engine_tensor *tensors, uint16_t count, uint8_t index, uint32_t offset, uint32_t n)
{
    static uint8_t nothing; /* stands for an empty range: an empty tensor may have no address */
    if (index >= count || offset > tensors[index].bytes || n > tensors[index].bytes - offset)
        return 0;
    return n ? (uint8_t *)tensors[index].data + offset : &nothing;
}

static uint8_t *put_name(uint8_t *p, const char *name)
{
    uint32_t n = 0;
    while (n < WIRE_HELLO_NAME_BYTES && name[n])
        n++;
    memset(p, 0, WIRE_HELLO_NAME_BYTES);
    wire_put_bytes(p, name, n);
    return p + WIRE_HELLO_NAME_BYTES;
}

static uint8_t *put_tensors(uint8_t *p, const engine_tensor *tensors, uint16_t count)
{
    for (const engine_tensor *t = tensors; t < tensors + count; t++) {
        *p++ = t->dtype;
        *p++ = t->rank;
        p = wire_put_u16(p, 0);
        for (int d = 0; d < ENGINE_MAX_RANK; d++)
            p = wire_put_u32(p, d < t->rank ? t->dims[d] : 0);
        p = wire_put_f32(p, t->scale);
        p = wire_put_u32(p, (uint32_t)t->zero_point);
    }
    return p;
}

static wire_status hello(uint8_t *reply, uint32_t *reply_bytes)
{
    uint8_t *p = reply;
    uint8_t board_id[8];
    const port_fault *fault = port_last_fault();
    if (WIRE_HELLO_BYTES + (engine.input_count + engine.output_count) * WIRE_HELLO_TENSOR_BYTES > WIRE_MAX_PAYLOAD)
        return refuse(WIRE_STATUS_ENGINE, "more tensors than a hello can hold", reply, reply_bytes);
    port_board_id(board_id);
    p = wire_put_u16(p, WIRE_VERSION);
    p = wire_put_u16(p, HELLO_FLAGS | (fault ? WIRE_HELLO_FAULT : 0));
    p = wire_put_bytes(p, app_build_id, 16);
    p = wire_put_bytes(p, engine.model_sha256, 32);
    p = wire_put_bytes(p, board_id, sizeof board_id);
    p = wire_put_u32(p, port_clock_hz);
    p = wire_put_u32(p, WIRE_MAX_PAYLOAD);
    p = wire_put_u32(p, engine.arena_bytes);
    p = wire_put_u32(p, measure_overhead());
    p = wire_put_u32(p, fault ? fault->pc : 0);
    p = wire_put_u16(p, engine.op_count);
    *p++ = (uint8_t)engine.input_count;
    *p++ = (uint8_t)engine.output_count;
    p = put_name(p, engine.name);
    p = put_name(p, port_name());
    p = put_tensors(p, engine.inputs, engine.input_count);
    p = put_tensors(p, engine.outputs, engine.output_count);
    *reply_bytes = (uint32_t)(p - reply);
    return WIRE_STATUS_OK;
}

/* CRC-32 of all tensors' bytes, one after another. */
static uint32_t tensors_crc(const engine_tensor *tensors, uint16_t count)
{
    uint32_t crc = 0;
    for (const engine_tensor *t = tensors; t < tensors + count; t++)
        crc = wire_crc32(crc, t->data, t->bytes);
    return crc;
}

static uint8_t *put_outputs(uint8_t *p, const uint8_t *end)
{
    if (output_bytes() > (uint32_t)(end - p))
        return p;
    for (uint16_t i = 0; i < engine.output_count; i++)
        p = wire_put_bytes(p, engine.outputs[i].data, engine.outputs[i].bytes);
    return p;
}

/* Inferences since the engine's state was last put back to its beginning, from 1 to 65535 and then from 1 again; 0: not known.
 * A repetition that arrives late finds another number here than it means, so that no window moves the state twice. */
static uint16_t state_at;

static uint16_t next_state(uint16_t at)
{
    return at == UINT16_MAX ? 1 : (uint16_t)(at + 1);
}

static wire_status invoke(uint8_t flags, uint16_t after, uint32_t inputs_crc, uint8_t *reply, uint32_t *reply_bytes)
{
    uint16_t ops = flags & WIRE_PROFILE ? engine.op_count : 0;
    measure_result result = {0, 0};
    if (ops > (WIRE_MAX_PAYLOAD - WIRE_RUN_REPLY_BYTES) / 4)
        return refuse(WIRE_STATUS_ENGINE, "more steps than a reply can hold", reply, reply_bytes);
    /* Whatever the line did to the chunks: nothing but the inputs that the host means is ever measured. */
    if (tensors_crc(engine.inputs, engine.input_count) != inputs_crc)
        return refuse(WIRE_STATUS_BAD_INPUT, "the input tensors hold other bytes", reply, reply_bytes);
    int keep = flags & WIRE_KEEP;
    if (keep && (after == 0 || after != state_at))
        return refuse(WIRE_STATUS_STATE, "the engine's state is that of another window", reply, reply_bytes);
    state_at = 0;
    uint8_t *op_cycles = ops ? reply + WIRE_RUN_REPLY_BYTES : 0;
#ifdef PORT_STACK_UNKNOWN
    flags &= (uint8_t)~WIRE_STACK; /* the reply says that it was not measured */
#endif
    int error = measure_inference(keep, flags & WIRE_STACK, flags & WIRE_TRIGGER, op_cycles, &result);
    if (error == MEASURE_ERR_STACK)
        return refuse(WIRE_STATUS_ENGINE, "the stack reached its limit", reply, reply_bytes);
    if (error < 0)
        return refuse(WIRE_STATUS_ENGINE, "an operator failed", reply, reply_bytes);
    state_at = keep ? next_state(after) : 1;
    uint8_t *p = wire_put_u32(reply, result.cycles);
    p = wire_put_u32(p, result.stack_bytes);
    p = wire_put_u16(p, ops);
    *p++ = flags;
    *p++ = 0;
    p = wire_put_u32(p, inputs_crc);
    p = wire_put_u32(p, tensors_crc(engine.outputs, engine.output_count));
    p += 4 * ops;
    if (!(flags & WIRE_NO_OUTPUTS))
        p = put_outputs(p, reply + WIRE_MAX_PAYLOAD);
    *reply_bytes = (uint32_t)(p - reply);
    return WIRE_STATUS_OK;
}

static wire_status run(const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (n < WIRE_RUN_BYTES)
        return refuse(WIRE_STATUS_BAD_LENGTH, "RUN needs 12 bytes", reply, reply_bytes);
    if (engine_state < 0) /* its tensors may have no address */
        return refuse(WIRE_STATUS_ENGINE, "engine_init failed", reply, reply_bytes);
    uint32_t data_bytes = n - WIRE_RUN_BYTES;
    if (data_bytes) {
        uint8_t *to = slice(engine.inputs, engine.input_count, payload[0], wire_get_u32(payload + 4), data_bytes);
        if (!to)
            return refuse(WIRE_STATUS_BAD_ARGUMENT, "outside the input tensors", reply, reply_bytes);
        wire_put_bytes(to, payload + WIRE_RUN_BYTES, data_bytes);
    }
    if (payload[1] & WIRE_INVOKE)
        return invoke(payload[1], wire_get_u16(payload + 2), wire_get_u32(payload + 8), reply, reply_bytes);
    return WIRE_STATUS_OK;
}

static wire_status read_output(const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (n != WIRE_READ_BYTES)
        return refuse(WIRE_STATUS_BAD_LENGTH, "READ takes 12 bytes", reply, reply_bytes);
    if (engine_state < 0)
        return refuse(WIRE_STATUS_ENGINE, "engine_init failed", reply, reply_bytes);
    uint32_t length = wire_get_u32(payload + 8);
    const uint8_t *from = slice(engine.outputs, engine.output_count, payload[0], wire_get_u32(payload + 4), length);
    if (!from || length > WIRE_MAX_PAYLOAD)
        return refuse(WIRE_STATUS_BAD_ARGUMENT, "outside the output tensors", reply, reply_bytes);
    wire_put_bytes(reply, from, length);
    *reply_bytes = length;
    return WIRE_STATUS_OK;
}

static wire_status reboot(const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (n != 1)
        return refuse(WIRE_STATUS_BAD_LENGTH, "REBOOT takes 1 byte", reply, reply_bytes);
    if (payload[0] > 1)
        return refuse(WIRE_STATUS_BAD_ARGUMENT, "no such mode", reply, reply_bytes);
    return WIRE_STATUS_OK; /* main.c resets after the reply has left */
}

_Static_assert(sizeof(port_fault) == 4 * WIRE_FAULT_WORDS, "port.h and WIRE.md differ");

static wire_status last_fault(uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    static const port_fault none;
    const port_fault *fault = port_last_fault();
    uint32_t words[WIRE_FAULT_WORDS];
    if (n)
        return refuse(WIRE_STATUS_BAD_LENGTH, "FAULT takes nothing", reply, reply_bytes);
    memcpy(words, fault ? fault : &none, sizeof words);
    for (int i = 0; i < WIRE_FAULT_WORDS; i++)
        wire_put_u32(reply + 4 * i, words[i]);
    *reply_bytes = 4 * WIRE_FAULT_WORDS;
    return WIRE_STATUS_OK;
}

static wire_status counter(uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (n)
        return refuse(WIRE_STATUS_BAD_LENGTH, "CLOCK takes nothing", reply, reply_bytes);
    wire_put_u32(reply, port_cycles());
    *reply_bytes = WIRE_CLOCK_BYTES;
    return WIRE_STATUS_OK;
}

wire_status app_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    *reply_bytes = 0;
#ifdef APP_LIVE
    if (live_has_engine())
        state_at = 0;
    if (live_has_engine() && (type == WIRE_RUN || type == WIRE_READ))
        return refuse(WIRE_STATUS_BAD_ARGUMENT, "the engine is in use: it samples", reply, reply_bytes);
#endif
    switch (type) {
    case WIRE_HELLO:
        return hello(reply, reply_bytes);
    case WIRE_RUN:
        return run(payload, n, reply, reply_bytes);
    case WIRE_READ:
        return read_output(payload, n, reply, reply_bytes);
    case WIRE_ECHO:
        wire_put_bytes(reply, payload, n);
        *reply_bytes = n;
        return WIRE_STATUS_OK;
    case WIRE_REBOOT:
        return reboot(payload, n, reply, reply_bytes);
    case WIRE_FAULT:
        return last_fault(n, reply, reply_bytes);
    case WIRE_CLOCK:
        return counter(n, reply, reply_bytes);
    default:
#ifdef APP_LIVE
        return live_execute(type, payload, n, reply, reply_bytes);
#else
        return refuse(WIRE_STATUS_BAD_TYPE, "no such request", reply, reply_bytes);
#endif
    }
}
