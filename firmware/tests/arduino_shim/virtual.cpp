/* virtual.cpp: the shim on the virtual nRF52840, so that a sketch compiled with the core's flags runs there. Reset and UARTE
 * are the bare-metal port's startup.c and port.c, whose port_ names become shim_ at compile time. */
#include <Arduino.h>
#include <mbed.h>

extern "C" {
void shim_init(void);
uint32_t shim_read(void *dst, uint32_t n, uint32_t timeout_us);
void shim_write(const void *src, uint32_t n);
int main(void);
extern void (*_constructors[])(void), (*_constructors_end[])(void);

/* For a sketch that takes no faults. */
__attribute__((weak)) void fault_trap(void)
{
    for (;;) {}
}

/* The record of a fault is the sketch's to take out. */
const void *shim_fault_collect(void)
{
    return nullptr;
}

unsigned long micros(void)
{
    static uint32_t us, last;                                       /* the counter itself wraps after 67 s */
    uint32_t more = (*(volatile uint32_t *)0xE0001004 - last) / 64; /* DWT_CYCCNT */
    last += more * 64;
    return us += more;
}

void yield(void)
{
}

void delay(unsigned long ms)
{
    for (volatile unsigned long i = 0; i < ms * 1000; i = i + 1) { /* in instructions: the counter may be off */
    }
}
}

enum { PIECE_US = 50 /* silence that ends a piece: five bytes at 1 Mbaud */ };

arduino::USBSerial Serial;
static uint8_t buffer[256];
static int taken, filled;

void arduino::USBSerial::begin(unsigned long)
{
    shim_init();
}

int arduino::USBSerial::available(void)
{
    if (taken == filled) {
        taken = 0;
        filled = (int)shim_read(buffer, sizeof buffer, PIECE_US);
    }
    return filled - taken;
}

int arduino::USBSerial::read(void)
{
    return available() ? buffer[taken++] : -1;
}

size_t arduino::USBSerial::write(const uint8_t *from, size_t n)
{
    shim_write(from, n);
    return n;
}

void arduino::USBSerial::flush(void)
{
}

/* Threads of Mbed OS use the process stack, and so does this. */
osStatus rtos::Thread::start(void (*task)(void))
{
    __asm volatile("msr psp, %0\n"
                   "mrs r3, control\n"
                   "orr r3, r3, #2\n"
                   "msr control, r3\n"
                   "isb\n"
                   "blx %1\n" ::"r"(top),
                   "r"(task)
                   : "r0", "r1", "r2", "r3", "r12", "lr", "memory");
    return 0;
}

int main(void)
{
    for (void (**constructor)(void) = _constructors; constructor < _constructors_end; constructor++)
        (*constructor)();
    __asm volatile("cpsie i" ::: "memory"); /* startup.c masks them, the core runs with interrupts on */
    setup();
    for (;;)
        loop();
}
