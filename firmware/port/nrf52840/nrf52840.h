/* nrf52840.h: registers of the chip that several files use, or that the Arduino port uses as well.
 * Source: nRF52840 Product Specification v1.7 (PS), chapters named at each block. */
#ifndef NRF52840_H
#define NRF52840_H

#include "../cortexm/armv7m.h"

/* PS 5.3 POWER */
#define POWER_RESETREAS REG(0x40000400)
#define POWER_GPREGRET REG(0x4000051C)
#define POWER_GPREGRET2 REG(0x40000520)
/* Makes the Nano 33 BLE's bootloader stay: the value of ArduinoCore-mbed's 1200-baud touch. */
#define GPREGRET_BOOTLOADER 0xB0u
/* PS 4.3 NVMC */
#define NVMC_ICACHECNF REG(0x4001E540)
/* PS 4.4 FICR */
#define FICR_DEVICEID ((const uint8_t *)0x10000060)
/* PS 6.30 TIMER0; the Arduino core uses it for Bluetooth only */
#define TIMER_TASKS_START REG(0x40008000)
#define TIMER_TASKS_STOP REG(0x40008004)
#define TIMER_TASKS_CLEAR REG(0x4000800C)
#define TIMER_EVENTS_COMPARE0 REG(0x40008140)
#define TIMER_INTENSET REG(0x40008304)
#define TIMER_INTENCLR REG(0x40008308)
#define TIMER_MODE REG(0x40008504)
#define TIMER_BITMODE REG(0x40008508)
#define TIMER_PRESCALER REG(0x40008510)
#define TIMER_CC0 REG(0x40008540)

enum {
    CYCLES_PER_US = 64,
    TIMER0_IRQ = 8, /* PS 4.2.4 */
    TIMER_COMPARE0 = 1 << 16,
    TIMER_MODE_TIMER = 0,
    TIMER_32_BITS = 3,
    TIMER_1_MHZ = 4, /* 16 MHz / 2^4 */
};

/* Counts microseconds from 0 on and raises the interrupt once, after `us`. */
static inline void timer0_set(uint32_t us)
{
    TIMER_TASKS_STOP = 1;
    TIMER_TASKS_CLEAR = 1;
    TIMER_MODE = TIMER_MODE_TIMER;
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = TIMER_1_MHZ;
    TIMER_CC0 = us;
    TIMER_EVENTS_COMPARE0 = 0;
    TIMER_INTENSET = TIMER_COMPARE0;
    NVIC_ICPR(0) = 1u << TIMER0_IRQ;
}

#endif
