/* retained.c: for chips of which no register is known to outlive a reset. */
#include "fault.h"

void fault_retain(uint32_t value)
{
    (void)value;
}

uint32_t fault_take_retained(void)
{
    return FAULT_RETAINED_UNKNOWN;
}
