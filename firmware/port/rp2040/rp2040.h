/* rp2040.h: registers of the RP2040 that the port uses. Source: RP2040 datasheet, sections named at each block. */
#ifndef RP2040_H
#define RP2040_H

#include "cortexm/armv7m.h"

/* 2.14 subsystem resets; 2.13 power-on state machine: what a watchdog's reset starts again */
#define RESETS_RESET REG(0x4000C000)
#define RESETS_DONE REG(0x4000C008)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
/* 2.15 clocks */
#define CLK_REF_CTRL REG(0x40008030)
#define CLK_REF_SELECTED REG(0x40008038)
#define CLK_SYS_CTRL REG(0x4000803C)
#define CLK_SYS_DIV REG(0x40008040)
#define CLK_SYS_SELECTED REG(0x40008044)
#define CLK_PERI_CTRL REG(0x40008048)
#define CLK_REF_XOSC 2u
#define CLK_SYS_REF 0u
#define CLK_SYS_AUX 1u             /* AUXSRC 0: pll_sys */
#define CLK_PERI_ENABLE (1u << 11) /* AUXSRC 0: clk_sys */
/* 2.16 crystal oscillator */
#define XOSC_CTRL REG(0x40024000)
#define XOSC_STATUS REG(0x40024004)
#define XOSC_STARTUP REG(0x4002400C)
#define XOSC_ON (0xFABu << 12 | 0xAA0u) /* 1 to 15 MHz */
#define XOSC_STABLE (1u << 31)
/* 2.18 PLL */
#define PLL_CS REG(0x40028000)
#define PLL_PWR REG(0x40028004)
#define PLL_FBDIV REG(0x40028008)
#define PLL_PRIM REG(0x4002800C)
#define PLL_LOCKED (1u << 31)
#define PLL_PWR_OFF 0x2Du /* VCOPD, POSTDIVPD, DSMPD, PD */
#define PLL_PWR_VCO 0x08u /* POSTDIVPD alone is left */
/* 2.19.6 GPIO, user bank; the flash's chip select is the second one of the QSPI bank */
#define GPIO_CTRL(n) REG(0x40014004u + 8u * (n))
#define PAD(n) REG(0x4001C004u + 4u * (n))
#define QSPI_SS_CTRL REG(0x4001800C)
#define PAD_PUE (1u << 3)
#define PAD_PDE (1u << 2)
#define OUTOVER_LOW (2u << 8)
#define OUTOVER_HIGH (3u << 8)
/* 4.2 UART0: Arm's PL011 */
#define UART_DR REG(0x40034000)
#define UART_FR REG(0x40034018)
#define UART_IBRD REG(0x40034024)
#define UART_FBRD REG(0x40034028)
#define UART_LCR_H REG(0x4003402C)
#define UART_CR REG(0x40034030)
#define FR_BUSY (1u << 3)
#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCR_8_BITS_FIFO (3u << 5 | 1u << 4)
#define CR_ON (1u << 9 | 1u << 8 | 1u) /* receives, sends, is on */
/* 4.6 timer: microseconds */
#define TIMER_ALARM0 REG(0x40054010)
#define TIMER_ARMED REG(0x40054020)
#define TIMER_RAW_LOW REG(0x40054028)
#define TIMER_INTR REG(0x40054034)
#define TIMER_INTE REG(0x40054038)
/* 4.7 watchdog: its scratch registers outlive a reset, its tick drives the timer */
#define WATCHDOG_SCRATCH0 REG(0x4005800C)
#define WATCHDOG_TICK REG(0x4005802C)
#define TICK_ENABLE (1u << 9)
/* 4.10 SSI: Synopsys' controller, which reads the flash */
#define SSI_CTRLR0 REG(0x18000000)
#define SSI_CTRLR1 REG(0x18000004)
#define SSI_SSIENR REG(0x18000008)
#define SSI_SR REG(0x18000028)
#define SSI_DR0 REG(0x18000060)
#define SSI_SPI_CTRLR0 REG(0x180000F4)
#define SR_TFE (1u << 2)
#define SR_RFNE (1u << 3)
#define SR_BUSY 1u

/* 12 MHz * 125 / 6 / 2; boards.py names the same. */
enum { CLOCK_HZ = 125000000, CYCLES_PER_US = 125, CRYSTAL_PER_US = 12 };

/* Crystal, PLL, the timer's microseconds. */
void clock_init(void);

/* 0: the flash gave none, as no chip's does. */
int flash_unique_id(uint8_t id[8]);

#endif
