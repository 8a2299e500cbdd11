/* watchdog.c: TIMER0 counts microseconds and interrupts once, at the end of its time. Nothing runs before that, so cycle
 * counts stay what they are. It can be stopped, unlike the chip's own watchdog (PS 6.36), which would continue into the
 * bootloader and end a flash job. A program that hangs with interrupts masked is not caught; the host's deadline is. */
#include "cortexm/fault.h"
#include "nrf52840.h"

/* SysTick stands before the interrupts. */
__attribute__((section(".vectors.chip"), used)) static const fault_vector watchdog_vectors[] = {
    [0 ... 1 + TIMER0_IRQ] = {.handler = fault_trap},
};

void port_watchdog_start(uint32_t us)
{
    timer0_set(us);
    NVIC_ISER(0) = 1u << TIMER0_IRQ;
    TIMER_TASKS_START = 1;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    TIMER_TASKS_STOP = 1;
    TIMER_INTENCLR = TIMER_COMPARE0;
}
