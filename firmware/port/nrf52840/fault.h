/* fault.h: the fault record that survives a reset. Shared by startup.c, which writes it, and port.c, which reads it. */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

enum { FAULT_MAGIC = 0x7EA7FA17 };

typedef struct {
    uint32_t magic; /* FAULT_MAGIC: the rest is valid */
    uint32_t pc;
    uint32_t cfsr;  /* Configurable Fault Status Register, for a debugger */
} fault_record;

extern fault_record fault_last;

#endif
