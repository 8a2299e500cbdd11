/* machine.h: the timers of the machine that has this core. An instruction takes 128 ns of its time (harness/board/qemu.py); a
 * timer's tick is always shorter than half of that, so ticks tell instructions apart one by one.
 *
 * Sources: Arm Cortex-M System Design Kit Technical Reference Manual (DDI 0479), 4.2 APB timer; Arm Application Notes AN385, AN386,
 * AN500, AN505 and AN547 for addresses, interrupts and clocks; Arm SSE-300 Technical Reference Manual (101773), system counter
 * and timers; Nordic nRF51 Series Reference Manual, 18 TIMER. */
#ifndef MPS2_MACHINE_H
#define MPS2_MACHINE_H

#include "cortexm/armv7m.h"

#if defined(__ARM_ARCH_6M__) /* microbit: nRF51, 16 MHz */
#define MACHINE_NAME "qemu-m0"
#define COUNTING REG(0x40008000)
#define COUNT_CAPTURE REG(0x40008040)
#define COUNT_CC REG(0x40008540)
#define WATCHING REG(0x40009000)
#define WATCH_STOP REG(0x40009004)
#define WATCH_CLEAR REG(0x4000900C)
#define WATCH_COMPARE REG(0x40009140)
#define WATCH_INTENSET REG(0x40009304)
#define TIMER_BITMODE(timer) REG(0x40000508u + 0x1000u * (timer))
#define TIMER_PRESCALER(timer) REG(0x40000510u + 0x1000u * (timer))
#define WATCH_CC REG(0x40009540)
enum { TICKS_PER_US = 16, TICK_MUL = 125, TICK_SHIFT = 8, SYST_TICKS_PER_US = 16, WATCH_IRQ = 9 };
enum { COUNT_TIMER = 8, WATCH_TIMER = 9, BITMODE_32 = 3, COMPARE_0 = 1 << 16 };

static inline void machine_start_counter(void)
{
    TIMER_BITMODE(COUNT_TIMER) = BITMODE_32;
    TIMER_PRESCALER(COUNT_TIMER) = 0;
    COUNTING = 1;
}

static inline uint32_t machine_ticks(void)
{
    COUNT_CAPTURE = 1;
    return COUNT_CC;
}

static inline void machine_watch(uint32_t us)
{
    TIMER_BITMODE(WATCH_TIMER) = BITMODE_32;
    TIMER_PRESCALER(WATCH_TIMER) = 0;
    WATCH_CC = us * TICKS_PER_US;
    WATCH_CLEAR = 1;
    WATCH_COMPARE = 0;
    WATCH_INTENSET = COMPARE_0;
    WATCHING = 1;
}

static inline void machine_unwatch(void)
{
    WATCH_STOP = 1;
    WATCH_COMPARE = 0;
}

#elif defined(__ARM_ARCH) && __ARM_ARCH == 8 && defined(__ARM_FEATURE_MVE) /* mps3-an547: SSE-300, 32 MHz */
#define MACHINE_NAME "qemu-m55"
#define COUNTER_CONTROL REG(0x58100000)
#define TIMER_COUNT_LOW REG(0x58000000)
#define TIMER_TVAL REG(0x58000028)
#define TIMER_CONTROL REG(0x5800002C)
enum { TICKS_PER_US = 32, TICK_MUL = 125, TICK_SHIFT = 9, SYST_TICKS_PER_US = 32, WATCH_IRQ = 3, TIMER_ON = 1 };

static inline void machine_start_counter(void)
{
    COUNTER_CONTROL = TIMER_ON;
}

static inline uint32_t machine_ticks(void)
{
    return TIMER_COUNT_LOW;
}

static inline void machine_watch(uint32_t us)
{
    TIMER_TVAL = us * TICKS_PER_US;
    TIMER_CONTROL = TIMER_ON;
}

static inline void machine_unwatch(void)
{
    TIMER_CONTROL = 0;
}

#else                                      /* the CMSDK's timers, which count down */
#if defined(__ARM_ARCH) && __ARM_ARCH == 8 /* mps2-an505: SSE-200, 20 MHz */
#define MACHINE_NAME "qemu-m33"
#define TIMERS 0x50000000u
enum { TICKS_PER_US = 20, TICK_MUL = 25, TICK_SHIFT = 6, SYST_TICKS_PER_US = 20, WATCH_IRQ = 4 };
#else /* mps2-an385, an386 and an500: 25 MHz */
#if !defined(__ARM_ARCH_7EM__)
#define MACHINE_NAME "qemu-m3"
#elif __ARM_FP & 8
#define MACHINE_NAME "qemu-m7"
#else
#define MACHINE_NAME "qemu"
#endif
#define TIMERS 0x40000000u
enum { TICKS_PER_US = 25, TICK_MUL = 5, TICK_SHIFT = 4, SYST_TICKS_PER_US = 25, WATCH_IRQ = 9 };
#endif
#define TIMER_CTRL(n) REG(TIMERS + 0x1000u * (n))
#define TIMER_VALUE(n) REG(TIMERS + 4u + 0x1000u * (n))
#define TIMER_RELOAD(n) REG(TIMERS + 8u + 0x1000u * (n))
#define TIMER_INTCLEAR(n) REG(TIMERS + 12u + 0x1000u * (n))
enum { CTRL_ON = 1, CTRL_INTERRUPT = 8 };

static inline void machine_start_counter(void)
{
    TIMER_RELOAD(0) = ~0u;
    TIMER_VALUE(0) = ~0u;
    TIMER_CTRL(0) = CTRL_ON;
}

static inline uint32_t machine_ticks(void)
{
    return ~TIMER_VALUE(0);
}

static inline void machine_watch(uint32_t us)
{
    TIMER_CTRL(1) = 0;
    TIMER_RELOAD(1) = us * TICKS_PER_US;
    TIMER_VALUE(1) = us * TICKS_PER_US;
    TIMER_INTCLEAR(1) = 1;
    TIMER_CTRL(1) = CTRL_ON | CTRL_INTERRUPT;
}

static inline void machine_unwatch(void)
{
    TIMER_CTRL(1) = 0;
}
#endif

#endif
