/* measure.c: see measure.h. */
#include "measure.h"

#include "../nn/engine.h"
#include "../port/port.h"
#include "wire.h"

/* Bytes below the painting function's frame address that stay unpainted, because that function itself may use them.
 * A smaller stack than this and that function's frame can't be distinguished, so it is the least that is ever reported. */
#ifndef MEASURE_STACK_MARGIN
#define MEASURE_STACK_MARGIN 16
#endif

#define MEASURE_PAINT 0xC5A35A3Cu /* unlikely as data, address or zero */

enum { MEASURE_CALIBRATIONS = 8, WATCHDOG_TIMES = 20, WATCHDOG_LEAST_US = 1000000 };

static uint32_t overhead;
static uint32_t longest_us; /* of all inferences since reset; 0: none yet, or the counter is off */

void measure_init(void)
{
    overhead = UINT32_MAX;
    /* The least of several: the first reads may wait for flash that is not in the cache yet. */
    for (int i = 0; i < MEASURE_CALIBRATIONS; i++) {
        uint32_t start = port_cycles();
        uint32_t cycles = port_cycles() - start;
        if (cycles < overhead)
            overhead = cycles;
    }
}

uint32_t measure_overhead(void)
{
    return overhead;
}

/* Inlined wherever it is used: a call before the counter is read would count as the engine's. */
static inline __attribute__((always_inline)) uint32_t since(uint32_t start)
{
    uint32_t cycles = port_cycles() - start;
    return cycles > overhead ? cycles - overhead : 0;
}

/* The sanitizers must not guard these two: they touch the stack below every live frame, on purpose. */
__attribute__((noinline, no_sanitize("address"))) static uint8_t *paint_stack(uint8_t *limit)
{
    uint8_t *end = (uint8_t *)__builtin_frame_address(0) - MEASURE_STACK_MARGIN;
    for (volatile uint32_t *p = (volatile uint32_t *)(void *)limit; (uintptr_t)p < (uintptr_t)end; p++)
        *p = MEASURE_PAINT;
    return end;
}

__attribute__((noinline, no_sanitize("address"))) static const uint8_t *lowest_touched(const uint8_t *limit, const uint8_t *end)
{
    while ((uintptr_t)limit < (uintptr_t)end && *(const volatile uint32_t *)(const void *)limit == MEASURE_PAINT)
        limit += sizeof(uint32_t);
    return limit;
}

/* Inlined in both its callers: a frame of its own would count as the engine's stack. */
static inline __attribute__((always_inline)) int invoke(uint32_t *cycles)
{
    uint32_t start = port_cycles();
    int error = engine_invoke();
    *cycles = since(start);
    return error;
}

/* For ports without a pin; a port's own replaces it. */
__attribute__((weak)) void port_trigger(int on)
{
    (void)on;
}

/* For engines that keep nothing; an engine's own replaces it. */
__attribute__((weak)) void engine_reset(void)
{
}

/* Out of line, so that any other inference is compiled and measured as if there were no trigger. */
__attribute__((noinline)) static int invoke_triggered(uint32_t *cycles)
{
    port_trigger(1);
    int error = invoke(cycles);
    port_trigger(0);
    return error;
}

static int profile(uint8_t *op_cycles, uint32_t *cycles)
{
    *cycles = 0;
    for (uint16_t i = 0; i < engine.op_count; i++) {
        uint32_t start = port_cycles();
        int error = engine_run_op(i);
        uint32_t passed = since(start);
        op_cycles = wire_put_u32(op_cycles, passed);
        *cycles += passed;
        if (error < 0)
            return error;
    }
    return 0;
}

/* A function of its own: the frames above `base` must not depend on what surrounds a measurement. */
__attribute__((noinline)) static int measured(int with_stack, uint8_t *op_cycles, measure_result *result)
{
    const uint8_t *base = __builtin_frame_address(0); /* counted from here: what this function's callees use */
    uint8_t *limit = port_stack_limit();
    const uint8_t *painted_end = with_stack ? paint_stack(limit) : 0;
    int error = op_cycles ? profile(op_cycles, &result->cycles) : invoke(&result->cycles);
    const uint8_t *lowest = with_stack ? lowest_touched(limit, painted_end) : base;
    result->stack_bytes = (uint32_t)(base - lowest);
    if (error >= 0 && lowest == limit)
        return MEASURE_ERR_STACK;
    return error;
}

static uint32_t watchdog_us(void)
{
    uint32_t us = WATCHDOG_LEAST_US + WATCHDOG_TIMES * longest_us; /* at most 1 s + 20 * 67 s: no overflow */
    return longest_us && us < MEASURE_LONGEST_US ? us : MEASURE_LONGEST_US;
}

int measure_inference(int keep_state, int with_stack, int with_trigger, uint8_t *op_cycles, measure_result *result)
{
    port_watchdog_start(watchdog_us());
    if (!keep_state)
        engine_reset();
    int error = with_trigger ? invoke_triggered(&result->cycles) : measured(with_stack, op_cycles, result);
    port_watchdog_stop();
    uint32_t us = result->cycles / (port_clock_hz / 1000000);
    if (us > longest_us)
        longest_us = us;
    return error;
}
