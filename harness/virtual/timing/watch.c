/* watch.c: see watch.h. */
#include "watch.h"

#include <stdlib.h>

enum { PC = 15 };

int watch_has(const struct watch *w, uint32_t address)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->reads[i]->address == address)
            return 1;
    return 0;
}

int watch_add(struct watch *w, const struct late *late, const uint8_t *code, void *owner, void *met)
{
    struct watched *new = w->count < WATCH_MOST ? malloc(sizeof *new) : NULL;
    if (!new)
        return -1;
    *new = (struct watched){owner, 0, late->address, late->condition, reads_effect(code, late->address)};
    if (w->calls.add(w->calls.uc, &new->handle, w->calls.hook_code, met, new, late->address, late->address)) {
        free(new);
        return -1;
    }
    w->reads[w->count++] = new;
    return 0;
}

void watch_clear(struct watch *w)
{
    while (w->count) {
        struct watched *last = w->reads[--w->count];
        w->calls.del(w->calls.uc, last->handle);
        free(last);
    }
}

void watch_registers(struct watch *w, uint32_t used)
{
    int numbers[PC], count = 0;
    void *values[PC];
    for (; used; used &= used - 1) {
        int r = __builtin_ctz(used);
        numbers[count] = w->calls.registers[r];
        values[count++] = &w->values[r];
    }
    if (count)
        w->calls.read_batch(w->calls.uc, numbers, values, count);
}

/* DDI 0403, A7.3: whether `condition` holds. */
static int holds(uint8_t condition, uint32_t xpsr)
{
    int n = xpsr >> 31 & 1, z = xpsr >> 30 & 1, c = xpsr >> 29 & 1, v = xpsr >> 28 & 1;
    const int results[8] = {z, c, n, v, c && !z, n == v, n == v && !z, 1};
    return condition >= READS_ALWAYS || results[condition >> 1] != (condition & 1);
}

int watch_reads(struct watch *w, const struct watched *watched, struct read *read)
{
    const struct effect *e = &watched->effect;
    uint32_t xpsr = 0, used = (e->base < PC ? 1u << e->base : 0) | (e->index < PC ? 1u << e->index : 0);
    void *flags = &xpsr;
    if (watched->condition < READS_ALWAYS)
        w->calls.read_batch(w->calls.uc, &w->calls.xpsr, &flags, 1);
    if (!holds(watched->condition, xpsr))
        return 0;
    watch_registers(w, used);
    *read = (struct read){{(uint32_t)e->offset, {1, 1u << e->shift}, {e->base, e->index, READS_NONE, READS_NONE}}, e->count, e->step};
    w->values[PC] = (watched->address + 4) & ~3u;
    return 1;
}
