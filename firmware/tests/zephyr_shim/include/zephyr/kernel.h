/* kernel.h: as much of Zephyr's interface as firmware/port/zephyr uses, with its names, types and meaning; qemu.c stands behind it. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <stddef.h>
#include <stdint.h>

struct k_thread {
    struct {
        uintptr_t start; /* lowest address of its stack */
        size_t size;
    } stack_info;
};
typedef struct k_thread *k_tid_t;

k_tid_t k_current_get(void);
void k_yield(void);
int32_t k_msleep(int32_t ms);
int64_t k_uptime_get(void);
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_us_floor64(uint64_t ticks);

#endif
