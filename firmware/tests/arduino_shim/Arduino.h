/* Arduino.h: as much of the Arduino API as firmware/port/arduino and firmware/port/sketch use, with the signatures and the meaning of
 * ArduinoCore-mbed 4; what firmware/sensors uses of it beside Wire.h; and what Arduino-Pico and Arduino-ESP32 have beside it. Behind
 * it stands host.cpp (a process on stdin and stdout), virtual.cpp (the virtual nRF52840's UARTE) or qemu.cpp (the line of a machine of QEMU's). */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern "C" {
unsigned long micros(void);
void delay(unsigned long ms);
void yield(void);
void pinMode(uint8_t pin, int mode);
void digitalWrite(uint8_t pin, int value);
int digitalRead(uint8_t pin);
int analogRead(uint8_t pin);
void analogReadResolution(int bits);
}

/* Of the Nano 33 BLE. */
#define NUM_ANALOG_INPUTS (8u)
#define PIN_WIRE_SDA1 (30u)
#define PIN_WIRE_SCL1 (31u)
#define PIN_ENABLE_SENSORS_3V3 (32u)
#define PIN_ENABLE_I2C_PULLUP (33u)
#ifdef ARDUINO_ARCH_ESP32 /* as one of its boards */
static const uint8_t A0 = 36, A3 = 39, A4 = 32, A5 = 33, A6 = 34, A7 = 35, SDA = 21, SCL = 22;
#else
static const uint8_t A0 = 14, A1 = 15, A2 = 16, A3 = 17, A4 = 18, A5 = 19, A6 = 20, A7 = 21, SDA = 18, SCL = 19;
#endif
enum { INPUT, OUTPUT, INPUT_PULLUP, LOW = 0, HIGH = 1 };

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
