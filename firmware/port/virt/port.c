/* port.c: QEMU's machine virt with one RV32 core. What ../mps2/port.c says of time and of the line holds here too, only that the
 * core's own cycle counter tells the machine's time, in ns.
 *
 * Sources: RISC-V Semihosting 1.0; QEMU's documentation of the machine `virt` (SiFive test device: reset). */
#include "port.h"

#include <string.h>

#include "riscv/fault.h"
#include "riscv/sections.h"
#include "virt.h"

#define TEST_DEVICE REG(0x00100000)

enum {
    TEST_RESET = 0x7777,
    SOON_US = 100,         /* how often the line is looked at while an exchange goes on, */
    LATER_US = 2000,       /* and how often when it has been silent */
    SILENT_US = 50000,     /* for 50 ms */
    INSTRUCTION_SHIFT = 7, /* 2^7 ns */
    INSTRUCTION_HALF = 1 << 6,
    SYS_OPEN = 1,
    SYS_WRITE = 5,
    SYS_READ = 6,
    OPEN_READ = 0, /* fopen's "r" */
    OPEN_WRITE = 4,
};

/* Instructions in a second of the machine's own time: the unit of port_cycles, no speed of anything. */
const uint32_t port_clock_hz = 7812500;

static const port_fault *last_fault;
static uint64_t zero_ns;
static uint32_t zero_count;
static uint32_t input, output; /* semihosting's handles */

/* Three instructions of four bytes each, on one page. */
__attribute__((noinline)) static uint32_t semihost(uint32_t operation, const void *arguments)
{
    register uint32_t a0 __asm("a0") = operation;
    register const void *a1 __asm("a1") = arguments;
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "slli x0, x0, 0x1f\n"
                   "ebreak\n"
                   "srai x0, x0, 7\n"
                   ".option pop\n"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
}

static uint32_t open_console(uint32_t mode)
{
    const struct {
        const char *name;
        uint32_t mode, length;
    } console = {":tt", mode, 3};
    return semihost(SYS_OPEN, &console);
}

static uint64_t now_ns(void)
{
    uint32_t high, low;
    do {
        high = CSR_READ("mcycleh");
        low = CSR_READ("mcycle");
    } while (high != CSR_READ("mcycleh"));
    return (uint64_t)high << 32 | low;
}

uint32_t port_cycles(void)
{
    return zero_count + (uint32_t)((now_ns() - zero_ns + INSTRUCTION_HALF) >> INSTRUCTION_SHIFT);
}

/* After a wait the machine's time is no longer a multiple of an instruction's since the last zero. */
static void set_zero(void)
{
    uint32_t now = port_cycles();
    zero_ns = now_ns();
    zero_count = now;
}

void port_init(void)
{
    last_fault = fault_collect();
    virt_no_alarm();
    input = open_console(OPEN_READ);
    output = open_console(OPEN_WRITE);
    set_zero();
}

const char *port_name(void)
{
    return "qemu-rv32";
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

/* Interrupts are masked: the timer's pends and so wakes the processor, nothing more. */
static void wait_a_little(uint32_t us)
{
    virt_alarm_in(us);
    CSR_SET("mie", MIE_MTIE);
    __asm volatile("wfi" ::: "memory");
    CSR_CLEAR("mie", MIE_MTIE);
    virt_no_alarm();
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint8_t *to = dst;
    uint32_t got = 0;
    uint64_t last = virt_now();
    for (;;) {
        uint32_t some = read_some(to + got, n - got);
        got += some;
        if (got == n)
            break;
        uint64_t silent_us = (virt_now() - last) / TICKS_PER_US;
        if (some)
            last = virt_now();
        else if (timeout_us && silent_us > timeout_us)
            break;
        else
            wait_a_little(silent_us > SILENT_US ? LATER_US : SOON_US);
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
    memcpy(id, "QEMUvirt", 8);
}

/* There is no bootloader: an image is put in place by starting the emulator again. */
_Noreturn void port_reboot(int mode)
{
    (void)mode;
    TEST_DEVICE = TEST_RESET;
    for (;;) {}
}

const port_fault *port_last_fault(void)
{
    return last_fault;
}

uint8_t *port_stack_limit(void)
{
    return (uint8_t *)_stack_limit;
}
