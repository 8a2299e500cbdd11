/* clock.c: 125 MHz from the crystal of 12 MHz, also after a reset of the processor alone, which leaves the PLL on. */
#include "rp2040.h"

#define NEEDED (RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0)

enum {
    STARTUP_1_MS = 47, /* times 256 periods of the crystal */
    FEEDBACK = 125,    /* 1500 MHz: within the VCO's 750 to 1600 */
    DIVIDE_6_BY_2 = 6 << 16 | 2 << 12,
};

static void start_crystal(void)
{
    XOSC_STARTUP = STARTUP_1_MS;
    XOSC_CTRL = XOSC_ON;
    while (!(XOSC_STATUS & XOSC_STABLE)) {}
    CLK_REF_CTRL = CLK_REF_XOSC;
    while (!(CLK_REF_SELECTED & 1u << CLK_REF_XOSC)) {}
}

/* The PLL may only change while nothing runs from it: 2.18.4. */
static void start_pll(void)
{
    CLK_SYS_CTRL = CLK_SYS_REF;
    while (!(CLK_SYS_SELECTED & 1u << CLK_SYS_REF)) {}
    RESETS_RESET |= RESET_PLL_SYS;
    RESETS_RESET &= ~RESET_PLL_SYS;
    while (!(RESETS_DONE & RESET_PLL_SYS)) {}
    PLL_PWR = PLL_PWR_OFF;
    PLL_CS = 1; /* REFDIV */
    PLL_FBDIV = FEEDBACK;
    PLL_PWR = PLL_PWR_VCO;
    while (!(PLL_CS & PLL_LOCKED)) {}
    PLL_PRIM = DIVIDE_6_BY_2;
    PLL_PWR = 0;
    CLK_SYS_DIV = 1u << 8;
    CLK_SYS_CTRL = CLK_SYS_REF; /* AUXSRC before SRC: 2.15.3.2 */
    CLK_SYS_CTRL = CLK_SYS_AUX;
    while (!(CLK_SYS_SELECTED & 1u << CLK_SYS_AUX)) {}
}

void clock_init(void)
{
    start_crystal();
    start_pll();
    CLK_PERI_CTRL = CLK_PERI_ENABLE;
    WATCHDOG_TICK = TICK_ENABLE | CRYSTAL_PER_US;
    RESETS_RESET |= NEEDED;
    RESETS_RESET &= ~NEEDED;
    while ((RESETS_DONE & NEEDED) != NEEDED) {}
}
