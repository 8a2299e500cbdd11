/* port.c: RP2040 on the Raspberry Pi Pico, bare metal, polled; data over UART0 on GP0 and GP1, where the Raspberry Pi Debug
 * Probe, or any serial adapter of 3.3 V, is wired to. rp2040.h names the sections of the datasheet. */
#include "port.h"

#include <string.h>

#include "cortexm/fault.h"
#include "cortexm/sections.h"
#include "rp2040.h"

enum {
    PIN_TXD = 0,
    PIN_RXD = 1,
    FUNCTION_UART = 2,
    BAUD = 1000000, /* boards.py names the same */
    SYSTICK_ON = 5, /* processor clock, no exception */
    SYSTICK_LAST = 0xFFFFFF,
    ROM_LOOKUP = 0x18, /* 2.8.3: where the boot ROM keeps pointers of 16 bits */
    ROM_FUNCTIONS = 0x14,
    ROM_USB_BOOT = 'U' | 'B' << 8,
};

const uint32_t port_clock_hz = CLOCK_HZ;

static const port_fault *last_fault;
static uint8_t unique_id[8];
static int on_chip; /* not in an emulator, whose flash has no number */

static void init_uart(void)
{
    const uint32_t divider = (8 * (CLOCK_HZ / BAUD) + 1) / 2; /* in 64ths of 16 clocks a bit: 4.2.7.1 */
    GPIO_CTRL(PIN_TXD) = FUNCTION_UART;
    GPIO_CTRL(PIN_RXD) = FUNCTION_UART;
    PAD(PIN_RXD) = (PAD(PIN_RXD) & ~PAD_PDE) | PAD_PUE; /* an open line reads as idle */
    UART_CR = 0;
    UART_IBRD = divider / 64;
    UART_FBRD = divider % 64;
    UART_LCR_H = LCR_8_BITS_FIFO;
    UART_CR = CR_ON;
}

void port_init(void)
{
    last_fault = fault_collect();
    clock_init();
    SYST_RVR = SYSTICK_LAST;
    SYST_CVR = 0;
    SYST_CSR = SYSTICK_ON;
    on_chip = flash_unique_id(unique_id);
    init_uart();
}

const char *port_name(void)
{
    return on_chip ? "pico-uart" : "rp2040js";
}

/* The UART holds 32 bytes while the caller works on a header: 320 us. */
uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0, last = TIMER_RAW_LOW;
    while (got < n) {
        if (!(UART_FR & FR_RXFE)) {
            to[got++] = (uint8_t)UART_DR;
            last = TIMER_RAW_LOW;
        } else if (timeout_us && TIMER_RAW_LOW - last > timeout_us) {
            break;
        }
        port_idle();
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    for (const uint8_t *from = src; n; n--) {
        while (UART_FR & FR_TXFF)
            port_idle();
        UART_DR = *from++;
    }
}

/* SysTick has the lowest 24 bits, exactly; the timer, from the same crystal, tells the others: it is off by a constant of less
 * than a few hundred cycles, SysTick's turn takes 134 ms. */
uint32_t port_cycles(void)
{
    uint32_t exact = SYSTICK_LAST - SYST_CVR, about = TIMER_RAW_LOW * CYCLES_PER_US;
    return about + (uint32_t)((int32_t)((exact - about) << 8) >> 8);
}

void port_board_id(uint8_t id[8])
{
    memcpy(id, on_chip ? (const char *)unique_id : "RP2040JS", 8);
}

typedef void *(*rom_lookup)(const uint16_t *table, uint32_t code);
typedef void (*rom_usb_boot)(uint32_t activity_pins, uint32_t disabled_interfaces);

/* The compiler takes addresses near 0 for mistakes. */
static uintptr_t rom_pointer(uintptr_t at)
{
    __asm("" : "+r"(at));
    return *(volatile uint16_t *)at;
}

/* The ROM shows the flash as a drive then, to which a UF2 file is copied. */
static void enter_bootloader(void)
{
    rom_lookup lookup = (rom_lookup)rom_pointer(ROM_LOOKUP);
    const uint16_t *table = (const uint16_t *)rom_pointer(ROM_FUNCTIONS);
    rom_usb_boot boot = lookup ? (rom_usb_boot)lookup(table, ROM_USB_BOOT) : 0;
    if (boot)
        boot(0, 0);
}

void port_reboot(int mode)
{
    while (UART_FR & FR_BUSY) { /* the last byte may still be leaving */
    }
    if (mode)
        enter_bootloader();
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
