/* guarded.h: watches the memory of the engine's tensors. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdint.h>

/* CRC-32 over all tensors. Also checks the engine's guards, if it has any. */
uint32_t guarded_tensors(void);

#endif
