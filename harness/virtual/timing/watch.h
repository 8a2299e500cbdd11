/* watch.h: what timing.c asks of the emulator to know where the program reads: the values of registers, and to be called before
 * the instructions whose addresses reads.c can't tell beforehand. */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

#include "reads.h"

/* unicorn's functions and numbers, filled in by clock.py. `registers`: r0 to r14. */
struct watch_calls {
    int (*read_batch)(void *uc, const int *numbers, void **values, int count);
    int (*add)(void *uc, uint64_t *handle, int kind, void *callback, void *state, uint64_t begin, uint64_t end, ...);
    int (*del)(void *uc, uint64_t handle);
    int (*stop)(void *uc);
    void *uc;
    int hook_code, xpsr, registers[15];
};

enum { WATCH_MOST = 1024 };

struct watched {
    void *owner;
    uint64_t handle;
    uint32_t address;
    uint8_t condition;
    struct effect effect;
};

struct watch {
    struct watch_calls calls;
    uint32_t count;
    struct watched *reads[WATCH_MOST];
    uint32_t values[READS_VALUES];
};

int watch_has(const struct watch *w, uint32_t address);
/* Calls `met(uc, address, size, struct watched *)` before the instruction at `late` from now on. 0, or -1 where that can't be. */
int watch_add(struct watch *w, const struct late *late, const uint8_t *code, void *owner, void *met);
void watch_clear(struct watch *w);
/* Whether the instruction that is about to run will read; `read`: where. */
int watch_reads(struct watch *w, const struct watched *watched, struct read *read);
/* Brings `values` up to date for the registers in `used`. */
void watch_registers(struct watch *w, uint32_t used);

/* What `place` is, by `values`. */
static inline uint32_t watch_place(const struct watch *w, const struct place *p)
{
    uint32_t sum = p->constant + w->values[p->registers[0]] * p->factors[0];
    for (int k = 1; k < READS_TERMS && p->registers[k] != READS_NONE; k++)
        sum += w->values[p->registers[k]] * p->factors[k];
    return sum;
}

#endif
