/* port.c: QEMU's mps2-an386, a Cortex-M4F without a cycle counter.
 *
 * QEMU runs with `-icount shift=7` (harness/board/qemu.py): an instruction takes 128 ns of the machine's time, so a timer of
 * 40 ns tells them apart one by one, and port_cycles counts instructions. While the processor waits, that time is the host's.
 *
 * Bytes cross by semihosting, a block at a time, on QEMU's own stdin and stdout: the machine's UART moves one byte a turn of
 * QEMU's main loop. Its stdin never blocks: a read takes what is there.
 *
 * Sources: Arm, Semihosting for AArch32 and AArch64 (SYS_OPEN, SYS_READ, SYS_WRITE; BKPT 0xAB on M-profile cores); Arm
 * Cortex-M System Design Kit Technical Reference Manual (DDI 0479), 4.2 APB timer; Arm Application Note AN386 for its
 * address. */
#include "port.h"

#include <string.h>

#include "cortexm/armv7m.h"
#include "cortexm/fault.h"
#include "cortexm/sections.h"

#define TIMER0_CTRL REG(0x40000000)
#define TIMER0_VALUE REG(0x40000004)
#define TIMER0_RELOAD REG(0x40000008)

enum {
    TIMER_ON = 1,
    TICKS_PER_US = 25,
    SYST_ON = 7,            /* processor clock, pends its exception, counts */
    SOON_TICKS = 2500,      /* 100 us: how often the line is looked at while an exchange goes on, */
    LATER_TICKS = 50000,    /* 2 ms: and how often when it has been silent */
    SILENT_TICKS = 1250000, /* for 50 ms */
    /* An instruction is 128 ns or 16 / 5 ticks of 40 ns. */
    INSTRUCTIONS_5_16 = 5,
    SHIFT_5_16 = 4,
    HALF_5_16 = 8,
    SYS_OPEN = 1,
    SYS_WRITE = 5,
    SYS_READ = 6,
    OPEN_READ = 0, /* fopen's "r" */
    OPEN_WRITE = 4,
};

/* Instructions in a second of the machine's own time: the unit of port_cycles, no speed of anything. */
const uint32_t port_clock_hz = 7812500;

static const port_fault *last_fault;
static uint32_t zero_ticks, zero_count;
static uint32_t input, output; /* semihosting's handles */

static uint32_t semihost(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t open_console(uint32_t mode)
{
    const struct {
        const char *name;
        uint32_t mode, length;
    } console = {":tt", mode, 3};
    return semihost(SYS_OPEN, &console);
}

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
    input = open_console(OPEN_READ);
    output = open_console(OPEN_WRITE);
    set_zero();
}

const char *port_name(void)
{
    return "qemu";
}

/* What has come, at most n bytes. */
static uint32_t read_some(void *dst, uint32_t n)
{
    const struct {
        uint32_t handle;
        void *to;
        uint32_t length;
    } wanted = {input, dst, n};
    uint32_t left = semihost(SYS_READ, &wanted);
    return left > n ? 0 : n - left; /* -1: nothing */
}

/* Interrupts are masked: SysTick pends and so wakes the processor, nothing more. */
static void wait_a_little(uint32_t for_ticks)
{
    SYST_RVR = for_ticks - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON;
    __asm volatile("wfi" ::: "memory");
    SYST_CSR = 0;
    SCB_ICSR = ICSR_PENDSTCLR;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0, last = ticks();
    for (;;) {
        uint32_t some = read_some(to + got, n - got);
        got += some;
        if (got == n)
            break;
        uint32_t silent = ticks() - last;
        if (some)
            last = ticks();
        else if (timeout_us && silent > timeout_us * TICKS_PER_US)
            break;
        else
            wait_a_little(silent > SILENT_TICKS ? LATER_TICKS : SOON_TICKS);
    }
    set_zero();
    return got;
}

void port_write(const void *src, uint32_t n)
{
    const struct {
        uint32_t handle;
        const void *from;
        uint32_t length;
    } said = {output, src, n};
    (void)semihost(SYS_WRITE, &said);
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
