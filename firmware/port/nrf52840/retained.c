/* retained.c: POWER's second retained register, which survives a soft reset and which no bootloader here uses. */
#include "../cortexm/fault.h"
#include "nrf52840.h"

#define RESETREAS_LOCKUP (1u << 3)

enum { OURS = 0xA0 /* in the upper half: tells our value from anybody else's */, OURS_MASK = 0xF0 };

void fault_retain(uint32_t value)
{
    POWER_GPREGRET2 = OURS | value;
}

uint32_t fault_take_retained(void)
{
    uint32_t value = POWER_GPREGRET2, lockup = POWER_RESETREAS & RESETREAS_LOCKUP;
    POWER_GPREGRET2 = 0;
    POWER_RESETREAS = RESETREAS_LOCKUP; /* bits are cleared by writing ones */
    if ((value & OURS_MASK) == OURS)
        return value & (FAULT_RETAINED_KIND | FAULT_RETAINED_AT_START);
    return lockup ? PORT_FAULT_PROCESSOR : 0; /* a lockup is a fault inside the handler of one */
}
