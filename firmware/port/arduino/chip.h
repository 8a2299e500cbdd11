/* chip.h: what the port takes from the nRF52840 itself, past the Arduino core. */
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>

/* Of the thread that runs the command loop. */
extern uint32_t chip_stack[];
extern const uint32_t chip_stack_bytes;

/* Counter and cache on, faults to our own handler; takes out the record of an earlier fault. Call once. */
void chip_init(void);

#endif
