/* fault.h: what is kept of a fault across the reset that follows it. */
#ifndef FAULT_H
#define FAULT_H

#include "../port.h"

enum { FAULT_GUARD_IRQ = 28 /* TIM2 (RM0368 10.2, table 38) */ };

/* Handler of every exception: keeps what it can and resets. Never returns. */
void fault_trap(void);

/* Call once after a reset. Takes the record out, so that only the reset after the fault reports it; NULL: there was none. */
const port_fault *fault_collect(void);

/* From now on faults no longer count as PORT_FAULT_AT_START. */
void fault_started(void);

#endif
