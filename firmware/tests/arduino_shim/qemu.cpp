/* qemu.cpp: the shim on a machine of QEMU's, with the core of a board that has an Arduino core: firmware/port/mps2 or virt is its
 * line and its clock, whose port_ names become shim_ at compile time. What counts cycles on the chip counts instructions here. */
#include <Arduino.h>

extern "C" {
extern const uint32_t shim_clock_hz; /* instructions in a second of the machine's time */
void shim_init(void);
uint32_t shim_read(void *dst, uint32_t n, uint32_t timeout_us);
void shim_write(const void *src, uint32_t n);
uint32_t shim_cycles(void);
void shim_reboot(int mode);
int main(void);

unsigned long micros(void)
{
    static uint64_t instructions;
    static uint32_t last;
    uint32_t now = shim_cycles();
    instructions += now - last;
    last = now;
    return (uint32_t)(instructions * 16 / 125); /* 128 ns each */
}

void delay(unsigned long ms)
{
    uint32_t from = (uint32_t)micros();
    while ((uint32_t)micros() - from < ms * 1000) {}
}

void yield(void)
{
}

#ifdef ARDUINO_ARCH_MBED
uint32_t SystemCoreClock = 7812500;
#endif
}

#ifdef ARDUINO_ARCH_RP2040
RP2040 rp2040;

uint32_t RP2040::getCycleCount(void)
{
    return shim_cycles();
}

int RP2040::f_cpu(void)
{
    return (int)shim_clock_hz;
}

const char *RP2040::getChipID(void)
{
    return "E6614103E7452D2F";
}

void RP2040::reboot(void)
{
    shim_reboot(0);
}
#endif

#ifdef ARDUINO_ARCH_ESP32
EspClass ESP;

uint32_t EspClass::getCycleCount(void)
{
    return shim_cycles();
}

/* Another one than the counter's: the sketch has to find out. */
uint32_t EspClass::getCpuFreqMHz(void)
{
    return 160;
}

uint64_t EspClass::getEfuseMac(void)
{
    return 0x0000A4CF12345678u;
}

void EspClass::restart(void)
{
    shim_reboot(0);
}
#endif

enum { PIECE_US = 50 };

arduino::USBSerial Serial;
static uint8_t buffer[256];
static int taken, filled;

void arduino::USBSerial::begin(unsigned long)
{
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

/* At most a packet at a time, as USB takes it. */
size_t arduino::USBSerial::write(const uint8_t *from, size_t n)
{
    uint32_t some = n < 64 ? (uint32_t)n : 64;
    shim_write(from, some);
    return some;
}

void arduino::USBSerial::flush(void)
{
}

int main(void)
{
    shim_init();
    setup();
    for (;;)
        loop();
}
