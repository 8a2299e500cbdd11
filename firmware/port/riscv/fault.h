/* fault.h: what is kept of a fault across the reset that follows it. fault.c also has port.h's port_started. */
#ifndef FAULT_H
#define FAULT_H

#include "../port.h"

/* Handler of every trap: keeps what it can and restarts by port_reboot(0). Never returns. startup.c points mtvec here. */
void fault_trap(void);

/* Where fault_trap's own stack ends; startup.c puts it into mscratch. */
extern uint32_t fault_stack[];
enum { FAULT_STACK_WORDS = 64 };

/* Call once after a reset. Takes the record out, so that only the reset after the fault reports it; NULL: there was none. */
const port_fault *fault_collect(void);

#endif
