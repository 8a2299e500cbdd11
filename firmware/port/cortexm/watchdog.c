/* watchdog.c: the watchdog of ports that have none of their own: SysTick, which every Cortex-M4 has. It counts 24 bits, so a
 * long time is counted in parts and a short interrupt ends each: a quarter of a second at 64 MHz, about 40 cycles. It takes the
 * processor's clock to be port_clock_hz. */
#include "armv7m.h"
#include "fault.h"

enum { CSR_ON = 7 /* processor clock, exception, count */, PART = 1 << 24 };

static volatile uint32_t parts_left __attribute__((used));

void fault_tick(void);

/* Naked, because fault_trap must find the registers and the stack as the exception left them. r0-r3 and r12 are in the frame,
 * and fault_trap reads no register but lr. */
__attribute__((naked)) void fault_tick(void)
{
#if __ARM_ARCH_ISA_THUMB == 1 /* a conditional branch of this core reaches 256 bytes */
    __asm volatile("ldr r0, =parts_left\n"
                   "ldr r1, [r0]\n"
                   "subs r1, r1, #1\n"
                   "str r1, [r0]\n"
                   "bls 1f\n"
                   "bx lr\n"
                   "1: ldr r0, =fault_trap\n"
                   "bx r0\n"
                   ".ltorg\n");
#else
    __asm volatile("ldr r0, =parts_left\n"
                   "ldr r1, [r0]\n"
                   "subs r1, r1, #1\n"
                   "str r1, [r0]\n"
                   "bls fault_trap\n"
                   "bx lr\n"
                   ".ltorg\n");
#endif
}

__attribute__((section(".vectors.chip"), used)) static const fault_vector tick[] = {{.handler = fault_tick}};

void port_watchdog_start(uint32_t us)
{
    uint64_t ticks = (uint64_t)us * (port_clock_hz / 1000000u);
    parts_left = (uint32_t)(ticks / PART) + 1;
    SYST_RVR = (uint32_t)(ticks / parts_left);
    SYST_CVR = 0;
    SYST_CSR = CSR_ON;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    SYST_CSR = 0;
}
