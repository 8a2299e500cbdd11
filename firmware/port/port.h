/* port.h: all that a board must provide. A port is a directory chosen at link time. */
#ifndef PORT_H
#define PORT_H

#include <stdint.h>

/* Clock that port_cycles counts. */
#ifdef PORT_CLOCK_FOUND /* by port_init */
extern uint32_t port_clock_hz;
#else
extern const uint32_t port_clock_hz;
#endif

/* The board's name in the harness's table, at most 15 characters. One that could not start its crystal and runs on, less
 * exactly, from an oscillator of its own has a name that ends in "-hsi"; one whose port_cycles advances in steps of a
 * microsecond has one that ends in "-us"; one that counts a timer's steps, which need not be the processor's cycles, "-timer". */
const char *port_name(void);

/* Call once, before anything else. */
void port_init(void);

/* Call once, when the engine is prepared: faults no longer count as PORT_FAULT_AT_START. cortexm/fault.c has it. */
void port_started(void);

/* Reads exactly n bytes unless the line stays silent for timeout_us (0: waits for ever). Returns the bytes read. */
uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us);

/* Returns when the last byte is on its way. */
void port_write(const void *src, uint32_t n);

/* Free-running, wraps at 2^32. */
uint32_t port_cycles(void);

void port_board_id(uint8_t id[8]);

/* mode 0: starts the application again; 1: enters the bootloader. */
_Noreturn void port_reboot(int mode);

/* Unless port_watchdog_stop is called within `us`, the board keeps a fault of kind PORT_FAULT_HANG and resets itself.
 * Costs nothing between the two calls: nothing runs before the time is over. Not nested. */
void port_watchdog_start(uint32_t us);
void port_watchdog_stop(void);

/* Raises (1) or lowers (0) the trigger, a pin that a power meter watches, and configures it at its first use. A port may
 * leave it out: then nothing happens. */
void port_trigger(int on);

/* In images that sample beside the command loop (firmware/live), port_read and port_write call it again and again while they
 * wait. */
#ifdef APP_LIVE
void port_idle(void);
#else
static inline void port_idle(void)
{
}
#endif

enum {
    PORT_FAULT_PROCESSOR = 1, /* the processor refused an access or an instruction */
    PORT_FAULT_HANG = 2,      /* port_watchdog_start's time was over; pc is where the program was then */
    PORT_FAULT_STACK = 3,     /* the stack left its region; the registers could not be saved, so they are 0 */
};
enum {
    PORT_FAULT_COMPLETE = 1, /* all fields are known, not only the kind */
    PORT_FAULT_AT_START = 2, /* it happened before port_started: in engine_init or port_init */
};
enum { PORT_TRACE = 8 };

/* Travels in this order as the reply to FAULT (WIRE.md). */
typedef struct {
    uint32_t kind, flags;
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr, sp; /* when it happened */
    uint32_t cfsr, hfsr, mmfar, bfar;               /* Armv7-M's fault status registers */
    uint32_t trace[PORT_TRACE]; /* words of the stack, from its deep end, that may be return addresses; 0: no more */
} port_fault;

/* What caused the last reset if that was a fault, else NULL. Later resets forget it. */
const port_fault *port_last_fault(void);

/* Lowest address the stack may grow down to; a multiple of 4. Where PORT_STACK_UNKNOWN is defined nobody asks, and no stack is
 * measured. */
uint8_t *port_stack_limit(void);

#endif
