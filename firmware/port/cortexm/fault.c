/* fault.c: see fault.h. After the reset a bootloader may run first and use the same RAM, so the record can be lost; what
 * retained.c keeps can't, and reports at least the kind.
 *
 * Source of what an exception leaves: Armv7-M Architecture Reference Manual (DDI 0403) B1.5. */
#include "fault.h"

#include <stddef.h>
#include <string.h>

#include "armv7m.h"
#include "sections.h"

#define CFSR_STACKING (1u << 4 | 1u << 12) /* MSTKERR, STKERR: the exception frame could not be written */

enum {
    CHECK_SEED = 0x7EA7FA17,
    FIRST_WATCHDOG_EXCEPTION = 15, /* SysTick; interrupts follow, and only the watchdog's is ever on */
    FRAME_BYTES = 32,              /* B1.5.6: r0-r3, r12, lr, pc, xpsr */
    FRAME_BYTES_FP = 104,          /* the same with s0-s15 and FPSCR */
    EXC_RETURN_BASIC = 0x10,       /* set: no floating-point registers in the frame */
    XPSR_ALIGNED = 1 << 9,         /* the stack was moved by 4 bytes to align the frame */
};

/* Not initialised, so they outlive the reset. The old stack may have no room left and holds the evidence, so the
 * handler has its own. */
static __attribute__((section(".noinit"))) struct {
    port_fault fault;
    uint32_t check;
} kept;
static __attribute__((section(".noinit"), aligned(8), used)) uint32_t handler_stack[32];

static int started;

static uint32_t address_of(const uint32_t *symbol)
{
    return (uint32_t)symbol;
}

/* Copied, because what lies there may be of any type. */
static uint32_t word_at(uint32_t address)
{
    uint32_t word;
    memcpy(&word, (const void *)address, sizeof word);
    return word;
}

/* FNV-1a. */
static uint32_t check(const port_fault *fault)
{
    const uint8_t *bytes = (const uint8_t *)fault;
    uint32_t hash = CHECK_SEED;
    for (size_t i = 0; i < sizeof *fault; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static void keep_trace(port_fault *fault, uint32_t from)
{
    uint32_t last = 0;
    for (int n = 0; from < address_of(_stack_top) && n < PORT_TRACE; from += 4) {
        uint32_t word = word_at(from);
        int is_code = (word & 1) && word >= address_of(_code_start) && word < address_of(_code_end);
        if (is_code && word != last) /* a recursion would fill it with one address */
            fault->trace[n++] = last = word;
    }
}

static void keep_frame(port_fault *fault, uint32_t frame, uint32_t exc_return)
{
    fault->r0 = word_at(frame);
    fault->r1 = word_at(frame + 4);
    fault->r2 = word_at(frame + 8);
    fault->r3 = word_at(frame + 12);
    fault->r12 = word_at(frame + 16);
    fault->lr = word_at(frame + 20);
    fault->pc = word_at(frame + 24);
    fault->xpsr = word_at(frame + 28);
    fault->sp = frame + (exc_return & EXC_RETURN_BASIC ? FRAME_BYTES : FRAME_BYTES_FP);
    fault->sp += fault->xpsr & XPSR_ALIGNED ? 4 : 0;
}

static uint32_t kind_of(int has_frame)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    if (!has_frame)
        return PORT_FAULT_STACK;
    return exception >= FIRST_WATCHDOG_EXCEPTION ? PORT_FAULT_HANG : PORT_FAULT_PROCESSOR;
}

/* Called by fault_trap with the address where the exception frame should be. */
__attribute__((used, noreturn)) static void keep(uint32_t frame, uint32_t exc_return)
{
    port_fault *fault = &kept.fault;
    memset(fault, 0, sizeof *fault);
    fault->cfsr = SCB_CFSR;
    fault->hfsr = SCB_HFSR;
    fault->mmfar = SCB_MMFAR;
    fault->bfar = SCB_BFAR;
    int inside = frame >= address_of(_stack_limit) && frame <= address_of(_stack_top) - FRAME_BYTES;
    int has_frame = inside && !(fault->cfsr & CFSR_STACKING);
    fault->kind = kind_of(has_frame);
    fault->flags = PORT_FAULT_COMPLETE | (started ? 0 : PORT_FAULT_AT_START);
    if (has_frame)
        keep_frame(fault, frame, exc_return);
    keep_trace(fault, has_frame ? fault->sp : address_of(_stack_limit));
    kept.check = check(fault);
    fault_retain(fault->kind | (started ? 0 : FAULT_RETAINED_AT_START));
    cortexm_reset();
}

_Static_assert(sizeof handler_stack == 128, "fault_trap says so too");

/* EXC_RETURN bit 2 tells which stack holds the frame. */
#if __ARM_ARCH_ISA_THUMB == 1
__attribute__((naked)) void fault_trap(void)
{
    __asm volatile("mov r1, lr\n"
                   "movs r2, #4\n"
                   "mrs r0, msp\n"
                   "tst r1, r2\n"
                   "beq 1f\n"
                   "mrs r0, psp\n"
                   "1: ldr r2, =handler_stack + 128\n"
                   "mov sp, r2\n"
                   "ldr r2, =keep\n"
                   "bx r2\n"
                   ".ltorg\n");
}
#else
__attribute__((naked)) void fault_trap(void)
{
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "mov r1, lr\n"
                   "ldr r2, =handler_stack\n"
                   "add r2, #128\n"
                   "mov sp, r2\n"
                   "b keep\n"
                   ".ltorg\n");
}
#endif

const port_fault *fault_collect(void)
{
    uint32_t retained = fault_take_retained();
    if (!retained || kept.check != check(&kept.fault)) {
        memset(&kept.fault, 0, sizeof kept.fault);
        kept.fault.kind = retained & FAULT_RETAINED_KIND;
        kept.fault.flags = retained & FAULT_RETAINED_AT_START ? PORT_FAULT_AT_START : 0;
    }
    kept.check = ~check(&kept.fault); /* reported once: the next reset finds no record */
    return kept.fault.kind ? &kept.fault : 0;
}

void port_started(void)
{
    started = 1;
}
