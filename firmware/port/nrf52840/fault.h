/* fault.h: the fault record that survives a reset. Shared by startup.c, which writes it, and port.c, which reads it.
 *
 * After the reset the bootloader runs first and may use the same RAM, so the record can be lost; the flag in POWER's
 * retained register can't, and then tells of a fault at an unknown address. */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

/* nRF52840 Product Specification v1.7, 5.3 POWER: 8 bits that survive a soft reset and that no bootloader here uses. */
#define POWER_GPREGRET2 (*(volatile uint32_t *)0x40000520)

enum { FAULT_MAGIC = 0x7EA7FA17, FAULT_FLAG = 0xFA };

typedef struct {
    uint32_t check; /* FAULT_MAGIC ^ pc ^ cfsr, else the record is not valid */
    uint32_t pc;
    uint32_t cfsr;  /* Configurable Fault Status Register, for a debugger */
} fault_record;

extern fault_record fault_last;

#endif
