/* Arduino.h: as much of the Arduino API as firmware/port/arduino uses, with the signatures and the meaning of ArduinoCore-mbed 4.
 * Behind it stands host.cpp (a process on stdin and stdout) or virtual.cpp (the virtual nRF52840's UARTE). */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

extern "C" {
unsigned long micros(void);
void delay(unsigned long ms);
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
};
} // namespace arduino
extern arduino::USBSerial Serial;

void setup(void);
void loop(void);

#endif
