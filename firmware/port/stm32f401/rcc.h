/* rcc.h: registers that switch the chip's clocks on and off. Source: RM0368 (STM32F401xB/C/D/E reference manual) 6.3. */
#ifndef RCC_H
#define RCC_H

#include "cortexm/armv7m.h"

#define RCC_CR REG(0x40023800)
#define RCC_PLLCFGR REG(0x40023804)
#define RCC_CFGR REG(0x40023808)
#define RCC_AHB1ENR REG(0x40023830)
#define RCC_APB1ENR REG(0x40023840)

#endif
