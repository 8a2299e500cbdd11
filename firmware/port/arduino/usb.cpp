/* usb.cpp: see usb.h. `Serial` is the board's own USB port (CDC-ACM): its speed is USB's, whatever baud the host sets; 1200 baud
 * are left to the core, which answers them with the bootloader.
 *
 * The command loop runs in a thread whose stack is ours, so that its bounds are known and it can be painted. Its priority lies
 * below that of the core's USB thread, which must get through to serve the 1200-baud touch: the loop polls and never sleeps. */
#include <Arduino.h>
#include <mbed.h>

extern "C" {
#include "../../app/main.h"
#include "chip.h"
#include "usb.h"
}

/* No name of the standard library, whose namespace mbed.h opens. */
static rtos::Thread tinyrig_thread(osPriorityBelowNormal, chip_stack_bytes, (unsigned char *)chip_stack, "tinyrig");

enum { DRAIN_MS = 20 /* the host asks at least once a millisecond; enough for 64 bytes on a busy bus */ };

uint32_t usb_read(uint8_t *dst, uint32_t n)
{
    int there = Serial.available();
    uint32_t got = there <= 0 ? 0 : (uint32_t)there < n ? (uint32_t)there : n;
    for (uint32_t i = 0; i < got; i++)
        dst[i] = (uint8_t)Serial.read();
    return got;
}

void usb_write(const uint8_t *src, uint32_t n)
{
    Serial.write(src, n);
}

void usb_drain(void)
{
    delay(DRAIN_MS);
}

uint32_t usb_micros(void)
{
    return micros();
}

static void serve(void)
{
    app_main();
}

void setup()
{
    Serial.begin(1000000);
    tinyrig_thread.start(serve);
}

void loop()
{
    delay(1000); /* nothing to do here */
}
