/* riscv.h: a register by its address, and the control registers of machine mode by their names.
 * Source: The RISC-V Instruction Set Manual, volume II, 3.1 Machine-Level CSRs, 3.7 Physical Memory Protection. */
#ifndef RISCV_H
#define RISCV_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define CSR_READ(name)                                      \
    (__extension__({                                        \
        uint32_t csr_value;                                 \
        __asm volatile("csrr %0, " name : "=r"(csr_value)); \
        csr_value;                                          \
    }))
#define CSR_WRITE(name, value) __asm volatile("csrw " name ", %0" ::"r"((uint32_t)(value)) : "memory")
#define CSR_SET(name, bits) __asm volatile("csrs " name ", %0" ::"r"((uint32_t)(bits)) : "memory")
#define CSR_CLEAR(name, bits) __asm volatile("csrc " name ", %0" ::"r"((uint32_t)(bits)) : "memory")

#define MSTATUS_MIE (1u << 3)
#define MIE_MTIE (1u << 7)
#define MCAUSE_INTERRUPT (1u << 31)

#endif
