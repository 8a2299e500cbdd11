/* usb.h: what the port takes from the Arduino API, for C. */
#ifndef USB_H
#define USB_H

#include <stdint.h>

/* Takes at most n of the bytes that have arrived; returns how many, at once. */
uint32_t usb_read(uint8_t *dst, uint32_t n);

/* Returns when the last byte is in the endpoint's buffer. What nobody listens to (DTR off) is lost, as on a wire. */
void usb_write(const uint8_t *src, uint32_t n);

/* Gives the last packet the time to leave. */
void usb_drain(void);

/* Microseconds since reset; wraps. */
uint32_t usb_micros(void);

#endif
