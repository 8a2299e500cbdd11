/* clock.c: see clock.h.
 * Register sources: RM0368 (STM32F401xB/C/D/E reference manual), sections named at each block;
 * Armv7-M Architecture Reference Manual (DDI 0403) for DEMCR and DWT. */
#include "clock.h"

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

/* 3.8.1 FLASH_ACR */
#define FLASH_ACR REG(0x40023C00)
#define ACR_LATENCY 0xFu
#define ACR_TWO_WAIT_STATES 2u            /* 3.4.1, table 6: over 60 MHz at 2.7 to 3.6 V */
#define ACR_PREFETCH_CACHES (7u << 8)     /* PRFTEN, ICEN, DCEN: the ART accelerator */
/* 5.4.1 PWR_CR */
#define PWR_CR REG(0x40007000)
#define PWR_CR_VOS (3u << 14)
#define PWR_CR_VOS_SCALE_2 (2u << 14)     /* the one that allows 84 MHz */
/* 6.3 RCC */
#define RCC_CR REG(0x40023800)
#define RCC_PLLCFGR REG(0x40023804)
#define RCC_CFGR REG(0x40023808)
#define RCC_APB1ENR REG(0x40023840)
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_SRC_HSE (1u << 22)
/* The PLL's input at 2 MHz, which 6.3.2 recommends against jitter; VCO 336 MHz; / 4 for the core; / 7 = 48 MHz for USB. */
#define PLLCFGR_N_P_Q (168u << 6 | 1u << 16 | 7u << 24)
#define PLLCFGR_M_HSE 4u
#define PLLCFGR_M_HSI 8u
#define CFGR_SW_PLL 2u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define CFGR_PPRE1_HALF (4u << 10)
#define APB1ENR_PWREN (1u << 28)
/* DDI 0403 C1.6.5 DEMCR, C1.8 DWT */
#define DEMCR REG(0xE000EDFC)
#define DWT_CTRL REG(0xE0001000)
#define DWT_CYCCNT REG(0xE0001004)

/* 100 ms of the 16 MHz that reset leaves: the ST-LINK starts at the same time and must first give its clock out. */
enum { HSE_WAIT_CYCLES = 1600000 };

static void start_counter(void)
{
    DEMCR |= 1u << 24; /* TRCENA */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1; /* CYCCNTENA */
}

static int start_hse(void)
{
    RCC_CR |= CR_HSEBYP; /* may be written only while HSEON is 0: 6.3.1 */
    RCC_CR |= CR_HSEON;
    uint32_t since = DWT_CYCCNT;
    while (!(RCC_CR & CR_HSERDY)) {
        if (DWT_CYCCNT - since > HSE_WAIT_CYCLES) {
            RCC_CR &= ~CR_HSEON;
            return 0;
        }
    }
    return 1;
}

int clock_init(void)
{
    start_counter();
    RCC_APB1ENR |= APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* the peripheral's clock runs two cycles after the write: 6.2 */
    PWR_CR = (PWR_CR & ~PWR_CR_VOS) | PWR_CR_VOS_SCALE_2; /* only while the PLL is off */
    int from_hse = start_hse();
    RCC_PLLCFGR = PLLCFGR_N_P_Q | (from_hse ? PLLCFGR_SRC_HSE | PLLCFGR_M_HSE : PLLCFGR_M_HSI);
    RCC_CR |= CR_PLLON;
    while (!(RCC_CR & CR_PLLRDY)) {
    }
    FLASH_ACR = ACR_PREFETCH_CACHES | ACR_TWO_WAIT_STATES;
    while ((FLASH_ACR & ACR_LATENCY) != ACR_TWO_WAIT_STATES) { /* 3.4.1: read it back before the clock is raised */
    }
    RCC_CFGR = CFGR_PPRE1_HALF | CFGR_SW_PLL;
    while ((RCC_CFGR & CFGR_SWS) != CFGR_SWS_PLL) {
    }
    return from_hse;
}
