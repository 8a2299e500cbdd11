/* core.h: what the port takes from the Arduino API and from the board's core, for C. */
#ifndef CORE_H
#define CORE_H

#include <stdint.h>

/* Finds the counter and its clock. Call once, when micros() runs. */
void core_init(void);

/* Hz of what core_cycles counts, whole once core_init is over. */
uint32_t core_clock_hz(void);

/* Whether core_cycles is micros(), in cycles of the clock or, where that is not known, in microseconds. */
int core_counts_us(void);

/* Free-running, wraps at 2^32. */
uint32_t core_cycles(void);

/* Takes at most n of the bytes that have arrived; returns how many, at once. Lets the core do its own work if none has. */
uint32_t core_read(uint8_t *dst, uint32_t n);

/* What nobody takes for half a second is lost, as on a wire. */
void core_write(const uint8_t *src, uint32_t n);

/* Microseconds since reset; wraps. */
uint32_t core_micros(void);

/* The chip's own number where the core has a call for it, else zeros: not known. */
void core_board_id(uint8_t id[8]);

/* Resets; a core without any way to do so stays here. */
void core_restart(void);

#endif
