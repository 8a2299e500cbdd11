/* arduino.cpp: bus.h over the Arduino API: Wire, analogRead, micros. A transfer waits for its end, some 0.4 ms for 14 bytes at 400 kHz;
 * the sample clock is micros(), looked at wherever the command loop waits and between two operators of an inference.
 *
 * The board's own sensors are those of the Nano 33 BLE, on Wire1; pins by the names of ArduinoCore-mbed's variant. */
#include <Arduino.h>
#include <Wire.h>

extern "C" {
#include "bus.h"
#include "sensor.h"
}

#if defined(ARDUINO_ARDUINO_NANO33BLE)
#define HAS_INNER 1
#else
#define HAS_INNER 0
#endif

enum {
    RATE_HZ = 400000,
    TRANSFER_LIMIT_US = 5000, /* 33 bytes take 0.8 ms; the TCA9548A and the sensors do not stretch the clock */
    MAX_INPUTS = 8,
    COUNTS = 4096,
    NO_PIN = 255,
};

static TwoWire *bus = &Wire;
static uint8_t sda = SDA, scl = SCL;
static int last_result, adc_result;
static uint8_t pins[MAX_INPUTS];
static uint32_t pin_count, period, next_at;

static void open_bus(void)
{
    bus->begin();
    bus->setClock(RATE_HZ);
#if defined(ARDUINO_ARCH_ESP32)
    bus->setTimeOut(TRANSFER_LIMIT_US / 1000);
#elif defined(WIRE_HAS_TIMEOUT)
    bus->setWireTimeout(TRANSFER_LIMIT_US, true);
#endif
}

void bus_init(int which)
{
    bus->end();
#if HAS_INNER
    bus = which == BUS_INNER ? &Wire1 : &Wire;
    sda = which == BUS_INNER ? PIN_WIRE_SDA1 : SDA;
    scl = which == BUS_INNER ? PIN_WIRE_SCL1 : SCL;
    if (which == BUS_INNER) {
        pinMode(PIN_ENABLE_SENSORS_3V3, OUTPUT);
        digitalWrite(PIN_ENABLE_SENSORS_3V3, HIGH);
        pinMode(PIN_ENABLE_I2C_PULLUP, OUTPUT);
        digitalWrite(PIN_ENABLE_I2C_PULLUP, HIGH);
        clock_wait(20000); /* the regulator's rise and the sensors' own start */
    }
#else
    (void)which;
#endif
    open_bus();
}

/* Wire tells a device that does not answer from a bus that does not move by no number that all cores share: the lines do, and the
 * time does: an address that nobody acknowledges is over after 25 us, and a line may have been let go of in the meantime. */
static int why_not(uint32_t took_us)
{
    bus->end();
    pinMode(sda, INPUT_PULLUP);
    pinMode(scl, INPUT_PULLUP);
    clock_wait(10);
    int low = digitalRead(sda) == LOW || digitalRead(scl) == LOW;
    if (low || took_us > TRANSFER_LIMIT_US)
        return BUS_STUCK; /* the bus stays off until bus_init */
    open_bus();
    return BUS_NACK;
}

static bool sent(uint8_t address, const uint8_t *out, uint32_t n, bool stop)
{
    bus->beginTransmission(address);
    return bus->write(out, n) == n && bus->endTransmission(stop) == 0;
}

static bool received(uint8_t address, uint8_t *in, uint32_t n)
{
    if (bus->requestFrom(address, (size_t)n) != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        in[i] = (uint8_t)bus->read();
    return true;
}

int bus_transfer(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    uint32_t began = clock_us();
    bool good = (!out_bytes || sent(address, out, out_bytes, !in_bytes)) && (!in_bytes || received(address, in, in_bytes));
    last_result = good ? (int)BUS_DONE : why_not(clock_us() - began);
    return last_result;
}

void bus_start(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    (void)bus_transfer(address, out, out_bytes, in, in_bytes);
}

int bus_poll(void)
{
    return last_result;
}

int bus_write(uint8_t address, uint8_t reg, uint8_t value)
{
    uint8_t bytes[2] = {reg, value};
    return bus_transfer(address, bytes, sizeof bytes, nullptr, 0);
}

/* 12 bits over the supply: the reference that cores have from the start. */
void adc_init(const uint8_t *inputs, uint32_t count)
{
    static const uint8_t header[] = {
#if defined(ARDUINO_ARCH_ESP32) /* some of its boards have no A1 and A2 */
        NO_PIN,
#else
        A0,
        A1,
        A2,
        A3,
#if defined(NUM_ANALOG_INPUTS) && NUM_ANALOG_INPUTS > 4
        A4,
        A5,
#endif
#if defined(NUM_ANALOG_INPUTS) && NUM_ANALOG_INPUTS > 6
        A6,
#endif
#if defined(NUM_ANALOG_INPUTS) && NUM_ANALOG_INPUTS > 7
        A7,
#endif
#endif
    };
    adc_result = BUS_DONE;
    pin_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (inputs[i] >= sizeof header || header[inputs[i]] == NO_PIN) { /* this board has no such pin */
            adc_result = -SENSOR_FAULT_ADC;
            pin_count = 0;
            return;
        }
        pins[i] = header[inputs[i]];
    }
    analogReadResolution(12);
}

void adc_start(int16_t *counts)
{
    for (uint32_t i = 0; i < pin_count; i++) {
        int count = analogRead(pins[i]);
        if (count < 0 || count >= COUNTS)
            adc_result = -SENSOR_FAULT_ADC;
        counts[i] = (int16_t)count;
    }
}

int adc_poll(void)
{
    return adc_result;
}

uint32_t clock_us(void)
{
    return (uint32_t)micros();
}

void clock_wait(uint32_t us)
{
    uint32_t from = clock_us();
    while (clock_us() - from <= us) {}
}

void clock_begin(uint32_t period_us)
{
    period = period_us;
    next_at = clock_us() + period_us;
}

void clock_end(void)
{
    period = 0;
}

uint32_t clock_due(uint32_t *at)
{
    uint32_t late = clock_us() - next_at;
    if (!period || late >= 1u << 31)
        return 0;
    uint32_t passed = 1 + late / period;
    *at = next_at + (passed - 1) * period;
    next_at = *at + period;
    return passed;
}
