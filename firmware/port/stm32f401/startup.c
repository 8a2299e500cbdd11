/* startup.c: reset and vectors of a Cortex-M4F. The firmware polls; the guard's is the only interrupt.
 * Register sources: Armv7-M Architecture Reference Manual (DDI 0403), B3.2 System Control Block, B3.3 SysTick, B3.4 NVIC,
 * B3.5 MPU. */
#include <stdint.h>

#include "fault.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REG(0xE000E010)
#define NVIC_ICER(n) REG(0xE000E180 + 4 * (n))
#define NVIC_ICPR(n) REG(0xE000E280 + 4 * (n))
#define SCB_ICSR REG(0xE000ED04)
#define SCB_VTOR REG(0xE000ED08)
#define SCB_CPACR REG(0xE000ED88)
#define MPU_CTRL REG(0xE000ED94)
#define ICSR_CLEAR_PENDING (1u << 27 | 1u << 25) /* PENDSVCLR, PENDSTCLR */
#define CPACR_CP10_CP11_FULL (0xFu << 20)

enum { VECTOR_COUNT = 16 + FAULT_GUARD_IRQ + 1, IRQ_WORDS = 3 /* 85 interrupts: RM0368 10.2, table 38 */ };

extern uint32_t _stack_limit[], _stack_top[], _startup_frame[], _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

int main(void);
void port_reset(void);

typedef union {
    void *address;
    void (*handler)(void);
} vector;

/* Whatever comes but reset is unexpected and is recorded. */
__attribute__((section(".vectors"), used)) static const vector vectors[VECTOR_COUNT] = {
    {.address = _stack_top},
    {.handler = port_reset},
    [2 ... VECTOR_COUNT - 1] = {.handler = fault_trap},
};

/* A debugger that starts the image without a reset leaves interrupts and MPU as the program before had them. */
static void take_over(void)
{
    __asm volatile("cpsid i");
    MPU_CTRL = 0;
    SYST_CSR = 0;
    for (int i = 0; i < IRQ_WORDS; i++) {
        NVIC_ICER(i) = ~0u;
        NVIC_ICPR(i) = ~0u;
    }
    SCB_ICSR = ICSR_CLEAR_PENDING;
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
    /* Return addresses of an earlier program would mislead fault.c's trace. */
    for (uint32_t *to = _stack_limit; to < _startup_frame;)
        *to++ = 0;
    main();
    for (;;) {
    }
}
