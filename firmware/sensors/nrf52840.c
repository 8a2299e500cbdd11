/* nrf52840.c: bus.h on the nRF52840 of the Arduino Nano 33 BLE (Sense): TWIM0 and SAADC with EasyDMA, TIMER1.
 * Source: nRF52840 Product Specification v1.7 (PS): 6.31 TWIM, 6.23 SAADC, 6.30 TIMER. Pins: Arduino's board files. */
#include "../port/cortexm/armv7m.h"
#include "bus.h"
#include "sensor.h"

#define TWIM(offset) REG(0x40003000u + (offset))
#define TASKS_STARTRX TWIM(0x000)
#define TASKS_STARTTX TWIM(0x008)
#define TASKS_STOP TWIM(0x014)
#define EVENTS_STOPPED TWIM(0x104)
#define EVENTS_ERROR TWIM(0x124)
#define SHORTS TWIM(0x200)
#define ERRORSRC TWIM(0x4C4)
#define ENABLE TWIM(0x500)
#define PSEL_SCL TWIM(0x508)
#define PSEL_SDA TWIM(0x50C)
#define FREQUENCY TWIM(0x524)
#define RXD_PTR TWIM(0x534)
#define RXD_MAXCNT TWIM(0x538)
#define TXD_PTR TWIM(0x544)
#define TXD_MAXCNT TWIM(0x548)
#define ADDRESS TWIM(0x588)

#define SAADC(offset) REG(0x40007000u + (offset))
#define ADC_TASKS_START SAADC(0x000)
#define ADC_TASKS_SAMPLE SAADC(0x004)
#define ADC_EVENTS_STARTED SAADC(0x100)
#define ADC_EVENTS_END SAADC(0x104)
#define ADC_ENABLE SAADC(0x500)
#define ADC_PSELP(n) SAADC(0x510 + 16 * (n))
#define ADC_CONFIG(n) SAADC(0x518 + 16 * (n))
#define ADC_RESOLUTION SAADC(0x5F0)
#define ADC_PTR SAADC(0x62C)
#define ADC_MAXCNT SAADC(0x630)

#define TIMER1(offset) REG(0x40009000u + (offset))
#define T_START TIMER1(0x000)
#define T_CAPTURE(n) TIMER1(0x040 + 4 * (n))
#define T_COMPARE(n) TIMER1(0x140 + 4 * (n))
#define T_MODE TIMER1(0x504)
#define T_BITMODE TIMER1(0x508)
#define T_PRESCALER TIMER1(0x510)
#define T_CC(n) TIMER1(0x540 + 4 * (n))

#define P0_OUTSET REG(0x50000508)
#define P0_PIN_CNF(pin) REG(0x50000700 + 4 * (pin))
#define P1_OUTSET REG(0x50000808)
#define P1_PIN_CNF(pin) REG(0x50000A00 + 4 * (pin))

enum {
    LASTTX_STARTRX = 1 << 7,
    LASTTX_STOP = 1 << 9,
    LASTRX_STOP = 1 << 12,
    ERROR_NACKS = 6, /* ANACK, DNACK */
    TWIM_ON = 6,
    PIN_OPEN_DRAIN_PULLUP = 0x60C, /* S0D1, pull-up, input: PS 6.31.5 asks for it while the TWIM is off */
    OUTER_SDA = 31,
    OUTER_SCL = 2, /* P0.31 "A4", P0.02 "A5" */
    INNER_SDA = 14,
    INNER_SCL = 15, /* P0.14, P0.15 */
    INNER_POWER = 22 /* P0.22 */,
    INNER_PULLUP = 0 /* P1.00 */,
    OUTPUT = 3,
    TRANSFER_LIMIT_US = 5000, /* 32 bytes take 0.8 ms at 400 kHz; the TCA9548A and the sensors do not stretch the clock */
    ADC_LIMIT_US = 1000,      /* 8 inputs of 40 us + 2 us */
    ADC_12_BITS = 2,
    ADC_GAIN_QUARTER = 2 << 8,
    ADC_REFERENCE_QUARTER_VDD = 1 << 12,
    ADC_ACQUIRE_40_US = 5 << 16,
    TIMER_32_BITS = 3,
    TIMER_1_MHZ = 4,
    CC_SAMPLE = 0,
    CC_WAIT = 1,
    CC_NOW = 2,
};
#define FREQUENCY_400_KHZ 0x06400000u

static uint32_t transfer_began, adc_began, adc_count, sample_period;
static int stopping;

static void start_clock(void)
{
    static int started;
    if (started)
        return;
    started = 1;
    T_MODE = 0;
    T_BITMODE = TIMER_32_BITS;
    T_PRESCALER = TIMER_1_MHZ;
    T_START = 1;
}

uint32_t clock_us(void)
{
    start_clock();
    T_CAPTURE(CC_NOW) = 1;
    return T_CC(CC_NOW);
}

void clock_wait(uint32_t us)
{
    T_CC(CC_WAIT) = clock_us() + (us ? us : 1);
    T_COMPARE(CC_WAIT) = 0;
    while (!T_COMPARE(CC_WAIT)) {}
}

void clock_begin(uint32_t period_us)
{
    sample_period = period_us;
    T_CC(CC_SAMPLE) = clock_us() + period_us;
    T_COMPARE(CC_SAMPLE) = 0;
}

void clock_end(void)
{
    sample_period = 0;
}

/* The compare register always holds the next time, so that the event, which the timer sets, tells of it however long the
 * processor was busy. */
uint32_t clock_due(uint32_t *at)
{
    if (!sample_period || !T_COMPARE(CC_SAMPLE))
        return 0;
    uint32_t next = T_CC(CC_SAMPLE), late = clock_us() - next, passed = 1 + late / sample_period;
    *at = next + (passed - 1) * sample_period;
    T_COMPARE(CC_SAMPLE) = 0;
    T_CC(CC_SAMPLE) = *at + sample_period;
    return passed;
}

static void inner_power(void)
{
    P0_OUTSET = 1u << INNER_POWER;
    P0_PIN_CNF(INNER_POWER) = OUTPUT;
    P1_OUTSET = 1u << INNER_PULLUP;
    P1_PIN_CNF(INNER_PULLUP) = OUTPUT;
    clock_wait(20000); /* the regulator's rise and the sensors' own start */
}

void bus_init(int which)
{
    uint32_t sda = which == BUS_INNER ? INNER_SDA : OUTER_SDA, scl = which == BUS_INNER ? INNER_SCL : OUTER_SCL;
    if (which == BUS_INNER)
        inner_power();
    ENABLE = 0;
    P0_PIN_CNF(sda) = PIN_OPEN_DRAIN_PULLUP;
    P0_PIN_CNF(scl) = PIN_OPEN_DRAIN_PULLUP;
    PSEL_SDA = sda;
    PSEL_SCL = scl;
    FREQUENCY = FREQUENCY_400_KHZ;
    ENABLE = TWIM_ON;
}

void bus_start(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    __asm volatile("" ::: "memory"); /* all of *out is written before the DMA reads it */
    EVENTS_STOPPED = 0;
    EVENTS_ERROR = 0;
    ERRORSRC = ERRORSRC; /* cleared by writing ones */
    ADDRESS = address;
    TXD_PTR = (uint32_t)out;
    TXD_MAXCNT = out_bytes;
    RXD_PTR = (uint32_t)in;
    RXD_MAXCNT = in_bytes;
    SHORTS = (in_bytes ? LASTRX_STOP : LASTTX_STOP) | (out_bytes && in_bytes ? LASTTX_STARTRX : 0);
    transfer_began = clock_us();
    stopping = 0;
    if (out_bytes)
        TASKS_STARTTX = 1;
    else
        TASKS_STARTRX = 1;
}

/* A transfer that was refused must be stopped (PS 6.31.6); one that never ends leaves the TWIM off until bus_init. */
int bus_poll(void)
{
    if (EVENTS_ERROR && !stopping) {
        stopping = 1;
        TASKS_STOP = 1;
    }
    if (EVENTS_STOPPED) {
        __asm volatile("" ::: "memory"); /* the DMA wrote *in */
        return ERRORSRC & ERROR_NACKS ? BUS_NACK : BUS_DONE;
    }
    if (clock_us() - transfer_began > TRANSFER_LIMIT_US) {
        ENABLE = 0;
        return BUS_STUCK;
    }
    return BUS_BUSY;
}

int bus_transfer(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes)
{
    int state;
    bus_start(address, out, out_bytes, in, in_bytes);
    do
        state = bus_poll();
    while (state == BUS_BUSY);
    return state;
}

int bus_write(uint8_t address, uint8_t reg, uint8_t value)
{
    uint8_t bytes[2] = {reg, value};
    return bus_transfer(address, bytes, sizeof bytes, 0, 0);
}

/* Reference VDD/4 at gain 1/4: full scale is VDD, so a divider between VDD and ground does not depend on it. 40 us of
 * acquisition are enough for sources of up to 800 kohm (PS 6.23.11). */
void adc_init(const uint8_t *inputs, uint32_t count)
{
    static const uint8_t ain[] = {2, 3, 6, 5, 7, 0, 4, 1}; /* of A0 to A7 */
    adc_count = count;
    for (uint32_t i = 0; i < 8; i++) {
        ADC_PSELP(i) = i < count ? 1u + ain[inputs[i]] : 0;
        ADC_CONFIG(i) = ADC_GAIN_QUARTER | ADC_REFERENCE_QUARTER_VDD | ADC_ACQUIRE_40_US;
    }
    ADC_RESOLUTION = ADC_12_BITS;
    ADC_ENABLE = 1;
}

void adc_start(int16_t *counts)
{
    ADC_EVENTS_STARTED = 0;
    ADC_EVENTS_END = 0;
    ADC_PTR = (uint32_t)counts;
    ADC_MAXCNT = adc_count;
    adc_began = clock_us();
    ADC_TASKS_START = 1;
    while (!ADC_EVENTS_STARTED && clock_us() - adc_began < ADC_LIMIT_US) {}
    ADC_TASKS_SAMPLE = 1;
}

int adc_poll(void)
{
    if (ADC_EVENTS_END) {
        __asm volatile("" ::: "memory"); /* the DMA wrote the counts */
        return BUS_DONE;
    }
    return clock_us() - adc_began > ADC_LIMIT_US ? -SENSOR_FAULT_ADC : BUS_BUSY;
}
