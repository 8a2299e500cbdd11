/* Wire.h: as much of the Arduino API's I2C as firmware/sensors uses. Behind it stands wire.cpp. */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

class TwoWire
{
  public:
    explicit TwoWire(int which) : which(which)
    {
    }
    void begin(void);
    void end(void);
    void setClock(uint32_t hz);
#ifdef ARDUINO_ARCH_ESP32
    void setTimeOut(uint16_t ms);
#endif
    void beginTransmission(uint8_t address);
    size_t write(const uint8_t *data, size_t n); /* at most 256 bytes: the core's buffer */
    uint8_t endTransmission(bool stop);          /* 0: acknowledged; 2: not */
    size_t requestFrom(uint8_t address, size_t n);
    int read(void); /* -1: nothing there */

  private:
    int which;
    uint8_t address, out[256], in[256];
    size_t written, filled, taken;
};
extern TwoWire Wire, Wire1;

#endif
