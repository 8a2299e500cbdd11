/* chip.c: see chip.h. Cycle counter, identity, watchdog and faults of the nRF52840 under Mbed OS.
 *
 * Between port_watchdog_start and port_watchdog_stop only the watchdog's interrupt is let through: the core's 1 ms tick and USB
 * would be counted as the model's otherwise. USB's hardware holds the host off meanwhile (NAK), so nothing is lost; a 1200-baud
 * touch waits for the end of the inference, which the watchdog sees to. */
#include "chip.h"

#include <string.h>

#include "../cortexm/fault.h"
#include "../nrf52840/nrf52840.h"
#include "usb.h"

enum {
    STACK_BYTES = 16 * 1024,
    FENCE_BYTES = 256,                 /* of stack that may not be touched, so that an overflow is a fault */
    FENCE_REGION = 7,                  /* the last of eight; Mbed OS takes the first ones */
    FENCE_RASR = 1 << 28 | 7 << 1 | 1, /* never executed, no access, 2^(7+1) bytes, on */
    MPU_ON = 1 << 2 | 1,               /* PRIVDEFENA: what no region covers stays as it is */
    VECTORS = 64,                      /* 16 of the processor, 48 of the chip */
    HARDFAULT = 3,                     /* MemManage and BusFault lie between */
    USAGEFAULT = 6,
    RAM_START = 0x20000000,
    MASK_ALL_BUT_HIGHEST = 1 << 5, /* BASEPRI; the nRF52840 has 3 bits of priority */
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
    vectors[16 + TIMER0_IRQ] = (uint32_t)fault_trap;
    __asm volatile("dsb" ::: "memory");
    SCB_VTOR = (uint32_t)vectors;
}

void chip_init(void)
{
    last_fault = fault_collect();
    take_faults();
    fence_stack();
    NVMC_ICACHECNF = 1; /* as in the bare-metal image: the core leaves it off */
    /* The core switches TRCENA off, because trace shares a pin with the sensors' pull-ups; trace itself stays off. */
    cortexm_start_counter();
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
    cortexm_reset();
}

void port_watchdog_start(uint32_t us)
{
    timer0_set(us);
    NVIC_PRIORITY(TIMER0_IRQ) = 0;
    NVIC_ISER(0) = 1u << TIMER0_IRQ;
    TIMER_TASKS_START = 1;
    __asm volatile("msr basepri, %0\nisb" ::"r"(MASK_ALL_BUT_HIGHEST) : "memory");
}

void port_watchdog_stop(void)
{
    TIMER_TASKS_STOP = 1;
    TIMER_INTENCLR = TIMER_COMPARE0;
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
