/* measure.h: what one inference costs: cycles, stack, cycles of each step. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

enum { MEASURE_ERR_STACK = -100 }; /* the stack reached its limit, so memory below it may be damaged */

typedef struct {
    uint32_t cycles;      /* timer overhead subtracted; with a profile the sum of the steps */
    uint32_t stack_bytes; /* high-water mark of this inference; 0: not measured */
} measure_result;

/* Calibrates the timer. Call once, before anything is measured. */
void measure_init(void);

/* Cycles between two reads of the counter with nothing between them. */
uint32_t measure_overhead(void);

/* Longest inference, unless the watchdog shall end it: the 32-bit cycle counter wraps after 67 s at 64 MHz, so a longer one
 * could not be measured anyway. */
#ifndef MEASURE_LONGEST_US
#define MEASURE_LONGEST_US 60000000u
#endif

/* One inference, on the state that the engine has, or from its beginning. `op_cycles` NULL: in one piece; else room for 4 bytes of each of the engine's op_count steps, which are
 * written as on the wire. With the trigger (port_trigger) it runs in one piece and its stack is not measured.
 * Returns 0, a negative ENGINE_ERR_* or MEASURE_ERR_STACK.
 * One that lasts MEASURE_LONGEST_US, or a second and twenty times the longest one yet, is taken for hung: the board
 * resets itself. That comes before the host gives up, which sends its request four times (WIRE.md). */
int measure_inference(int keep_state, int with_stack, int with_trigger, uint8_t *op_cycles, measure_result *result);

#endif
