/* sections.h: what the linker script says of the image; only the addresses mean anything. All are multiples of 4. */
#ifndef RISCV_SECTIONS_H
#define RISCV_SECTIONS_H

#include <stdint.h>

extern uint32_t _stack_limit[], _stack_top[]; /* the stack may use what lies between */
extern uint32_t _startup_frame[];             /* port_reset's own frame lies above */
extern uint32_t _code_start[], _code_end[];
extern uint32_t _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

#endif
