/* port.c: port.h for any board that has an Arduino core (core.h). The Arduino API knows no bounds of the stack, no watchdog and no
 * faults: what is not known is said to be so (PORT_STACK_UNKNOWN), and a hang ends with the host's patience. */
#include "../port.h"

#include <string.h>

#include "core.h"

enum { PIECE = 64 /* bytes between two looks at the sample clock: 5.6 ms at 115,200 baud */ };

uint32_t port_clock_hz;

void port_init(void)
{
    core_init();
    port_clock_hz = core_clock_hz();
}

void port_started(void)
{
}

/* "-us": the counter's steps are microseconds (WIRE.md). */
const char *port_name(void)
{
    return core_counts_us() ? "arduino-us" : "arduino";
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t got = 0, last = core_micros();
    while (got < n) {
        uint32_t more = core_read((uint8_t *)dst + got, n - got);
        got += more;
        if (more)
            last = core_micros();
        else if (timeout_us && core_micros() - last > timeout_us)
            break;
        port_idle(); /* last: what arrives meanwhile is looked at before the silence is */
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    const uint8_t *from = src;
#ifdef APP_LIVE
    for (; n > PIECE; from += PIECE, n -= PIECE) {
        core_write(from, PIECE);
        port_idle();
    }
#endif
    core_write(from, n);
}

uint32_t port_cycles(void)
{
    return core_cycles();
}

void port_board_id(uint8_t id[8])
{
    core_board_id(id);
}

/* The bootloader is arduino-cli's affair. */
_Noreturn void port_reboot(int mode)
{
    (void)mode;
    core_restart();
    for (;;) {}
}

void port_watchdog_start(uint32_t us)
{
    (void)us;
}

void port_watchdog_stop(void)
{
}

const port_fault *port_last_fault(void)
{
    return 0;
}

uint8_t *port_stack_limit(void)
{
    return 0;
}
