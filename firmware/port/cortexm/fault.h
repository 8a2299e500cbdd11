/* fault.h: what is kept of a fault across the reset that follows it. */
#ifndef FAULT_H
#define FAULT_H

#include "../port.h"

/* A vector table's entry; the first is the stack's address. startup.c has the first 15, the guard.c in use appends those from
 * SysTick on by the section .vectors.chip. */
typedef union {
    void *address;
    void (*handler)(void);
} fault_vector;

/* Handler of every exception: keeps what it can and resets. Never returns. */
void fault_trap(void);

/* Call once after a reset. Takes the record out, so that only the reset after the fault reports it; NULL: there was none. */
const port_fault *fault_collect(void);

/* From now on faults no longer count as PORT_FAULT_AT_START. */
void fault_started(void);

/* What a chip can keep beside RAM across a reset, 8 bits of it; mark.c, which a port may replace by its own. */
enum {
    FAULT_MARK_KIND = 7,
    FAULT_MARK_AT_START = 8,
    FAULT_MARK_UNKNOWN = 16, /* this chip keeps nothing: the record in RAM alone tells */
};
void fault_keep_mark(uint32_t mark);

/* What was kept, once: 0 where the last reset was no fault's. */
uint32_t fault_take_mark(void);

#endif
