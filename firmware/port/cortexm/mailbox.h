/* mailbox.h: two rings in RAM, for a debug probe as the line. The vector table's entry 8, which the architecture reserves,
 * holds its address (Armv7-M ARM B1.5.3; startup.c). */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <stdint.h>

enum { MAILBOX_BYTES = 2048 /* a power of two */, MAILBOX_VECTOR = 8 };

/* `down` goes to the board. The host writes down_in and up_out, the board the other two. */
typedef struct {
    char magic[8];
    uint32_t size;
    volatile uint32_t down_in, down_out, up_in, up_out;
    uint32_t reserved;
    volatile uint8_t down[MAILBOX_BYTES], up[MAILBOX_BYTES];
} port_mailbox_t;

extern port_mailbox_t port_mailbox;

#endif
