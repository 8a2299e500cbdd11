/* test_commands.c: every request of commands.c on toy_multi.c, good and bad. */
#include <string.h>

#include "../app/commands.h"
#include "../nn/engine.h"
#include "../port/port.h"
#include "check.h"

static _Alignas(4) uint8_t request[WIRE_MAX_PAYLOAD], reply[WIRE_MAX_PAYLOAD];
static uint32_t reply_bytes;

static wire_status ask(uint8_t type, uint32_t n)
{
    return app_execute(type, request, n, reply, &reply_bytes);
}

static wire_status run_on(uint32_t crc, uint8_t tensor, uint8_t flags, uint32_t offset, const void *data, uint32_t n)
{
    request[0] = tensor;
    request[1] = flags;
    wire_put_u16(request + 2, 0);
    wire_put_u32(request + 4, offset);
    wire_put_u32(request + 8, crc);
    wire_put_bytes(request + WIRE_RUN_BYTES, data, n);
    return ask(WIRE_RUN, WIRE_RUN_BYTES + n);
}

/* CRC of both inputs as they stand once `data` is in place. */
static uint32_t crc_with(uint8_t tensor, uint32_t offset, const void *data, uint32_t n)
{
    static uint8_t copies[2][10000];
    uint32_t crc = 0;
    for (int i = 0; i < 2; i++)
        memcpy(copies[i], engine.inputs[i].data, engine.inputs[i].bytes);
    if (n)
        memcpy(copies[tensor] + offset, data, n);
    for (int i = 0; i < 2; i++)
        crc = wire_crc32(crc, copies[i], engine.inputs[i].bytes);
    return crc;
}

static wire_status run(uint8_t tensor, uint8_t flags, uint32_t offset, const void *data, uint32_t n)
{
    return run_on(flags ? crc_with(tensor, offset, data, n) : 0, tensor, flags, offset, data, n);
}

static wire_status read_back(uint8_t tensor, uint32_t offset, uint32_t length)
{
    memset(request, 0, 4);
    request[0] = tensor;
    wire_put_u32(request + 4, offset);
    wire_put_u32(request + 8, length);
    return ask(WIRE_READ, WIRE_READ_BYTES);
}

static void test_hello(void)
{
    CHECK(ask(WIRE_HELLO, 0) == WIRE_STATUS_OK);
    CHECK(reply_bytes == WIRE_HELLO_BYTES + 5 * WIRE_HELLO_TENSOR_BYTES);
    CHECK(memcmp(reply + 4, app_build_id, 16) == 0);
    CHECK(memcmp(reply + 20, engine.model_sha256, 32) == 0);
    CHECK(wire_get_u32(reply + 64) == WIRE_MAX_PAYLOAD);
    CHECK(reply[82] == 2 && reply[83] == 3);
    CHECK(memcmp(reply + 84, "toy-multi\0\0\0\0\0\0\0", 16) == 0);
    CHECK(memcmp(reply + 100, "host\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
}

static void test_run_and_read(void)
{
    const float x[6] = {1, 2, 3, 4, 5, 6};
    int8_t b[4] = {1, 2, 3, -128};
    CHECK(run(0, 0, 0, x, sizeof x) == WIRE_STATUS_OK && reply_bytes == 0);
    CHECK(run(1, WIRE_INVOKE, 9996, b, sizeof b) == WIRE_STATUS_OK);
    CHECK(reply_bytes == WIRE_RUN_REPLY_BYTES); /* the outputs are too long for one frame */
    CHECK(wire_get_u32(reply) > 0);
    CHECK(read_back(0, 4, 8) == WIRE_STATUS_OK && reply_bytes == 8);
    CHECK(memcmp(reply, &(float[]){4, 6}, 8) == 0);
    CHECK(read_back(1, 9996, 4) == WIRE_STATUS_OK);
    CHECK(memcmp(reply, &(int8_t[]){-1, -2, -3, -128}, 4) == 0);
    CHECK(read_back(2, 0, 4) == WIRE_STATUS_OK && wire_get_u32(reply) == (uint32_t)(21 + 6 - 128));
}

static void test_runs_on_the_announced_inputs_only(void)
{
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int8_t b[4] = {1, 2, 3, 4};
    uint32_t crc = crc_with(0, 0, x, sizeof x);
    CHECK(run_on(crc, 0, WIRE_INVOKE, 0, x, sizeof x) == WIRE_STATUS_OK);
    CHECK(reply[9] == 0 && reply[10] == WIRE_INVOKE && wire_get_u32(reply + 12) == crc);
    memset(engine.outputs[2].data, 0x55, 4);
    const uint8_t flags[] = {WIRE_INVOKE, WIRE_INVOKE | WIRE_STACK, WIRE_INVOKE | WIRE_PROFILE};
    for (int i = 0; i < 3; i++)
        CHECK(run_on(crc ^ 1, 0, flags[i], 0, x, sizeof x) == WIRE_STATUS_BAD_INPUT && reply_bytes > 0);
    CHECK(run_on(crc, 1, WIRE_INVOKE, 17, b, sizeof b) == WIRE_STATUS_BAD_INPUT); /* a chunk that belongs elsewhere */
    CHECK(wire_get_u32(engine.outputs[2].data) == 0x55555555u);                   /* none of them ran */
    memset((int8_t *)engine.inputs[1].data + 17, 0, 4);
    CHECK(run_on(crc, 0, WIRE_INVOKE, 0, 0, 0) == WIRE_STATUS_OK);
}

static void test_reply_names_the_outputs(void)
{
    uint32_t crc = 0;
    CHECK(run(0, WIRE_INVOKE | WIRE_NO_OUTPUTS, 0, 0, 0) == WIRE_STATUS_OK && reply_bytes == WIRE_RUN_REPLY_BYTES);
    for (int i = 0; i < 3; i++)
        crc = wire_crc32(crc, engine.outputs[i].data, engine.outputs[i].bytes);
    CHECK(wire_get_u32(reply + 16) == crc);
}

static void test_ranges_are_checked(void)
{
    const uint8_t zeros[4] = {0};
    CHECK(run(2, 0, 0, zeros, 4) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(run(0, 0, 21, zeros, 4) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(run(0, 0, 0xFFFFFFFEu, zeros, 4) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(run(9, 0, 0xFFFFFFFEu, zeros, 0) == WIRE_STATUS_OK); /* without data they mean nothing */
    CHECK(read_back(3, 0, 0) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(read_back(0, 24, 1) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(read_back(0, 0xFFFFFFFFu, 2) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(read_back(1, 0, WIRE_MAX_PAYLOAD + 1) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(read_back(1, 0, WIRE_MAX_PAYLOAD) == WIRE_STATUS_OK && reply_bytes == WIRE_MAX_PAYLOAD);
}

static void test_lengths_and_types_are_checked(void)
{
    CHECK(ask(WIRE_RUN, WIRE_RUN_BYTES - 1) == WIRE_STATUS_BAD_LENGTH && reply_bytes > 0);
    CHECK(ask(WIRE_READ, WIRE_READ_BYTES + 1) == WIRE_STATUS_BAD_LENGTH);
    CHECK(ask(WIRE_REBOOT, 0) == WIRE_STATUS_BAD_LENGTH);
    request[0] = 2;
    CHECK(ask(WIRE_REBOOT, 1) == WIRE_STATUS_BAD_ARGUMENT);
    CHECK(ask(0x00, 0) == WIRE_STATUS_BAD_TYPE);
    CHECK(ask(0x7F, 0) == WIRE_STATUS_BAD_TYPE);
}

static void test_no_fault_is_told(void)
{
    CHECK(ask(WIRE_FAULT, 0) == WIRE_STATUS_OK && reply_bytes == 4 * WIRE_FAULT_WORDS);
    for (int i = 0; i < WIRE_FAULT_WORDS; i++)
        CHECK(wire_get_u32(reply + 4 * i) == 0);
    CHECK(ask(WIRE_FAULT, 1) == WIRE_STATUS_BAD_LENGTH);
}

static void test_the_counter_is_told(void)
{
    CHECK(ask(WIRE_CLOCK, 0) == WIRE_STATUS_OK && reply_bytes == WIRE_CLOCK_BYTES);
    uint32_t first = wire_get_u32(reply), now = port_cycles();
    CHECK(ask(WIRE_CLOCK, 0) == WIRE_STATUS_OK);
    CHECK(now - first < 1u << 31 && wire_get_u32(reply) - now < 1u << 31); /* in order, on whichever side of a wrap */
    CHECK(ask(WIRE_CLOCK, 1) == WIRE_STATUS_BAD_LENGTH);
}

static void test_engine_error_is_told(void)
{
    const int8_t zeros[4] = {0};
    float x[6] = {127, 0, 0, 0, 0, 0};
    CHECK(run(1, 0, 9996, zeros, sizeof zeros) == WIRE_STATUS_OK);
    CHECK(run(0, WIRE_INVOKE, 0, x, sizeof x) == WIRE_STATUS_ENGINE);
    x[0] = 0;
    CHECK(run(0, WIRE_INVOKE, 0, x, sizeof x) == WIRE_STATUS_OK);
}

static void test_echo(void)
{
    for (uint32_t i = 0; i < WIRE_MAX_PAYLOAD; i++)
        request[i] = (uint8_t)(i * 7);
    CHECK(ask(WIRE_ECHO, WIRE_MAX_PAYLOAD) == WIRE_STATUS_OK && reply_bytes == WIRE_MAX_PAYLOAD);
    CHECK(memcmp(request, reply, WIRE_MAX_PAYLOAD) == 0);
}

int main(void)
{
    port_init();
    app_init();
    test_hello();
    test_run_and_read();
    test_runs_on_the_announced_inputs_only();
    test_reply_names_the_outputs();
    test_ranges_are_checked();
    test_lengths_and_types_are_checked();
    test_no_fault_is_told();
    test_the_counter_is_told();
    test_engine_error_is_told();
    test_echo();
    return 0;
}
