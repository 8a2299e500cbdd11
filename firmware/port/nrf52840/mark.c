/* mark.c: POWER's second retained register, which survives a soft reset and which no bootloader here uses.
 * Register source: nRF52840 Product Specification v1.7, 5.3 POWER. */
#include "cortexm/fault.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define POWER_RESETREAS REG(0x40000400)
#define RESETREAS_LOCKUP (1u << 3)
#define POWER_GPREGRET2 REG(0x40000520)

enum { MARK = 0xA0 /* tells a mark from what anybody else may have left there */, MARK_MASK = 0xF0 };

void fault_keep_mark(uint32_t mark)
{
    POWER_GPREGRET2 = MARK | mark;
}

uint32_t fault_take_mark(void)
{
    uint32_t mark = POWER_GPREGRET2, lockup = POWER_RESETREAS & RESETREAS_LOCKUP;
    POWER_GPREGRET2 = 0;
    POWER_RESETREAS = RESETREAS_LOCKUP; /* bits are cleared by writing ones */
    if ((mark & MARK_MASK) == MARK)
        return mark & (FAULT_MARK_KIND | FAULT_MARK_AT_START);
    return lockup ? PORT_FAULT_PROCESSOR : 0; /* a lockup is a fault inside the handler of one */
}
