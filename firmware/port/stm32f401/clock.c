/* clock.c: see clock.h.
 * Register sources: RM0368 (STM32F401xB/C/D/E reference manual), sections named at each block. */
#include "clock.h"

#include "rcc.h"

/* 3.8.1 FLASH_ACR */
#define FLASH_ACR REG(0x40023C00)
#define ACR_LATENCY 0xFu
#define ACR_TWO_WAIT_STATES 2u        /* 3.4.1, table 6: over 60 MHz at 2.7 to 3.6 V */
#define ACR_PREFETCH_CACHES (7u << 8) /* PRFTEN, ICEN, DCEN: the ART accelerator */
/* 5.4.1 PWR_CR */
#define PWR_CR REG(0x40007000)
#define PWR_CR_VOS (3u << 14)
#define PWR_CR_VOS_SCALE_2 (2u << 14) /* the one that allows 84 MHz */
/* 6.3 RCC */
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

/* 100 ms of the 16 MHz that reset leaves: the ST-LINK starts at the same time and must first give its clock out. The PLL locks
 * within 0.3 ms (datasheet DS10086), the rest within a few cycles. */
enum { WAIT_CYCLES = 1600000 };

/* Whether the bits under `mask` become `wanted` in time. */
static int becomes(volatile const uint32_t *at, uint32_t mask, uint32_t wanted)
{
    uint32_t since = DWT_CYCCNT;
    while ((*at & mask) != wanted) {
        if (DWT_CYCCNT - since > WAIT_CYCLES)
            return 0;
    }
    return 1;
}

/* Without what the chip guarantees the line would speak at a wrong rate or not at all. A fault leaves its place in the record,
 * which the next start reports if that one succeeds. */
static void demand(int good)
{
    if (!good)
        __builtin_trap();
}

static int start_hse(void)
{
    RCC_CR |= CR_HSEBYP; /* may be written only while HSEON is 0: 6.3.1 */
    RCC_CR |= CR_HSEON;
    int started = becomes(&RCC_CR, CR_HSERDY, CR_HSERDY);
    if (!started)
        RCC_CR &= ~CR_HSEON;
    return started;
}

static int start_pll(uint32_t source)
{
    RCC_PLLCFGR = PLLCFGR_N_P_Q | source; /* may be written only while the PLL is off: 6.3.2 */
    RCC_CR |= CR_PLLON;
    int locked = becomes(&RCC_CR, CR_PLLRDY, CR_PLLRDY);
    if (!locked)
        RCC_CR &= ~CR_PLLON;
    return locked;
}

int clock_init(void)
{
    cortexm_start_counter();
    RCC_APB1ENR |= APB1ENR_PWREN;
    (void)RCC_APB1ENR;                                    /* the peripheral's clock runs two cycles after the write: 6.2 */
    PWR_CR = (PWR_CR & ~PWR_CR_VOS) | PWR_CR_VOS_SCALE_2; /* only while the PLL is off */
    int from_hse = start_hse() && start_pll(PLLCFGR_SRC_HSE | PLLCFGR_M_HSE);
    demand(from_hse || start_pll(PLLCFGR_M_HSI));
    FLASH_ACR = ACR_PREFETCH_CACHES | ACR_TWO_WAIT_STATES;
    demand(becomes(&FLASH_ACR, ACR_LATENCY, ACR_TWO_WAIT_STATES)); /* 3.4.1: read it back before the clock is raised */
    RCC_CFGR = CFGR_PPRE1_HALF | CFGR_SW_PLL;
    demand(becomes(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL));
    return from_hse;
}
