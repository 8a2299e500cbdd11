/* port.h: all that a board must provide. A port is a directory chosen at link time. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

extern const char port_name[];        /* board name as in the harness's table, at most 15 characters */
extern const uint32_t port_clock_hz;  /* clock that port_cycles counts */

void port_init(void);

/* Reads exactly n bytes unless the line stays silent for timeout_us (0: waits for ever). Returns the bytes read. */
uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us);

/* Returns when the last byte is on its way. */
void port_write(const void *src, uint32_t n);

/* Free-running, wraps at 2^32. */
uint32_t port_cycles(void);

void port_board_id(uint8_t id[8]);

/* mode 0: starts the application again; 1: enters the bootloader. */
_Noreturn void port_reboot(int mode);

/* 1 if a processor fault caused the last reset, else 0. *pc: where it happened, 0 if that is unknown. */
int port_last_fault(uint32_t *pc);

/* Lowest address the stack may grow down to; a multiple of 4. */
uint8_t *port_stack_limit(void);

#endif
