/* wire.cpp: Wire and the analog pins on the virtual nRF52840. Its buses are firmware/sensors/nrf52840.c, whose names become shim_ at
 * compile time. */
#include <Arduino.h>
#include <Wire.h>

#include <string.h>

extern "C" {
void shim_bus_init(int which);
int shim_bus_transfer(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes);
void shim_adc_init(const uint8_t *inputs, uint32_t count);
void shim_adc_start(int16_t *counts);
int shim_adc_poll(void);

static int held; /* the last transfer did not move */

void pinMode(uint8_t, int)
{
}

void digitalWrite(uint8_t, int)
{
}

int digitalRead(uint8_t)
{
    return held ? LOW : HIGH;
}

void analogReadResolution(int)
{
}

int analogRead(uint8_t pin)
{
    static int16_t count;
    uint8_t input = pin - A0;
    int state;
    shim_adc_init(&input, 1);
    shim_adc_start(&count);
    do
        state = shim_adc_poll();
    while (state > 0);
    return state < 0 ? -1 : count;
}
}

TwoWire Wire(0), Wire1(1);

static bool moved(uint8_t address, const uint8_t *out, size_t n, uint8_t *in, size_t m)
{
    int result = shim_bus_transfer(address, out, (uint32_t)n, in, (uint32_t)m);
    held = result == -3;
    return result == 0;
}

void TwoWire::begin(void)
{
    shim_bus_init(which);
    written = filled = taken = 0;
}

void TwoWire::end(void)
{
}

void TwoWire::setClock(uint32_t)
{
}

void TwoWire::beginTransmission(uint8_t to)
{
    address = to;
    written = 0;
}

size_t TwoWire::write(const uint8_t *data, size_t n)
{
    size_t some = n < sizeof out - written ? n : sizeof out - written;
    memcpy(out + written, data, some);
    written += some;
    return some;
}

/* Without a stop the write goes out with the read that follows. */
uint8_t TwoWire::endTransmission(bool stop)
{
    if (!stop)
        return 0;
    bool good = moved(address, out, written, nullptr, 0);
    written = 0;
    return good ? 0 : 2;
}

size_t TwoWire::requestFrom(uint8_t from, size_t n)
{
    filled = n <= sizeof in && moved(from, out, written, in, n) ? n : 0;
    written = taken = 0;
    return filled;
}

int TwoWire::read(void)
{
    return taken < filled ? in[taken++] : -1;
}
