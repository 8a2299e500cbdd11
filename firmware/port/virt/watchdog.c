/* watchdog.c: the machine's timer interrupts once, at the end of its time; nothing runs before that. */
#include "../port.h"
#include "virt.h"

void port_watchdog_start(uint32_t us)
{
    virt_alarm_in(us);
    CSR_SET("mie", MIE_MTIE);
    CSR_SET("mstatus", MSTATUS_MIE);
}

void port_watchdog_stop(void)
{
    CSR_CLEAR("mstatus", MSTATUS_MIE);
    CSR_CLEAR("mie", MIE_MTIE);
    virt_no_alarm();
}
