/* host.cpp: the shim as a process. Its other half is firmware/port/host/port.c, whose port_read, port_write, port_init and
 * port_name are renamed at compile time; clock, watchdog and restart are the host port's. */
#include <Arduino.h>
#include <mbed.h>

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern "C" {
extern uint32_t chip_stack[1];
extern const uint32_t chip_stack_bytes;
uint32_t chip_stack[1];
const uint32_t chip_stack_bytes = sizeof chip_stack;
void shim_write(const void *src, uint32_t n);

unsigned long micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u); /* wraps as on the board */
}

void yield(void)
{
}

void delay(unsigned long ms)
{
    poll(nullptr, 0, (int)ms);
}
}

arduino::USBSerial Serial;
static uint8_t buffer[256];
static int taken, filled;

void arduino::USBSerial::begin(unsigned long)
{
}

int arduino::USBSerial::available(void)
{
    struct pollfd line = {STDIN_FILENO, POLLIN, 0};
    if (taken == filled && poll(&line, 1, 1) > 0) { /* 1 ms: a polling loop must not eat the host */
        ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (n <= 0)
            exit(0); /* the other end is gone */
        taken = 0;
        filled = (int)n;
    }
    return filled - taken;
}

int arduino::USBSerial::read(void)
{
    return available() ? buffer[taken++] : -1;
}

size_t arduino::USBSerial::write(const uint8_t *from, size_t n)
{
    shim_write(from, (uint32_t)n);
    return n;
}

void arduino::USBSerial::flush(void)
{
}

osStatus rtos::Thread::start(void (*task)(void))
{
    task();
    return 0;
}

int main(void)
{
    setup();
    for (;;)
        loop();
}
