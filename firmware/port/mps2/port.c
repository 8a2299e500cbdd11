/* port.c: QEMU's mps2-an386, a Cortex-M4F with Arm's CMSDK peripherals and without a cycle counter.
 *
 * QEMU runs with `-icount shift=7` (harness/board/qemu.py): an instruction takes 128 ns of the machine's time, so a timer of
 * 40 ns tells them apart one by one, and port_cycles counts instructions. While the processor waits (WFI), that time is the
 * host's.
 *
 * Register sources: Arm Cortex-M System Design Kit Technical Reference Manual (DDI 0479), 4.2 APB timer, 4.4 APB UART;
 * Arm Application Note AN386 for addresses and interrupts. */
#include "port.h"

#include <string.h>

#include "cortexm/armv7m.h"
#include "cortexm/fault.h"
#include "cortexm/sections.h"

#define TIMER0_CTRL REG(0x40000000)
#define TIMER0_VALUE REG(0x40000004)
#define TIMER0_RELOAD REG(0x40000008)
#define UART0_DATA REG(0x40004000)
#define UART0_STATE REG(0x40004004)
#define UART0_CTRL REG(0x40004008)
#define UART0_INTCLEAR REG(0x4000400C)
#define UART0_BAUDDIV REG(0x40004010)

enum {
    TIMER_ON = 1,
    STATE_TX_FULL = 1,
    STATE_RX_FULL = 2,
    CTRL_TX = 1,
    CTRL_RX = 2,
    CTRL_RX_INTERRUPT = 8,
    INT_RX = 2,
    IRQ_UART0_RX = 1 << 0,
    BAUDDIV_1M = 25, /* of the 25 MHz clock */
    TICKS_PER_US = 25,
    SYST_ON = 7,         /* processor clock, pends its exception, counts */
    WAKE_TICKS = 250000, /* 10 ms */
    /* An instruction is 128 ns or 16 / 5 ticks of 40 ns. */
    INSTRUCTIONS_5_16 = 5,
    SHIFT_5_16 = 4,
    HALF_5_16 = 8,
};

/* Instructions in a second of the machine's own time: the unit of port_cycles, no speed of anything. */
const uint32_t port_clock_hz = 7812500;

static const port_fault *last_fault;
static uint32_t zero_ticks, zero_count;

static uint32_t ticks(void)
{
    return ~TIMER0_VALUE; /* counts down */
}

/* Rounded, so exact: whatever part of a tick had passed at zero_ticks, 128 ns * n is less than half an instruction away.
 * Good for 2^32 ticks since then, 1.3 billion instructions: MEASURE_LONGEST_US comes first. */
uint32_t port_cycles(void)
{
    uint64_t passed = ticks() - zero_ticks;
    return zero_count + (uint32_t)((passed * INSTRUCTIONS_5_16 + HALF_5_16) >> SHIFT_5_16);
}

/* After a wait the machine's time is no longer a multiple of an instruction's since the last zero. */
static void set_zero(void)
{
    uint32_t now = port_cycles();
    zero_ticks = ticks();
    zero_count = now;
}

void port_init(void)
{
    last_fault = fault_collect();
    TIMER0_RELOAD = ~0u;
    TIMER0_VALUE = ~0u;
    TIMER0_CTRL = TIMER_ON;
    UART0_BAUDDIV = BAUDDIV_1M;
    UART0_CTRL = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    set_zero();
}

const char *port_name(void)
{
    return "qemu";
}

/* Polling keeps the emulator from its input: a waiting processor receives four times as fast. Interrupts are masked, so one
 * that pends only wakes it; SysTick does so where silence must be noticed. */
static void wait_a_little(void)
{
    __asm volatile("wfi" ::: "memory");
    UART0_INTCLEAR = INT_RX;
    SCB_ICSR = ICSR_PENDSTCLR;
    NVIC_ICPR(0) = IRQ_UART0_RX;
}

static void wake_by_clock(int on)
{
    SYST_RVR = WAKE_TICKS - 1;
    SYST_CVR = 0;
    SYST_CSR = on ? SYST_ON : 0;
    SCB_ICSR = ICSR_PENDSTCLR;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0, last = ticks();
    NVIC_ISER(0) = IRQ_UART0_RX;
    wake_by_clock(timeout_us != 0);
    while (got < n) {
        if (UART0_STATE & STATE_RX_FULL) {
            to[got++] = (uint8_t)UART0_DATA;
            last = ticks();
        } else if (timeout_us && ticks() - last > timeout_us * TICKS_PER_US)
            break;
        else
            wait_a_little();
    }
    wake_by_clock(0);
    NVIC_ICER(0) = IRQ_UART0_RX; /* the watchdog's time runs with interrupts on */
    set_zero();
    return got;
}

void port_write(const void *src, uint32_t n)
{
    for (const uint8_t *from = src; n; n--) {
        while (UART0_STATE & STATE_TX_FULL) {}
        UART0_DATA = *from++;
    }
}

/* Begins with QEMU, so that nobody takes it for a chip's. */
void port_board_id(uint8_t id[8])
{
    memcpy(id, "QEMUmps2", 8);
}

/* There is no bootloader: an image is put in place by starting the emulator again. */
void port_reboot(int mode)
{
    (void)mode;
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
