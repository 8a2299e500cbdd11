/* timing.h: see ../kernel.h. */
#ifndef ZEPHYR_TIMING_H
#define ZEPHYR_TIMING_H

#include <stdint.h>

typedef uint64_t timing_t;

void timing_init(void);
void timing_start(void);
timing_t timing_counter_get(void);
uint64_t timing_freq_get(void);

#endif
