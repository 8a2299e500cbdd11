/* image.c: a bare-metal program that exercises the virtual board. A one-byte command, then its arguments, gets a reply. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define UARTE(offset) REG(0x40002000 + (offset))
#define RESETREAS REG(0x40000400)
#define GPREGRET REG(0x4000051C)
#define CYCCNT REG(0xE0001004)
#define AIRCR REG(0xE000ED0C)

enum { RECORD = 0xFA117ED, TIMEOUT_CYCLES = 20000 * 64 };

extern uint32_t stack_top[];
void reset(void);

/* Not initialised: survives resets. */
__attribute__((section(".noinit"))) static struct { uint32_t magic, pc; } record;
__attribute__((section(".noinit"))) static uint32_t buffer[4096];
static const uint32_t constant = 0x12345678;

__attribute__((used, noreturn)) static void restart(void)
{
    AIRCR = 0x05FA0004;
    for (;;) {
    }
}

__attribute__((used, noreturn)) static void keep(const uint32_t *frame)
{
    record.magic = RECORD;
    record.pc = frame[6];
    restart();
}

__attribute__((naked)) static void hardfault(void)
{
    __asm volatile("mov r0, sp\nb keep\n");
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {stack_top, (void *)reset, 0, (void *)hardfault};

static uint32_t receive(void *to, uint32_t n, int timeout)
{
    uint32_t last = CYCCNT;
    UARTE(0x110) = UARTE(0x108) = UARTE(0x144) = 0;
    UARTE(0x534) = (uint32_t)to;
    UARTE(0x538) = n;
    UARTE(0x000) = 1;
    while (!UARTE(0x110)) {
        if (UARTE(0x108)) {
            UARTE(0x108) = 0;
            last = CYCCNT;
        } else if (timeout && CYCCNT - last > TIMEOUT_CYCLES) {
            UARTE(0x004) = 1;
            while (!UARTE(0x144)) {
            }
        }
    }
    return UARTE(0x53C);
}

static void transmit(const void *from, uint32_t n)
{
    UARTE(0x120) = 0;
    UARTE(0x544) = (uint32_t)from;
    UARTE(0x548) = n;
    UARTE(0x008) = 1;
    while (!UARTE(0x120)) {
    }
}

/* Two instructions a turn. Returns CYCCNT's difference around `turns` of them. */
__attribute__((noinline)) static uint32_t spin(uint32_t turns)
{
    uint32_t before = CYCCNT;
    __asm volatile(".balign 4\n1: subs %0, #1\nbne 1b" : "+l"(turns) : : "cc");
    return CYCCNT - before;
}

static void answer(uint32_t value)
{
    buffer[0] = value;
    transmit(buffer, 4);
}

static void serve(uint8_t command)
{
    switch (command) {
    case 'a': answer(0x41); break;
    case 'i': buffer[0] = REG(0x10000060); buffer[1] = REG(0x10000064); buffer[2] = REG(0x10000100); transmit(buffer, 12); break;
    case 'e': receive(buffer, 1024, 0); transmit(buffer, 1024); break;
    case 't': answer(receive(buffer, 1024, 1)); break;
    case 's': receive(buffer, 4, 0); answer(spin(buffer[0])); break;
    case 'b': for (;;) { }
    case 'g': receive(buffer, 4, 0); spin(buffer[0]); receive(buffer, 4, 0); answer(0x41); break;
    case 'l': answer(REG(0x30000000)); break;
    case 'w': *(volatile uint32_t *)&constant = 1; break;
    case 'x': transmit(&constant, 4); break;
    case 'k': __asm volatile("mov sp, %0\nldr r0, [%0]" : : "r"(0x30000000) : "r0"); break;
    case 'p': buffer[0] = record.magic == RECORD ? record.pc : 0; buffer[1] = RESETREAS; transmit(buffer, 8); break;
    case 'r': restart();
    case 'B': GPREGRET = 0xB0; restart();
    default: break;
    }
}

void reset(void)
{
    REG(0xE000EDFC) |= 1u << 24; /* DEMCR.TRCENA */
    REG(0xE0001000) |= 1;        /* DWT.CTRL.CYCCNTENA */
    UARTE(0x50C) = 35;
    UARTE(0x514) = 42;
    UARTE(0x524) = 0x10000000;
    UARTE(0x500) = 8;
    for (;;) {
        receive(buffer, 1, 0);
        serve(*(uint8_t *)buffer);
    }
}
