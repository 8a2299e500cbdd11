/* Arduino.h: as much of the Arduino API as firmware/port/arduino and firmware/port/sketch use, with the signatures and the meaning of
 * ArduinoCore-mbed 4; and what Arduino-Pico and Arduino-ESP32 have beside it. Behind it stands host.cpp (a process on stdin and
 * stdout), virtual.cpp (the virtual nRF52840's UARTE) or qemu.cpp (the line of a machine of QEMU's). */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern "C" {
unsigned long micros(void);
void delay(unsigned long ms);
void yield(void);
}

namespace arduino
{
class USBSerial
{
  public:
    void begin(unsigned long baud);
    int available(void);                           /* at most 256: the core's ring buffer */
    int read(void);                                /* -1: nothing there */
    size_t write(const uint8_t *buffer, size_t n); /* blocks; 0 where nobody listens */
    void flush(void);
};
} // namespace arduino
extern arduino::USBSerial Serial;

#ifdef ARDUINO_ARCH_RP2040
class RP2040
{
  public:
    uint32_t getCycleCount(void);
    int f_cpu(void);
    const char *getChipID(void);
    void reboot(void);
};
extern RP2040 rp2040;
#endif

#if defined(ARDUINO_ARCH_ESP32) || defined(ARDUINO_ARCH_ESP8266)
class EspClass
{
  public:
    uint32_t getCycleCount(void);
    uint32_t getCpuFreqMHz(void);
    uint64_t getEfuseMac(void);
    void restart(void);
};
extern EspClass ESP;
#endif

void setup(void);
void loop(void);

#endif
