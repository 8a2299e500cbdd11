/* watchdog.c: the machine's second timer interrupts once, at the end of its time; nothing runs before that. */
#include "cortexm/armv7m.h"
#include "cortexm/fault.h"
#include "machine.h"

/* SysTick stands before the interrupts. */
__attribute__((section(".vectors.chip"), used)) static const fault_vector watchdog_vectors[] = {
    [0 ... 1 + WATCH_IRQ] = {.handler = fault_trap}};

/* us: MEASURE_LONGEST_US at most, 1.5e9 ticks. */
void port_watchdog_start(uint32_t us)
{
    machine_watch(us);
    NVIC_ICPR(0) = 1u << WATCH_IRQ;
    NVIC_ISER(0) = 1u << WATCH_IRQ;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    machine_unwatch();
}
