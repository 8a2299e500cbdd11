/* startup.c: reset of an RV32 core in machine mode. The firmware polls; the watchdog's is the only interrupt. */
#include "fault.h"
#include "riscv.h"
#include "sections.h"

extern uint32_t _ram_start[], _flash_end[];

enum {
    PMP_LOCKED_READ_EXECUTE = 0x80 | 1 << 3 | 4 | 1, /* TOR: from the address before, for machine mode too */
    PMP_LOWEST = 1 << 8,
};

int main(void);
void port_reset(void);

/* On a machine whose code lies in RAM a stack that grew too large would run into it: then that must be a fault. Entry 0 only says
 * where the code begins. */
static void guard_code(void)
{
    CSR_WRITE("pmpaddr0", (uint32_t)_code_start >> 2);
    CSR_WRITE("pmpaddr1", (uint32_t)_flash_end >> 2);
    CSR_WRITE("pmpcfg0", PMP_LOCKED_READ_EXECUTE * PMP_LOWEST);
}

__attribute__((used, noreturn)) static void start(void)
{
    CSR_CLEAR("mstatus", MSTATUS_MIE);
    CSR_WRITE("mie", 0);
    CSR_WRITE("mtvec", (uint32_t)fault_trap);
    CSR_WRITE("mscratch", (uint32_t)(fault_stack + FAULT_STACK_WORDS));
    guard_code();
    /* As numbers: C knows no order between the linker's symbols. */
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; (uintptr_t)to < (uintptr_t)_data_end;)
        *to++ = *from++;
    for (uint32_t *to = _bss_start; (uintptr_t)to < (uintptr_t)_bss_end;)
        *to++ = 0;
    /* Return addresses of an earlier program would mislead fault.c's trace. */
    for (uint32_t *to = _stack_limit; (uintptr_t)to < (uintptr_t)_startup_frame;)
        *to++ = 0;
    main();
    for (;;) {}
}

__attribute__((naked, section(".start"), used)) void port_reset(void)
{
    __asm volatile(".option push\n"
                   ".option norelax\n"
                   "la gp, __global_pointer$\n"
                   ".option pop\n"
                   "la sp, _stack_top\n"
                   "j start\n");
}
