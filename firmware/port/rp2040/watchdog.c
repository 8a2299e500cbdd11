/* watchdog.c: an alarm of the timer interrupts once, at the end of its time; nothing runs before that. SysTick counts cycles. */
#include "cortexm/fault.h"
#include "rp2040.h"

/* SysTick stands before the interrupts; TIMER_IRQ_0 is the first of these. */
__attribute__((section(".vectors.chip"), used)) static const fault_vector watchdog_vectors[] = {
    [0 ... 1] = {.handler = fault_trap}};

void port_watchdog_start(uint32_t us)
{
    TIMER_INTR = 1;
    TIMER_INTE = 1;
    TIMER_ALARM0 = TIMER_RAW_LOW + us;
    NVIC_ICPR(0) = 1;
    NVIC_ISER(0) = 1;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    TIMER_ARMED = 1; /* disarms */
    TIMER_INTE = 0;
}
