/* port.c: QEMU's boards with an M-profile core, none of which has a cycle counter; machine.h has what differs between them.
 *
 * QEMU runs with `-icount shift=7` (harness/board/qemu.py): an instruction takes 128 ns of the machine's time, so a timer with a
 * shorter tick tells them apart one by one, and port_cycles counts instructions. While the processor waits, that time is the
 * host's.
 *
 * Bytes cross by semihosting, a block at a time, on QEMU's own stdin and stdout: the machine's UART moves one byte a turn of
 * QEMU's main loop. Its stdin never blocks: a read takes what is there.
 *
 * Source: Arm, Semihosting for AArch32 and AArch64 (SYS_OPEN, SYS_READ, SYS_WRITE; BKPT 0xAB on M-profile cores). */
#include "port.h"

#include <string.h>

#include "cortexm/armv7m.h"
#include "cortexm/fault.h"
#include "cortexm/sections.h"
#include "machine.h"

enum {
    SYST_ON = 7,                         /* processor clock, pends its exception, counts */
    SOON_US = 100,                       /* how often the line is looked at while an exchange goes on, */
    LATER_US = 2000,                     /* and how often when it has been silent */
    SILENT_TICKS = 50000 * TICKS_PER_US, /* for 50 ms */
    TICK_HALF = 1 << (TICK_SHIFT - 1),
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

/* Rounded, so exact: whatever part of a tick had passed at zero_ticks, 128 ns * n is less than half an instruction away.
 * Good for 2^32 ticks since then, a billion instructions: MEASURE_LONGEST_US comes first. */
uint32_t port_cycles(void)
{
    uint64_t passed = machine_ticks() - zero_ticks;
    return zero_count + (uint32_t)((passed * TICK_MUL + TICK_HALF) >> TICK_SHIFT);
}

/* After a wait the machine's time is no longer a multiple of an instruction's since the last zero. */
static void set_zero(void)
{
    uint32_t now = port_cycles();
    zero_ticks = machine_ticks();
    zero_count = now;
}

void port_init(void)
{
    last_fault = fault_collect();
    machine_start_counter();
    input = open_console(OPEN_READ);
    output = open_console(OPEN_WRITE);
    set_zero();
}

const char *port_name(void)
{
    return MACHINE_NAME;
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
static void wait_a_little(uint32_t us)
{
    SYST_RVR = us * SYST_TICKS_PER_US - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_ON;
    __asm volatile("wfi" ::: "memory");
    SYST_CSR = 0;
    SCB_ICSR = ICSR_PENDSTCLR;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0, last = machine_ticks();
    for (;;) {
        uint32_t some = read_some(to + got, n - got);
        got += some;
        if (got == n)
            break;
        uint32_t silent = machine_ticks() - last;
        if (some)
            last = machine_ticks();
        else if (timeout_us && silent > timeout_us * TICKS_PER_US)
            break;
        else
            wait_a_little(silent > SILENT_TICKS ? LATER_US : SOON_US);
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
