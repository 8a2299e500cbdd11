/* virt.h: the timer of QEMU's virt machine: a SiFive CLINT, 10 MHz (QEMU's documentation of the machine `virt`). */
#ifndef VIRT_H
#define VIRT_H

#include "riscv/riscv.h"

#define MTIMECMP_LOW REG(0x02004000)
#define MTIMECMP_HIGH REG(0x02004004)
#define MTIME_LOW REG(0x0200BFF8)
#define MTIME_HIGH REG(0x0200BFFC)

enum { TICKS_PER_US = 10 };

static inline uint64_t virt_now(void)
{
    uint32_t high, low;
    do {
        high = MTIME_HIGH;
        low = MTIME_LOW;
    } while (high != MTIME_HIGH);
    return (uint64_t)high << 32 | low;
}

/* Its interrupt pends from then on. */
static inline void virt_alarm_in(uint32_t us)
{
    uint64_t at = virt_now() + (uint64_t)us * TICKS_PER_US;
    MTIMECMP_HIGH = ~0u;
    MTIMECMP_LOW = (uint32_t)at;
    MTIMECMP_HIGH = (uint32_t)(at >> 32);
}

static inline void virt_no_alarm(void)
{
    MTIMECMP_HIGH = ~0u;
    MTIMECMP_LOW = ~0u;
}

#endif
