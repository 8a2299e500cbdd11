/* port.c: STM32F401RE on the NUCLEO-F401RE, bare metal, polled; data over USART2, which the ST-LINK makes a USB serial port.
 * Register sources: RM0368 (STM32F401xB/C/D/E reference manual), sections named at each block; UM1724 (Nucleo-64 boards)
 * 6.8 for the pins. */
#include "port.h"

#include <string.h>

#include "clock.h"
#include "cortexm/armv7m.h"
#include "cortexm/fault.h"
#include "cortexm/sections.h"
#include "rcc.h"

/* 6.3 RCC */
#define AHB1ENR_GPIOA 1u
#define APB1ENR_USART2 (1u << 17)
/* 8.4 GPIOA */
#define GPIOA_MODER REG(0x40020000)
#define GPIOA_PUPDR REG(0x4002000C)
#define GPIOA_AFRL REG(0x40020020)
/* 19.6 USART2 */
#define USART_SR REG(0x40004400)
#define USART_DR REG(0x40004404)
#define USART_BRR REG(0x40004408)
#define USART_CR1 REG(0x4000440C)
#define USART_CR2 REG(0x40004410)
#define USART_CR3 REG(0x40004414)
#define SR_ORE (1u << 3)
#define SR_RXNE (1u << 5)
#define SR_TC (1u << 6)
#define SR_TXE (1u << 7)
#define CR1_UE_TE_RE (1u << 13 | 1u << 3 | 1u << 2)
/* 24.1 unique device ID */
#define UNIQUE_ID ((const uint8_t *)0x1FFF7A10)

enum {
    PIN_TXD = 2, /* PA2 */
    PIN_RXD = 3, /* PA3 */
    MODE_ALTERNATE = 2,
    PULL_UP = 1, /* an open line reads as idle */
    AF_USART2 = 7,
    BAUD = 460800, /* boards.py names the same */
    CYCLES_PER_US = CLOCK_HZ / 1000000,
    UNIQUE_ID_BYTES = 12,
};

const uint32_t port_clock_hz = CLOCK_HZ;

static const port_fault *last_fault;
static int from_hse;

static void set_pin(int pin)
{
    GPIOA_AFRL = (GPIOA_AFRL & ~(0xFu << 4 * pin)) | (uint32_t)AF_USART2 << 4 * pin;
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 2 * pin)) | (uint32_t)MODE_ALTERNATE << 2 * pin;
}

/* BRR holds the divider of the clock itself, 16 times oversampled (19.3.4): 42 MHz / 91 = 461,538 baud, 0.16 % fast. */
static void init_usart(void)
{
    RCC_AHB1ENR |= AHB1ENR_GPIOA;
    RCC_APB1ENR |= APB1ENR_USART2;
    (void)RCC_APB1ENR; /* the peripheral's clock runs two cycles after the write: 6.2 */
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << 2 * PIN_RXD)) | (uint32_t)PULL_UP << 2 * PIN_RXD;
    set_pin(PIN_TXD);
    set_pin(PIN_RXD);
    USART_CR2 = 0; /* one stop bit */
    USART_CR3 = 0; /* no flow control, no DMA */
    USART_BRR = (CLOCK_APB1_HZ + BAUD / 2) / BAUD;
    USART_CR1 = CR1_UE_TE_RE; /* 8 bits, no parity */
}

void port_init(void)
{
    last_fault = fault_collect();
    from_hse = clock_init();
    init_usart();
}

const char *port_name(void)
{
    return from_hse ? "nucleo-f401re" : "nucleo-f401-hsi";
}

/* The USART holds one byte while the next one comes: 10 bits at 461,538 baud are 1820 cycles. Between two calls the caller
 * checks a header, which takes about 300. A byte that is lost all the same costs a repetition: wire.c's CRC tells. */
uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0, limit = timeout_us * CYCLES_PER_US;
    uint32_t last = DWT_CYCCNT;
    while (got < n) {
        uint32_t status = USART_SR;
        if (status & (SR_RXNE | SR_ORE)) {
            uint8_t byte = (uint8_t)USART_DR; /* also ends an overrun, after which nothing else would come: 19.3.3 */
            if (status & SR_RXNE)
                to[got++] = byte;
            last = DWT_CYCCNT;
        } else if (timeout_us && DWT_CYCCNT - last > limit) {
            break;
        }
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    for (const uint8_t *from = src; n; n--) {
        while (!(USART_SR & SR_TXE)) {}
        USART_DR = *from++;
    }
}

uint32_t port_cycles(void)
{
    return DWT_CYCCNT;
}

/* The chip's 96 bits as 64 by FNV-1a: none of the three words alone is unique (24.1: wafer position, wafer, lot). */
void port_board_id(uint8_t id[8])
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < UNIQUE_ID_BYTES; i++)
        hash = (hash ^ UNIQUE_ID[i]) * 0x100000001B3u;
    memcpy(id, &hash, 8);
}

/* There is no bootloader to enter: the ST-LINK flashes whatever runs. */
void port_reboot(int mode)
{
    (void)mode;
    while (!(USART_SR & SR_TC)) { /* the last byte may still be leaving */
    }
    cortexm_reset();
}

const port_fault *port_last_fault(void)
{
    return last_fault;
}

uint8_t *port_stack_limit(void)
{
    return (uint8_t *)_stack_limit;
}
