/* toy_fault.c: misbehaves as its first input byte says, to see what the firmware makes of it. ARM only. */
#include "../nn/engine.h"
#include "../port/port.h"

enum {
    BEHAVE = 0,
    BAD_ADDRESS = 1,
    BAD_INSTRUCTION = 2,
    USE_ALL_STACK = 3,
    HANG = 4,
    RECURSE = 5,
    HUGE_FRAME = 6,
    JUMP_NOWHERE = 7,
    HANG_MASKED = 8,
    WRITE_FLASH = 9,
    ARENA_BYTES = 256,
    HUGE_BYTES = 512 * 1024, /* more than the RAM */
};

static uint8_t io[4];
/* What an overflowing stack must not touch. It outlives the reset, so that the host can look at it afterwards. */
static uint8_t arena[ARENA_BYTES] __attribute__((section(".noinit.arena")));

static const engine_tensor input = {io, sizeof io, ENGINE_UINT8, 1, {4}, 0, 0};
static const engine_tensor output = {arena, sizeof arena, ENGINE_UINT8, 1, {ARENA_BYTES}, 0, 0};

const engine_info engine = {
    .name = "toy-fault",
    .arena_bytes = sizeof io + sizeof arena,
    .input_count = 1,
    .output_count = 1,
    .op_count = 1,
    .inputs = &input,
    .outputs = &output,
};

#ifdef TOY_FAULT_AT_START
int engine_init(void)
{
    return *(volatile int *)0x60000000;
}
#else
int engine_init(void)
{
    return ENGINE_OK;
}
#endif

/* Each turn keeps what the others need, so that no compiler makes a loop of it. */
__attribute__((noinline)) static uint32_t toy_recurse(volatile uint32_t *caller)
{
    volatile uint32_t mine[8] = {*caller + 1};
    return toy_recurse(mine) + mine[0];
}

__attribute__((noinline)) static uint32_t toy_huge_frame(uint32_t seed)
{
    volatile uint8_t huge[HUGE_BYTES];
    for (uint32_t i = 0; i < HUGE_BYTES; i++)
        huge[i] = (uint8_t)(i + seed);
    return huge[seed];
}

#ifndef UNMAPPED
#define UNMAPPED 0x60000000
#endif
#ifdef __riscv
#define MASK_INTERRUPTS() __asm volatile("csrci mstatus, 8")
#else
#define MASK_INTERRUPTS() __asm volatile("cpsid i")
#endif

__attribute__((noinline)) static void toy_spin(void)
{
    for (volatile int i = 0;; i++) {}
}

__attribute__((noipa)) static uint8_t toy_read(uintptr_t address)
{
    return *(volatile uint8_t *)address;
}

static void misbehave(uint8_t how)
{
    volatile uint32_t seed = how;
    switch (how) {
    case BAD_ADDRESS:
        io[0] = toy_read(UNMAPPED);
        break;
    case BAD_INSTRUCTION:
        __builtin_trap();
        break;
    case USE_ALL_STACK:
        *(volatile uint32_t *)(void *)port_stack_limit() = 0;
        break;
    case HANG:
        toy_spin();
        break;
    case RECURSE:
        io[0] = (uint8_t)toy_recurse(&seed);
        break;
    case HUGE_FRAME:
        io[0] = (uint8_t)toy_huge_frame(seed);
        break;
    case JUMP_NOWHERE:
        ((void (*)(void))(uintptr_t)0x60000001)();
        break;
    case HANG_MASKED:
        MASK_INTERRUPTS();
        toy_spin();
        break;
    case WRITE_FLASH:
        *(volatile uint32_t *)0x10000 = 0;
        break;
    default:
        break;
    }
}

int engine_run_op(uint16_t index)
{
    (void)index;
    for (int i = 0; i < ARENA_BYTES; i++)
        arena[i] = (uint8_t)(i ^ io[1]);
    misbehave(io[0]);
    return ENGINE_OK;
}

int engine_invoke(void)
{
    return engine_run_op(0);
}
