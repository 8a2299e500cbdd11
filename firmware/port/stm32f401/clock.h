/* clock.h: 84 MHz, the chip's most, from the PLL. */
#ifndef CLOCK_H
#define CLOCK_H

#define CLOCK_HZ 84000000
#define CLOCK_APB1_HZ (CLOCK_HZ / 2) /* at most 42 MHz: datasheet DS10086, 6.3.1 */
#define CLOCK_TIMER_HZ CLOCK_HZ      /* timers of a divided APB run at twice its clock: RM0368 6.2 */

/* Starts the cycle counter, then raises the clock. Returns 1 if it comes from the ST-LINK's 8 MHz crystal, 0 if there is no
 * such signal (solder bridges SB50 and SB55: UM1724 6.7.1) and it comes from the internal oscillator, which is 1 % exact. */
int clock_init(void);

#endif
