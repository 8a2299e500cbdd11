/* fault.c: see fault.h. The record has the form of Armv7-M's, which both ends of the wire know: r0 to r3 are a0 to a3, r12 is t0,
 * lr is ra. What the processor objected to is in the bits of CFSR and BFAR that mean the same.
 *
 * Source: The RISC-V Instruction Set Manual, volume II, 3.1.14 mepc, 3.1.15 mcause, 3.1.16 mtval. */
#include "fault.h"

#include <stddef.h>
#include <string.h>

#include "riscv.h"
#include "sections.h"

enum {
    CHECK_SEED = 0x7EA7FA17,
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE = 7,
    CAUSES = 8,
    /* Below the stack's end, how far a refused access may lie to count as the stack's own. */
    OVERFLOW_REACH = 4096,
};

/* Bits of CFSR by cause (DDI 0403, B3.2.15): fetch, undefined instruction, precise data access with its address, alignment. */
static const uint32_t cfsr_of[CAUSES] = {
    [CAUSE_FETCH_MISALIGNED] = 1u << 17, [CAUSE_FETCH] = 1u << 8,
    [CAUSE_ILLEGAL] = 1u << 16,          [CAUSE_LOAD_MISALIGNED] = 1u << 24 | 1u << 15,
    [CAUSE_LOAD] = 1u << 9 | 1u << 15,   [CAUSE_STORE_MISALIGNED] = 1u << 24 | 1u << 15,
    [CAUSE_STORE] = 1u << 9 | 1u << 15,
};

/* What fault_trap leaves on its own stack. */
typedef struct {
    uint32_t a0, a1, a2, a3, t0, ra, sp, unused;
} trap_frame;

/* Not initialised, so it outlives the reset. */
static __attribute__((section(".noinit"))) struct {
    port_fault fault;
    uint32_t check;
} kept;
__attribute__((section(".noinit"), aligned(16), used)) uint32_t fault_stack[FAULT_STACK_WORDS];

static int started;

static uint32_t address_of(const uint32_t *symbol)
{
    return (uint32_t)symbol;
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

/* Bit 0 marks a return address, as Thumb's do. */
static void keep_trace(port_fault *fault, uint32_t from)
{
    uint32_t last = 0;
    for (int n = 0; from < address_of(_stack_top) && n < PORT_TRACE; from += 4) {
        uint32_t word;
        memcpy(&word, (const void *)from, sizeof word);
        int is_code = !(word & 1) && word >= address_of(_code_start) && word < address_of(_code_end);
        if (is_code && word != last) {
            last = word;
            fault->trace[n++] = word | 1u;
        }
    }
}

static int left_the_stack(uint32_t cause, uint32_t address)
{
    int touched = cause == CAUSE_LOAD || cause == CAUSE_STORE;
    return touched && address < address_of(_stack_limit) && address >= address_of(_stack_limit) - OVERFLOW_REACH;
}

static uint32_t kind_of(uint32_t cause, uint32_t sp)
{
    if (cause & MCAUSE_INTERRUPT)
        return PORT_FAULT_HANG;
    int inside = sp >= address_of(_stack_limit) && sp <= address_of(_stack_top);
    return !inside || left_the_stack(cause, CSR_READ("mtval")) ? PORT_FAULT_STACK : PORT_FAULT_PROCESSOR;
}

static void keep_registers(port_fault *fault, const trap_frame *frame)
{
    fault->r0 = frame->a0;
    fault->r1 = frame->a1;
    fault->r2 = frame->a2;
    fault->r3 = frame->a3;
    fault->r12 = frame->t0;
    fault->lr = frame->ra | 1u;
    fault->pc = CSR_READ("mepc");
    fault->sp = frame->sp;
}

/* Called by fault_trap. */
__attribute__((used, noreturn)) static void keep(const trap_frame *frame)
{
    port_fault *fault = &kept.fault;
    uint32_t cause = CSR_READ("mcause"), limit = address_of(_stack_limit);
    memset(fault, 0, sizeof *fault);
    fault->kind = kind_of(cause, frame->sp);
    fault->flags = PORT_FAULT_COMPLETE | (started ? 0 : PORT_FAULT_AT_START);
    fault->cfsr = cause < CAUSES ? cfsr_of[cause] : 0;
    fault->bfar = CSR_READ("mtval");
    if (fault->kind != PORT_FAULT_STACK)
        keep_registers(fault, frame);
    keep_trace(fault, frame->sp >= limit && frame->sp <= address_of(_stack_top) ? frame->sp & ~3u : limit);
    kept.check = check(fault);
    port_reboot(0);
}

_Static_assert(sizeof(trap_frame) == 32, "fault_trap says so too");

/* The old stack may have no room left and holds the evidence, so the handler has its own. */
__attribute__((naked, aligned(4))) void fault_trap(void)
{
    __asm volatile("csrrw sp, mscratch, sp\n"
                   "addi sp, sp, -32\n"
                   "sw a0, 0(sp)\n"
                   "sw a1, 4(sp)\n"
                   "sw a2, 8(sp)\n"
                   "sw a3, 12(sp)\n"
                   "sw t0, 16(sp)\n"
                   "sw ra, 20(sp)\n"
                   "csrr a0, mscratch\n"
                   "sw a0, 24(sp)\n"
                   "mv a0, sp\n"
                   "j keep\n");
}

const port_fault *fault_collect(void)
{
    if (kept.check != check(&kept.fault))
        memset(&kept.fault, 0, sizeof kept.fault);
    kept.check = ~check(&kept.fault); /* reported once: the next reset finds no record */
    return kept.fault.kind ? &kept.fault : 0;
}

void port_started(void)
{
    started = 1;
}
