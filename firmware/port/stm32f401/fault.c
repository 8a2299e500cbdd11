/* fault.c: see fault.h. Nothing runs between the reset and this image, so a record in RAM that is not initialised is all
 * that is needed: a reset leaves SRAM as it was, only power loss does not (and the check tells).
 *
 * Register sources: Armv7-M Architecture Reference Manual (DDI 0403) B1.5 exceptions, B3.2 System Control Block. */
#include "fault.h"

#include <stddef.h>
#include <string.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define SCB_AIRCR REG(0xE000ED0C)
#define SCB_CFSR REG(0xE000ED28)
#define SCB_HFSR REG(0xE000ED2C)
#define SCB_MMFAR REG(0xE000ED34)
#define SCB_BFAR REG(0xE000ED38)
#define AIRCR_SYSRESETREQ 0x05FA0004u
#define CFSR_STACKING (1u << 4 | 1u << 12) /* MSTKERR, STKERR: the exception frame could not be written */

enum {
    CHECK_SEED = 0x7EA7FA17,
    FRAME_WORDS = 8,         /* B1.5.6: r0-r3, r12, lr, pc, xpsr */
    FRAME_WORDS_FP = 26,     /* the same with s0-s15 and FPSCR */
    EXC_RETURN_BASIC = 0x10, /* set: no floating-point registers in the frame */
    XPSR_ALIGNED = 1 << 9,   /* the stack was moved by 4 bytes to align the frame */
};

extern uint32_t _stack_limit[], _stack_top[], _code_start[], _code_end[];

/* Not initialised, so they outlive the reset. The old stack may have no room left and holds the evidence, so the
 * handler has its own. */
static __attribute__((section(".noinit"))) struct {
    port_fault fault;
    uint32_t check;
} kept;
static __attribute__((section(".noinit"), aligned(8), used)) uint32_t handler_stack[32];

static int started;

static uint32_t check(const port_fault *fault)
{
    const uint32_t *words = (const uint32_t *)fault;
    uint32_t hash = CHECK_SEED; /* FNV-1a, a word at a time */
    for (size_t i = 0; i < sizeof *fault / 4; i++)
        hash = (hash ^ words[i]) * 16777619u;
    return hash;
}

static void keep_trace(port_fault *fault, const uint32_t *from)
{
    uint32_t *to = fault->trace, last = 0;
    for (; from < _stack_top && to < fault->trace + PORT_TRACE; from++) {
        int is_code = (*from & 1) && *from >= (uint32_t)_code_start && *from < (uint32_t)_code_end;
        if (is_code && *from != last) /* a recursion would fill it with one address */
            *to++ = last = *from;
    }
}

static void keep_frame(port_fault *fault, const uint32_t *frame, uint32_t exc_return)
{
    memcpy(&fault->r0, frame, FRAME_WORDS * 4);
    uint32_t words = exc_return & EXC_RETURN_BASIC ? FRAME_WORDS : FRAME_WORDS_FP;
    words += fault->xpsr & XPSR_ALIGNED ? 1 : 0;
    fault->sp = (uint32_t)(frame + words);
}

static uint32_t kind_of(int has_frame)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    if (!has_frame)
        return PORT_FAULT_STACK;
    return exception == 16 + FAULT_GUARD_IRQ ? PORT_FAULT_HANG : PORT_FAULT_PROCESSOR;
}

/* Called by fault_trap with where the exception frame should be. */
__attribute__((used, noreturn)) static void keep(const uint32_t *frame, uint32_t exc_return)
{
    port_fault *fault = &kept.fault;
    memset(fault, 0, sizeof *fault);
    fault->cfsr = SCB_CFSR;
    fault->hfsr = SCB_HFSR;
    fault->mmfar = SCB_MMFAR;
    fault->bfar = SCB_BFAR;
    int inside = frame >= _stack_limit && frame + FRAME_WORDS <= _stack_top;
    int has_frame = inside && !(fault->cfsr & CFSR_STACKING);
    fault->kind = kind_of(has_frame);
    fault->flags = PORT_FAULT_COMPLETE | (started ? 0 : PORT_FAULT_AT_START);
    if (has_frame)
        keep_frame(fault, frame, exc_return);
    keep_trace(fault, has_frame ? (const uint32_t *)fault->sp : _stack_limit);
    kept.check = check(fault);
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

/* EXC_RETURN bit 2 tells which stack holds the frame. */
__attribute__((naked)) void fault_trap(void)
{
    __asm volatile("tst lr, #4\n"
                   "ite eq\n"
                   "mrseq r0, msp\n"
                   "mrsne r0, psp\n"
                   "mov r1, lr\n"
                   "ldr r2, =handler_stack + %c0\n"
                   "mov sp, r2\n"
                   "b keep\n"
                   ".ltorg\n" ::"i"(sizeof handler_stack));
}

const port_fault *fault_collect(void)
{
    static port_fault last;
    int good = kept.check == check(&kept.fault);
    last = kept.fault;
    memset(&kept, 0, sizeof kept); /* the check of zeros is not zero, so this is no record */
    return good && last.kind ? &last : 0;
}

void fault_started(void)
{
    started = 1;
}
