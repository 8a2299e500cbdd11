/* watchdog.c: TIM2 counts microseconds and interrupts once, at the end of its time. Nothing runs before that, so cycle
 * counts stay what they are. A program that hangs with interrupts masked is not caught; the host's deadline is.
 *
 * Register source: RM0368 (STM32F401xB/C/D/E reference manual) 13.4 TIM2 to TIM5. */
#include "clock.h"
#include "cortexm/fault.h"
#include "rcc.h"

#define TIM2_CR1 REG(0x40000000)
#define TIM2_DIER REG(0x4000000C)
#define TIM2_SR REG(0x40000010)
#define TIM2_EGR REG(0x40000014)
#define TIM2_PSC REG(0x40000028)
#define TIM2_ARR REG(0x4000002C)

enum { IRQ = 28 /* TIM2 (RM0368 10.2, table 38); SysTick stands before the interrupts */ };

__attribute__((section(".vectors.chip"), used)) static const fault_vector watchdog_vectors[] = {
    [0 ... 1 + IRQ] = {.handler = fault_trap}};

enum { TIM2EN = 1, CEN = 1, ONE_PULSE = 1 << 3, UIE = 1, UG = 1 };

void port_watchdog_start(uint32_t us)
{
    RCC_APB1ENR |= TIM2EN;
    (void)RCC_APB1ENR; /* the peripheral's clock runs two cycles after the write: RM0368 6.2 */
    TIM2_CR1 = ONE_PULSE;
    TIM2_DIER = 0;
    TIM2_PSC = CLOCK_TIMER_HZ / 1000000 - 1;
    TIM2_ARR = us;
    TIM2_EGR = UG; /* loads PSC and ARR, clears the count; raises UIF, which must not count */
    TIM2_SR = 0;
    TIM2_DIER = UIE;
    NVIC_ICPR(0) = 1u << IRQ;
    NVIC_ISER(0) = 1u << IRQ;
    TIM2_CR1 = ONE_PULSE | CEN;
    __asm volatile("cpsie i" ::: "memory");
}

void port_watchdog_stop(void)
{
    __asm volatile("cpsid i" ::: "memory");
    TIM2_CR1 = ONE_PULSE;
    TIM2_DIER = 0;
}
