/* names.h: comes before ../cortexm/fault.c and tells it where this image's stack and code lie: the bare-metal image takes that
 * from its own linker script, here the core's is used. */
#define _stack_limit chip_stack
#define _stack_top chip_stack_end
#define _code_start chip_code_start
#define _code_end __etext /* of the core's linker script */
