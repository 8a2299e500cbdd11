/* mailbox.c: port_read and port_write through RAM that a debug probe reads and writes; only in an image for such a link.
 *
 * The build renames the port's own two functions then, so a port needs no change. Two rings, one each way; an index counts
 * all bytes that ever passed and is written by one side only, after the bytes. harness/mailbox/rings.py is the other side. */
#ifdef PORT_MAILBOX
#include "mailbox.h"

#include <string.h>

#include "../port.h"

#define BARRIER() __asm volatile("dmb" ::: "memory")

enum { US_PER_S = 1000000 };

port_mailbox_t port_mailbox; /* zero after a reset, so that the host finds none until the program runs */

static port_mailbox_t *opened(void)
{
    static const char magic[] = "tinyrig1";
    if (port_mailbox.size == 0) {
        port_mailbox.size = MAILBOX_BYTES;
        BARRIER();
        memcpy(port_mailbox.magic, magic, sizeof port_mailbox.magic);
    }
    return &port_mailbox;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    port_mailbox_t *box = opened();
    uint8_t *to = dst;
    uint32_t got = 0, last = port_cycles();
    uint32_t limit = (uint32_t)((uint64_t)timeout_us * port_clock_hz / US_PER_S);
    while (got < n) {
        uint32_t there = box->down_in - box->down_out;
        if (there == 0) {
            if (timeout_us && port_cycles() - last > limit)
                break;
            continue;
        }
        BARRIER();
        if (there > n - got)
            there = n - got;
        for (uint32_t i = 0; i < there; i++)
            to[got++] = box->down[(box->down_out + i) % MAILBOX_BYTES];
        BARRIER();
        box->down_out += there;
        last = port_cycles();
    }
    return got;
}

/* Waits for the host to make room, for ever: nobody else could be told. */
void port_write(const void *src, uint32_t n)
{
    port_mailbox_t *box = opened();
    const uint8_t *from = src;
    while (n) {
        uint32_t room = MAILBOX_BYTES - (box->up_in - box->up_out);
        if (room > n)
            room = n;
        for (uint32_t i = 0; i < room; i++)
            box->up[(box->up_in + i) % MAILBOX_BYTES] = *from++;
        BARRIER();
        box->up_in += room;
        n -= room;
    }
}
#endif
