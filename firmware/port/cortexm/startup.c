/* startup.c: reset and vectors of a Cortex-M; what one of the smaller cores lacks ignores its write. The firmware polls; the watchdog's is the only interrupt. */
#include "armv7m.h"
#include "fault.h"
#include "mailbox.h"
#include "sections.h"

#define CPACR_CP10_CP11_FULL (0xFu << 20)

enum { VECTOR_COUNT = 15 /* SysTick and interrupts: watchdog.c */, IRQ_WORDS = 3 /* 96 interrupts */ };

int main(void);
void port_reset(void);

/* Whatever comes but reset is unexpected and is recorded. */
__attribute__((section(".vectors"), used)) static const fault_vector vectors[VECTOR_COUNT] = {
    {.address = _stack_top},
    {.handler = port_reset},
    [2 ... 7] = {.handler = fault_trap},
#ifdef PORT_MAILBOX
    [MAILBOX_VECTOR] = {.address = &port_mailbox}, /* reserved: never taken */
#else
    [8] = {.handler = fault_trap},
#endif
    [9 ... VECTOR_COUNT - 1] = {.handler = fault_trap},
};

/* The bootloader may leave interrupts on or pending and its MPU regions on. */
static void take_over(void)
{
    __asm volatile("cpsid i");
    MPU_CTRL = 0;
    SYST_CSR = 0;
    for (uint32_t i = 0; i < IRQ_WORDS; i++) {
        NVIC_ICER(i) = ~0u;
        NVIC_ICPR(i) = ~0u;
    }
    SCB_ICSR = ICSR_PENDSVCLR | ICSR_PENDSTCLR;
    SCB_VTOR = (uint32_t)vectors;
    SCB_CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\nisb");
}

void port_reset(void)
{
    take_over();
    /* As numbers: C knows no order between the linker's symbols. */
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; (uintptr_t)to < (uintptr_t)_data_end;)
        *to++ = *from++;
    for (uint32_t *to = _bss_start; (uintptr_t)to < (uintptr_t)_bss_end;)
        *to++ = 0;
    /* Return addresses of an earlier program would mislead fault.c's trace. */
    for (uint32_t *to = _stack_limit; (uintptr_t)to < (uintptr_t)_startup_frame;)
        *to++ = 0;
    main();
    for (;;) {}
}
