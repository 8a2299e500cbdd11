/* watchdog.c: the second CMSDK timer interrupts once, at the end of its time; nothing runs before that.
 * Register sources: DDI 0479 4.2 APB timer; AN386 for its address and interrupt. */
#include "cortexm/armv7m.h"
#include "cortexm/fault.h"

#define TIMER1_CTRL REG(0x40001000)
#define TIMER1_VALUE REG(0x40001004)
#define TIMER1_RELOAD REG(0x40001008)
#define TIMER1_INTCLEAR REG(0x4000100C)

enum { IRQ = 9 /* SysTick stands before the interrupts */, CTRL_ON = 1, CTRL_INTERRUPT = 8, TICKS_PER_US = 25 };

__attribute__((section(".vectors.chip"), used)) static const fault_vector watchdog_vectors[] = {
    [0 ... 1 + IRQ] = {.handler = fault_trap}};

void port_watchdog_start(uint32_t us)
{
    TIMER1_CTRL = 0;
    TIMER1_RELOAD = us * TICKS_PER_US; /* MEASURE_LONGEST_US at most: 1.5e9 */
    TIMER1_VALUE = us * TICKS_PER_US;
    TIMER1_INTCLEAR = 1;
    NVIC_ICPR(0) = 1u << IRQ;
    NVIC_ISER(0) = 1u << IRQ;
    TIMER1_CTRL = CTRL_ON | CTRL_INTERRUPT;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    TIMER1_CTRL = 0;
}
