/* port.c: nRF52840 on the Arduino Nano 33 BLE (Sense), bare metal, polled; the virtual board runs the same.
 * Register source: nRF52840 Product Specification v1.7 (PS), chapters named at each block. */
#include "port.h"

#include <string.h>

#include "cortexm/fault.h"
#include "cortexm/sections.h"
#include "nrf52840.h"

/* PS 5.4 CLOCK */
#define CLOCK_TASKS_HFCLKSTART REG(0x40000000)
#define CLOCK_EVENTS_HFCLKSTARTED REG(0x40000100)
/* PS 6.9 GPIO, port 1 */
#define GPIO_P1_OUTSET REG(0x50000808)
#define GPIO_P1_OUTCLR REG(0x5000080C)
#define GPIO_P1_PIN_CNF(pin) REG(0x50000A00 + 4 * (pin))
#define PIN_CNF_OUTPUT 3u         /* output, input buffer off */
#define PIN_CNF_INPUT_PULLUP 0xCu /* an open line reads as idle */
/* PS 6.34 UARTE0 */
#define UARTE_TASKS_STARTRX REG(0x40002000)
#define UARTE_TASKS_STOPRX REG(0x40002004)
#define UARTE_TASKS_STARTTX REG(0x40002008)
#define UARTE_EVENTS_RXDRDY REG(0x40002108)
#define UARTE_EVENTS_ENDRX REG(0x40002110)
#define UARTE_EVENTS_ENDTX REG(0x40002120)
#define UARTE_EVENTS_RXTO REG(0x40002144)
#define UARTE_ENABLE REG(0x40002500)
#define UARTE_PSEL_RTS REG(0x40002508)
#define UARTE_PSEL_TXD REG(0x4000250C)
#define UARTE_PSEL_CTS REG(0x40002510)
#define UARTE_PSEL_RXD REG(0x40002514)
#define UARTE_BAUDRATE REG(0x40002524)
#define UARTE_RXD_PTR REG(0x40002534)
#define UARTE_RXD_MAXCNT REG(0x40002538)
#define UARTE_RXD_AMOUNT REG(0x4000253C)
#define UARTE_TXD_PTR REG(0x40002544)
#define UARTE_TXD_MAXCNT REG(0x40002548)
#define UARTE_CONFIG REG(0x4000256C)
#define APPROTECT_DISABLE REG(0x40000558)
#define APPROTECT_SW_DISABLE 0x5Au
#define BAUDRATE_1M 0x10000000u
#define PSEL_OFF 0xFFFFFFFFu

enum {
    PIN_TXD = 3,      /* P1.03, "TX" on the board */
    PIN_RXD = 10,     /* P1.10, "RX" */
    PIN_TRIGGER = 11, /* P1.11, "D2" */
    PSEL_PORT_1 = 32,
    UARTE_ON = 8,
    DMA_MAX = 0xFFFF, /* MAXCNT has 16 bits */
    /* 10 ms: the crystal takes 0.36 ms (PS 5.4), or it never starts. */
    CRYSTAL_WAIT_CYCLES = 10 * 1000 * CYCLES_PER_US,
};

const uint32_t port_clock_hz = CYCLES_PER_US * 1000000u;

static const port_fault *last_fault;
static int has_crystal;

static void init_uarte(void)
{
    GPIO_P1_OUTSET = 1u << PIN_TXD;
    GPIO_P1_PIN_CNF(PIN_TXD) = PIN_CNF_OUTPUT;
    GPIO_P1_PIN_CNF(PIN_RXD) = PIN_CNF_INPUT_PULLUP;
    UARTE_PSEL_TXD = PSEL_PORT_1 + PIN_TXD;
    UARTE_PSEL_RXD = PSEL_PORT_1 + PIN_RXD;
    UARTE_PSEL_RTS = PSEL_OFF;
    UARTE_PSEL_CTS = PSEL_OFF;
    UARTE_BAUDRATE = BAUDRATE_1M;
    UARTE_CONFIG = 0; /* no parity, one stop bit, no flow control */
    UARTE_ENABLE = UARTE_ON;
}

/* The RC oscillator runs on until the crystal is ready. It is typically 1.5 % exact, which the UART tolerates, but every
 * time shows it: the board says so by its name. */
static int start_crystal(void)
{
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    uint32_t since = DWT_CYCCNT;
    while (!CLOCK_EVENTS_HFCLKSTARTED) {
        if (DWT_CYCCNT - since > CRYSTAL_WAIT_CYCLES)
            return 0;
    }
    return 1;
}

/* Chips from revision 3 on lock the debug probe out after each reset until the program opens its half of the lock; the other half
 * is UICR's (PS, Debug and trace: access port protection). Others have no such register and ignore it. */
static void let_probe_in(void)
{
#ifdef PORT_MAILBOX
    APPROTECT_DISABLE = APPROTECT_SW_DISABLE;
#endif
}

void port_init(void)
{
    last_fault = fault_collect();
    let_probe_in();
    cortexm_start_counter();
    has_crystal = start_crystal();
    NVMC_ICACHECNF = 1;
    init_uarte();
}

const char *port_name(void)
{
    return has_crystal ? "nano33ble-uart" : "nano33-uart-hsi";
}

/* Ends a reception that fell silent. ENDRX comes before RXTO and completes AMOUNT (PS 6.34.2). */
static void stop_rx(void)
{
    UARTE_EVENTS_RXTO = 0;
    UARTE_TASKS_STOPRX = 1;
    while (!UARTE_EVENTS_RXTO) {}
}

/* At most DMA_MAX bytes. Between two receptions the UARTE's FIFO holds what comes: 4 bytes at least, that is 40 us or
 * 2560 cycles at 1 Mbaud. Checking a header takes about 300. */
static uint32_t read_block(uint8_t *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t limit = timeout_us * CYCLES_PER_US;
    UARTE_EVENTS_ENDRX = 0;
    UARTE_EVENTS_RXDRDY = 0;
    UARTE_RXD_PTR = (uint32_t)dst;
    UARTE_RXD_MAXCNT = n;
    UARTE_TASKS_STARTRX = 1;
    uint32_t last = DWT_CYCCNT;
    while (!UARTE_EVENTS_ENDRX) {
        port_idle();
        if (!timeout_us)
            continue;
        if (UARTE_EVENTS_RXDRDY) {
            UARTE_EVENTS_RXDRDY = 0;
            last = DWT_CYCCNT;
        } else if (DWT_CYCCNT - last > limit) {
            stop_rx();
            break;
        }
    }
    __asm volatile("" ::: "memory"); /* the DMA wrote *dst */
    return UARTE_RXD_AMOUNT;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t got = 0;
    while (got < n) {
        uint32_t block = n - got < DMA_MAX ? n - got : DMA_MAX;
        uint32_t amount = read_block((uint8_t *)dst + got, block, timeout_us);
        got += amount;
        if (amount < block)
            break;
    }
    return got;
}

/* EasyDMA reads RAM only (PS 4.1.1): `src` must not be a constant in flash. */
void port_write(const void *src, uint32_t n)
{
    const uint8_t *from = src;
    __asm volatile("" ::: "memory"); /* all of *src is written before the DMA reads it */
    while (n) {
        uint32_t block = n < DMA_MAX ? n : DMA_MAX;
        UARTE_EVENTS_ENDTX = 0;
        UARTE_TXD_PTR = (uint32_t)from;
        UARTE_TXD_MAXCNT = block;
        UARTE_TASKS_STARTTX = 1;
        while (!UARTE_EVENTS_ENDTX)
            port_idle();
        from += block;
        n -= block;
    }
}

uint32_t port_cycles(void)
{
    return DWT_CYCCNT;
}

/* DEVICEID[0] and [1] as they stand in memory: the low byte of word 0 comes first. */
void port_board_id(uint8_t id[8])
{
    memcpy(id, FICR_DEVICEID, 8);
}

void port_reboot(int mode)
{
    /* The last byte may still be leaving the shift register: 10 us at 1 Mbaud. Counted in instructions, because a
     * virtual board may have its cycle counter off. */
    for (volatile int i = 0; i < 1000; i++) {}
    POWER_GPREGRET = mode ? GPREGRET_BOOTLOADER : 0;
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

void port_trigger(int on)
{
    if (on)
        GPIO_P1_OUTSET = 1u << PIN_TRIGGER;
    else
        GPIO_P1_OUTCLR = 1u << PIN_TRIGGER;
    GPIO_P1_PIN_CNF(PIN_TRIGGER) = PIN_CNF_OUTPUT;
}
