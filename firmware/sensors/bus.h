/* bus.h: what a driver needs of the chip: an I2C bus, an analog converter, a clock. Nothing here waits, unless it says so. */
#ifndef BUS_H
#define BUS_H

#include <stdint.h>

enum { BUS_DONE = 0, BUS_BUSY = 1, BUS_NACK = -2, BUS_STUCK = -3 }; /* the faults are -SENSOR_FAULT_* */
enum { BUS_OUTER, BUS_INNER };                                      /* the board's header; its own sensors */

/* 400 kHz. `which`: BUS_OUTER or BUS_INNER. */
void bus_init(int which);

/* Writes `out_bytes`, then reads `in_bytes` behind a repeated start; one of both may be 0. Both in RAM (EasyDMA), and both stay
 * until bus_poll no longer returns BUS_BUSY. */
void bus_start(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes);
int bus_poll(void);

/* The same, waiting for its end. */
int bus_transfer(uint8_t address, const uint8_t *out, uint32_t out_bytes, uint8_t *in, uint32_t in_bytes);
int bus_write(uint8_t address, uint8_t reg, uint8_t value);

/* `inputs`: analog pins A0 to A7 of the header, by number; at most 8. 12 bits over the supply: 4096 counts are VDD. */
void adc_init(const uint8_t *inputs, uint32_t count);
/* All inputs once; `counts` in RAM. */
void adc_start(int16_t *counts);
int adc_poll(void); /* BUS_DONE, BUS_BUSY, or -SENSOR_FAULT_ADC */

/* Microseconds since the chip's start, wraps at 2^32. */
uint32_t clock_us(void);
/* Waits. */
void clock_wait(uint32_t us);
/* Sample times: the first is `period_us` from now on. */
void clock_begin(uint32_t period_us);
void clock_end(void);
/* How many sample times have come since the last call: 0 mostly; more than 1: some were missed. `*at`: the newest's. */
uint32_t clock_due(uint32_t *at);

#endif
