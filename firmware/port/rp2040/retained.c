/* retained.c: a scratch register of the watchdog outlives every reset but that of the supply. */
#include "cortexm/fault.h"
#include "rp2040.h"

enum { MARK = 0x7219 << 16 }; /* the register's value is unknown when the chip gets its supply */

void fault_retain(uint32_t value)
{
    WATCHDOG_SCRATCH0 = MARK | value;
}

uint32_t fault_take_retained(void)
{
    uint32_t value = WATCHDOG_SCRATCH0;
    WATCHDOG_SCRATCH0 = 0;
    return (value & 0xFFFF0000u) == MARK ? value & 0xFF : 0;
}
