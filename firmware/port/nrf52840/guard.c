/* guard.c: TIMER0 counts microseconds and interrupts once, at the end of its time. Nothing runs before that, so cycle
 * counts stay what they are. It can be stopped, unlike the chip's watchdog (PS 6.36), which would go on into the
 * bootloader and end a flash job. A program that hangs with interrupts masked is not caught; the host's deadline is.
 *
 * Register sources: nRF52840 Product Specification v1.7 (PS) 6.30 TIMER; Armv7-M (DDI 0403) B3.4 NVIC. */
#include "cortexm/fault.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define TIMER_TASKS_START REG(0x40008000)
#define TIMER_TASKS_STOP REG(0x40008004)
#define TIMER_TASKS_CLEAR REG(0x4000800C)
#define TIMER_EVENTS_COMPARE0 REG(0x40008140)
#define TIMER_INTENSET REG(0x40008304)
#define TIMER_INTENCLR REG(0x40008308)
#define TIMER_MODE REG(0x40008504)
#define TIMER_BITMODE REG(0x40008508)
#define TIMER_PRESCALER REG(0x40008510)
#define TIMER_CC0 REG(0x40008540)
#define NVIC_ISER0 REG(0xE000E100)
#define NVIC_ICPR0 REG(0xE000E280)

enum { IRQ = 8 /* TIMER0 (PS 4.2.4); SysTick stands before the interrupts */ };

__attribute__((section(".vectors.chip"), used)) static const fault_vector guard_vectors[] = {[0 ... 1 + IRQ] = {.handler = fault_trap}};

enum { COMPARE0 = 1 << 16, MODE_TIMER = 0, BITS_32 = 3, PRESCALER_1_MHZ = 4 /* 16 MHz / 2^4 */ };

void port_guard_start(uint32_t us)
{
    TIMER_TASKS_STOP = 1;
    TIMER_TASKS_CLEAR = 1;
    TIMER_MODE = MODE_TIMER;
    TIMER_BITMODE = BITS_32;
    TIMER_PRESCALER = PRESCALER_1_MHZ;
    TIMER_CC0 = us;
    TIMER_EVENTS_COMPARE0 = 0;
    TIMER_INTENSET = COMPARE0;
    NVIC_ICPR0 = 1u << IRQ;
    NVIC_ISER0 = 1u << IRQ;
    TIMER_TASKS_START = 1;
    __asm volatile("cpsie i" ::: "memory");
}

void port_guard_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    TIMER_TASKS_STOP = 1;
    TIMER_INTENCLR = COMPARE0;
}
