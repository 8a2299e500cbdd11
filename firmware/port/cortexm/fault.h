/* fault.h: what is kept of a fault across the reset that follows it. fault.c also has port.h's port_started. */
#ifndef FAULT_H
#define FAULT_H

#include "../port.h"

/* A vector table's entry; the first is the stack's address. startup.c has the first 15, the watchdog.c in use appends those
 * from SysTick on by the section .vectors.chip. */
typedef union {
    void *address;
    void (*handler)(void);
} fault_vector;

/* Handler of every exception: keeps what it can and resets. Never returns. */
void fault_trap(void);

/* Call once after a reset. Takes the record out, so that only the reset after the fault reports it; NULL: there was none. */
const port_fault *fault_collect(void);

/* What a chip can keep beside RAM across a reset, 8 bits of it: retained.c, which a port may replace by its own. */
enum {
    FAULT_RETAINED_KIND = 7,
    FAULT_RETAINED_AT_START = 8,
    FAULT_RETAINED_UNKNOWN = 16, /* this chip keeps nothing: the record in RAM alone tells */
};
void fault_retain(uint32_t value);

/* What was kept, once: 0 where no fault caused the last reset. */
uint32_t fault_take_retained(void);

#endif
