/* armv7m.h: a register by its address, and the registers of a Cortex-M4, most of which every Cortex-M has.
 *
 * Source: Armv7-M Architecture Reference Manual (DDI 0403) B3.2 System Control Block, B3.3 SysTick, B3.4 NVIC, B3.5 MPU,
 * C1.6.5 DEMCR, C1.8 DWT. */
#ifndef ARMV7M_H
#define ARMV7M_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define DWT_CTRL REG(0xE0001000)
#define DWT_CYCCNT REG(0xE0001004)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)
#define NVIC_ISER(n) REG(0xE000E100u + 4u * (n)) /* n: a word of 32 interrupts */
#define NVIC_ICER(n) REG(0xE000E180u + 4u * (n))
#define NVIC_ICPR(n) REG(0xE000E280u + 4u * (n))
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(0xE000E400u + (irq)))
#define SCB_ICSR REG(0xE000ED04)
#define SCB_VTOR REG(0xE000ED08)
#define SCB_AIRCR REG(0xE000ED0C)
#define SCB_CFSR REG(0xE000ED28)
#define SCB_HFSR REG(0xE000ED2C)
#define SCB_MMFAR REG(0xE000ED34)
#define SCB_BFAR REG(0xE000ED38)
#define SCB_CPACR REG(0xE000ED88)
#define MPU_CTRL REG(0xE000ED94)
#define MPU_RNR REG(0xE000ED98)
#define MPU_RBAR REG(0xE000ED9C)
#define MPU_RASR REG(0xE000EDA0)
#define DEMCR REG(0xE000EDFC)

#define DWT_CTRL_CYCCNTENA 1u
#define ICSR_PENDSTCLR (1u << 25)
#define ICSR_PENDSVCLR (1u << 27)
#define AIRCR_SYSRESETREQ 0x05FA0004u /* with VECTKEY */
#define DEMCR_TRCENA (1u << 24)

/* From 0 on. */
static inline void cortexm_start_counter(void)
{
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

_Noreturn static inline void cortexm_reset(void)
{
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {}
}

#endif
