/* chip.c: see chip.h. Cycle counter, identity, guard and faults of the nRF52840 under Mbed OS.
 *
 * Between port_guard_start and port_guard_stop only the guard's interrupt is let through: the core's 1 ms tick and USB would be counted
 * as the model's otherwise. USB's hardware holds the host off meanwhile (NAK), so nothing is lost; a 1200-baud touch waits for the end
 * of the inference, which the guard sees to.
 *
 * Register sources: nRF52840 Product Specification v1.7 (PS); Armv7-M Architecture Reference Manual (DDI 0403), B3.2 System Control
 * Block, B3.4 NVIC, B3.5 MPU, C1.8 DWT. */
#include "chip.h"

#include <string.h>

#include "../cortexm/fault.h"
#include "../port.h"
#include "usb.h"

#define REG(address) (*(volatile uint32_t *)(address))
#define POWER_GPREGRET REG(0x4000051C)               /* PS 5.3 */
#define TIMER_TASKS_START REG(0x40008000)            /* PS 6.30, TIMER0: the core uses it for Bluetooth only */
#define TIMER_TASKS_STOP REG(0x40008004)
#define TIMER_TASKS_CLEAR REG(0x4000800C)
#define TIMER_EVENTS_COMPARE0 REG(0x40008140)
#define TIMER_INTENSET REG(0x40008304)
#define TIMER_INTENCLR REG(0x40008308)
#define TIMER_MODE REG(0x40008504)
#define TIMER_BITMODE REG(0x40008508)
#define TIMER_PRESCALER REG(0x40008510)
#define TIMER_CC0 REG(0x40008540)
#define NVMC_ICACHECNF REG(0x4001E540)               /* PS 4.3 */
#define FICR_DEVICEID ((const uint8_t *)0x10000060)  /* PS 4.4 */
#define NVIC_ISER0 REG(0xE000E100)
#define NVIC_ICPR0 REG(0xE000E280)
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(0xE000E400 + (irq)))
#define SCB_VTOR REG(0xE000ED08)
#define SCB_AIRCR REG(0xE000ED0C)
#define MPU_CTRL REG(0xE000ED94)
#define MPU_RNR REG(0xE000ED98)
#define MPU_RBAR REG(0xE000ED9C)
#define MPU_RASR REG(0xE000EDA0)
#define DEMCR REG(0xE000EDFC)
#define DWT_CTRL REG(0xE0001000)
#define DWT_CYCCNT REG(0xE0001004)

enum { GUARD_IRQ = 8 /* TIMER0 (PS 4.2.4) */ };
enum {
    CYCLES_PER_US = 64,
    STACK_BYTES = 16 * 1024,
    FENCE_BYTES = 256,                       /* of stack that may not be touched, so that an overflow is a fault */
    FENCE_REGION = 7,                        /* the last of eight; Mbed OS takes the first ones */
    FENCE_RASR = 1 << 28 | 7 << 1 | 1,       /* never executed, no access, 2^(7+1) bytes, on */
    MPU_ON = 1 << 2 | 1,                     /* PRIVDEFENA: what no region covers stays as it is */
    VECTORS = 64,                            /* 16 of the processor, 48 of the chip */
    HARDFAULT = 3, USAGEFAULT = 6,           /* and what lies between: MemManage, BusFault */
    RAM_START = 0x20000000,
    COMPARE0 = 1 << 16, MODE_TIMER = 0, BITS_32 = 3, PRESCALER_1_MHZ = 4, /* 16 MHz / 2^4 */
    MASK_ALL_BUT_HIGHEST = 1 << 5,           /* BASEPRI; the nRF52840 has 3 bits of priority */
    GPREGRET_BOOTLOADER = 0xB0,              /* what the core's own 1200-baud touch writes */
};

const uint32_t port_clock_hz = CYCLES_PER_US * 1000000u;
const uint32_t chip_stack_bytes = STACK_BYTES;

/* What is aligned so coarsely lies apart from .bss, whose padding would be counted as the model's. */
#define APART(bytes) __attribute__((section(".noinit"), aligned(bytes), used))

/* Its lowest word is the kernel's, which looks there for an overflow; then comes the fence. */
APART(FENCE_BYTES) uint32_t chip_stack[STACK_BYTES / 4];
static APART(4 * VECTORS) uint32_t vectors_copy[VECTORS];
__asm(".global chip_stack_end\n.set chip_stack_end, chip_stack + 16384\n"
      ".global chip_code_start\n.set chip_code_start, 0x10000\n");
_Static_assert(STACK_BYTES == 16384, "the line above");

static const port_fault *last_fault;

static void fence_stack(void)
{
    MPU_RNR = FENCE_REGION;
    MPU_RBAR = (uint32_t)chip_stack + FENCE_BYTES;
    MPU_RASR = FENCE_RASR;
    MPU_CTRL |= MPU_ON;
    __asm volatile("dsb\nisb" ::: "memory");
}

/* Mbed's handlers would print to Serial1 and halt. The core keeps its vectors in RAM; one that doesn't gets a copy. */
static void take_faults(void)
{
    uint32_t *vectors = (uint32_t *)SCB_VTOR;
    if ((uint32_t)vectors < RAM_START)
        vectors = memcpy(vectors_copy, vectors, sizeof vectors_copy);
    for (int i = HARDFAULT; i <= USAGEFAULT; i++)
        vectors[i] = (uint32_t)fault_trap;
    vectors[16 + GUARD_IRQ] = (uint32_t)fault_trap;
    __asm volatile("dsb" ::: "memory");
    SCB_VTOR = (uint32_t)vectors;
}

void chip_init(void)
{
    last_fault = fault_collect();
    take_faults();
    fence_stack();
    NVMC_ICACHECNF = 1; /* as in the bare-metal image: the core leaves it off */
    DEMCR |= 1u << 24;  /* TRCENA: the core switches it off, because trace shares a pin with the sensors' pull-ups; trace stays off */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1; /* CYCCNTENA */
}

void chip_started(void)
{
    fault_started();
}

uint32_t port_cycles(void)
{
    return DWT_CYCCNT;
}

void port_board_id(uint8_t id[8])
{
    memcpy(id, FICR_DEVICEID, 8);
}

_Noreturn void port_reboot(int mode)
{
    usb_drain();
    POWER_GPREGRET = mode ? GPREGRET_BOOTLOADER : 0;
    __asm volatile("dsb");
    SCB_AIRCR = 0x05FA0004; /* VECTKEY, SYSRESETREQ */
    for (;;) {
    }
}

void port_guard_start(uint32_t us)
{
    TIMER_TASKS_STOP = 1;
    TIMER_TASKS_CLEAR = 1;
    TIMER_MODE = MODE_TIMER;
    TIMER_BITMODE = BITS_32;
    TIMER_PRESCALER = PRESCALER_1_MHZ;
    TIMER_CC0 = us;
    TIMER_EVENTS_COMPARE0 = 0;
    TIMER_INTENSET = COMPARE0;
    NVIC_ICPR0 = 1u << GUARD_IRQ;
    NVIC_PRIORITY(GUARD_IRQ) = 0;
    NVIC_ISER0 = 1u << GUARD_IRQ;
    TIMER_TASKS_START = 1;
    __asm volatile("msr basepri, %0\nisb" ::"r"(MASK_ALL_BUT_HIGHEST) : "memory");
}

void port_guard_stop(void)
{
    TIMER_TASKS_STOP = 1;
    TIMER_INTENCLR = COMPARE0;
    __asm volatile("msr basepri, %0\nisb" ::"r"(0) : "memory");
}

const port_fault *port_last_fault(void)
{
    return last_fault;
}

uint8_t *port_stack_limit(void)
{
    return (uint8_t *)chip_stack + 2 * FENCE_BYTES;
}
