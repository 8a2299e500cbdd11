/* startup.c: reset, vectors and faults of a Cortex-M4F. The firmware polls, so there are no interrupt handlers.
 * Register sources: Armv7-M Architecture Reference Manual (DDI 0403), B3.2 System Control Block, B3.5 MPU. */
#include <stdint.h>

#include "fault.h"

#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0C)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28)
#define SCB_CPACR (*(volatile uint32_t *)0xE000ED88)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94)
#define AIRCR_SYSRESETREQ 0x05FA0004u
#define CPACR_CP10_CP11_FULL (0xFu << 20)

enum { VECTOR_COUNT = 16, FRAME_PC = 6 /* word of the stacked PC, B1.5.6 */ };

extern uint32_t _stack_top[], _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

int main(void);
void port_reset(void);

__attribute__((section(".noinit"))) fault_record fault_last;

/* Called with the exception frame. Leaves a record for the next hello and starts again. */
__attribute__((used, noreturn)) static void record_fault(const uint32_t *frame)
{
    fault_last.pc = frame[FRAME_PC];
    fault_last.cfsr = SCB_CFSR;
    fault_last.check = FAULT_MAGIC ^ fault_last.pc ^ fault_last.cfsr;
    POWER_GPREGRET2 = FAULT_FLAG;
    __asm volatile("dsb");
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

__attribute__((naked)) static void fault(void)
{
    __asm volatile("tst lr, #4\n" /* EXC_RETURN bit 2: which stack holds the frame */
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "b record_fault\n");
}

typedef union {
    void *address;
    void (*handler)(void);
} vector;

/* Stack, reset, NMI, HardFault, MemManage, BusFault, UsageFault, then the rest: all unexpected, all recorded. */
__attribute__((section(".vectors"), used)) static const vector vectors[VECTOR_COUNT] = {
    {.address = _stack_top}, {.handler = port_reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},      {.handler = fault},      {.handler = fault}, {0},
    {0},                     {0},                     {0},                {.handler = fault},
    {.handler = fault},      {0},                     {.handler = fault}, {.handler = fault},
};

/* The bootloader may leave interrupts pending and its MPU regions on. */
static void take_over(void)
{
    __asm volatile("cpsid i");
    MPU_CTRL = 0;
    SCB_VTOR = (uint32_t)vectors;
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\nisb");
}

void port_reset(void)
{
    take_over();
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; to < _data_end;)
        *to++ = *from++;
    for (uint32_t *to = _bss_start; to < _bss_end;)
        *to++ = 0;
    main();
    for (;;) {
    }
}
