/* core.cpp: see core.h. Only what every Arduino core has: Serial, micros, delay, yield, setup, loop; and beside it the cycle
 * counters that some document:
 *
 * - Arduino-Pico: rp2040.getCycleCount(), f_cpu(), getChipID(), reboot();
 * - Arduino-ESP32 and ESP8266: ESP.getCycleCount(), getCpuFreqMHz(), restart(); ESP32 also getEfuseMac();
 * - a Cortex-M3 or above: DWT, if it counts (Arm, Armv7-M ARM, C1.8): a core may have locked it, an emulator may lack it;
 * - any other: micros().
 *
 * Interrupts stay on during an inference, because micros() and two of the counters need them: the core's ticks are counted too. */
#include <Arduino.h>

extern "C" {
#include "../../app/main.h"
#include "core.h"
}

#if defined(ARDUINO_ARCH_RP2040) && !defined(ARDUINO_ARCH_MBED)
#define HAS_RP2040 1
#elif defined(ARDUINO_ARCH_ESP32) || defined(ARDUINO_ARCH_ESP8266)
#define HAS_ESP 1
#elif defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
#define HAS_DWT 1
#endif
#if defined(ARDUINO_ARCH_MBED) && !defined(F_CPU)
extern "C" uint32_t SystemCoreClock; /* CMSIS: every core of Mbed OS has it, and none has F_CPU */
#define F_CPU SystemCoreClock
#endif

enum {
    SILENT_MS = 500,     /* of a host that takes nothing */
    FIND_US = 50000,     /* how long counter and clock are compared: 1 us of micros() is 20 ppm of it */
    CLOCK_STEP = 100000, /* Hz to which a clock that is only measured is rounded, so that it is the same after each reset */
};

static uint32_t clock_hz;
static bool by_micros; /* there is no counter of cycles */

#if HAS_RP2040
static uint32_t counter(void)
{
    return rp2040.getCycleCount();
}
#elif HAS_ESP
static uint32_t counter(void)
{
    return ESP.getCycleCount();
}
#elif HAS_DWT
static uint32_t counter(void)
{
    return *(volatile uint32_t *)0xE0001004;
}
#endif

/* Hz by the counter itself and micros(); 0: there is none that counts. */
static uint32_t measured_hz(void)
{
#if HAS_RP2040 || HAS_ESP || HAS_DWT
#if HAS_DWT
    *(volatile uint32_t *)0xE000EDFC |= 1u << 24; /* DEMCR: TRCENA */
    *(volatile uint32_t *)0xE0001000 |= 1;        /* DWT_CTRL: CYCCNTENA */
#endif
    uint32_t from_us = micros(), from = counter(), us;
    do {
        us = (uint32_t)micros() - from_us;
    } while (us < FIND_US);
    uint32_t cycles = counter() - from;
    return (uint32_t)((uint64_t)cycles * 1000000u / us);
#else
    return 0;
#endif
}

/* What the core says that its clock is; 0: nothing. */
static uint32_t stated_hz(void)
{
#if HAS_RP2040
    return rp2040.f_cpu();
#elif HAS_ESP
    return (uint32_t)ESP.getCpuFreqMHz() * 1000000u;
#elif defined(F_CPU)
    return (uint32_t)(F_CPU);
#else
    return 0;
#endif
}

void core_init(void)
{
    uint32_t measured = measured_hz(), stated = stated_hz();
    if (measured < 1000000) { /* no counter, or it stands */
        by_micros = true;
        clock_hz = stated >= 1000000 ? stated : 1000000;
        return;
    }
    uint32_t apart = measured > stated ? measured - stated : stated - measured;
    clock_hz = apart <= measured / 100 ? stated : (measured + CLOCK_STEP / 2) / CLOCK_STEP * CLOCK_STEP;
}

uint32_t core_clock_hz(void)
{
    return clock_hz;
}

int core_counts_us(void)
{
    return by_micros;
}

/* In whole seconds and the rest, so that nothing overflows. */
static uint32_t cycles_of_micros(void)
{
    static uint64_t us;
    static uint32_t last;
    uint32_t now = micros();
    us += now - last;
    last = now;
    return (uint32_t)(us / 1000000u) * clock_hz + (uint32_t)((us % 1000000u) * clock_hz / 1000000u);
}

uint32_t core_cycles(void)
{
#if HAS_RP2040 || HAS_ESP || HAS_DWT
    if (!by_micros)
        return counter();
#endif
    return cycles_of_micros();
}

uint32_t core_read(uint8_t *dst, uint32_t n)
{
    int there = Serial.available();
    uint32_t got = there <= 0 ? 0 : (uint32_t)there < n ? (uint32_t)there : n;
    for (uint32_t i = 0; i < got; i++)
        dst[i] = (uint8_t)Serial.read();
    if (!got)
        yield(); /* some cores serve USB or a network here */
    return got;
}

void core_write(const uint8_t *src, uint32_t n)
{
    uint32_t since = micros();
    while (n) {
        uint32_t done = Serial.write(src, n);
        src += done;
        n -= done;
        if (done)
            since = micros();
        else if ((uint32_t)micros() - since > SILENT_MS * 1000u)
            return;
        else
            yield();
    }
    Serial.flush(); /* some cores keep a packet back until it is full */
}

uint32_t core_micros(void)
{
    return micros();
}

static void put(uint8_t id[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        id[i] = (uint8_t)(number >> (56 - 8 * i));
}

void core_board_id(uint8_t id[8])
{
#if HAS_RP2040
    put(id, strtoull(rp2040.getChipID(), nullptr, 16));
#elif defined(ARDUINO_ARCH_ESP32)
    put(id, ESP.getEfuseMac());
#else
    put(id, 0);
#endif
}

void core_restart(void)
{
    delay(20); /* the reply that came before has to leave */
#if HAS_RP2040
    rp2040.reboot();
#elif HAS_ESP
    ESP.restart();
#elif defined(__arm__)
    __asm volatile("dsb" ::: "memory");
    *(volatile uint32_t *)0xE000ED0C = 0x05FA0004u; /* AIRCR of every Cortex-M: VECTKEY, SYSRESETREQ */
#endif
}

void setup()
{
    Serial.begin(SKETCH_BAUD);
}

void loop()
{
    app_main(); /* never returns */
}
