/* timing.c: counts instructions and estimated Cortex-M4F cycles, called by the emulator at the start of every block of
 * straight-line code and at every read of data in flash. What an instruction costs stands in table.py, whose rows arrive here
 * as struct timing_row; model.py and clock.py hold the same algorithm in Python. Several memory systems count side by side. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "instruction.h"
#include "memory.h"
#include "reads.h"
#include "watch.h"

/* Cached cost of one block. */
struct block {
    struct memory_step *steps;
    struct memory_pass pass;
    struct memory_falls *falls;
    uint32_t cycles, end;
    uint32_t generation; /* of the program that it belongs to */
    uint16_t instructions;
    uint16_t last;        /* offset of the last instruction */
    uint16_t lead, trail; /* how many wide instructions off a word border it begins and ends with */
    uint8_t penalty, has_it;
    uint8_t it_before, it_after; /* IT states */
    uint16_t used;        /* registers of its known reads */
    uint8_t plain;        /* memory's words at its start don't tell where it reads */
    uint32_t read_count, word_count, guard_count;
    struct read *reads;
    struct place *words;
    struct guard *guards;
};

struct region {
    const uint8_t *bytes;
    uint32_t start, length;
    struct block *blocks; /* one for every halfword */
};

enum { REGIONS = 2, MEMORIES = 64, LONG_RUN = 3, IT_LENGTH = 4, WIDE_RULE = 1 };

/* Bits of xPSR that hold the IT state: Armv7-M ARM (DDI 0403), B1.4.2. */
#define XPSR_IT 0x0600FC00u

/* unicorn's uc_reg_read and uc_reg_write. */
typedef int (*register_access)(void *uc, int number, void *value);

struct timing {
    struct timing_tables tables;
    struct region regions[REGIONS];
    struct memory memories[MEMORIES];
    uint32_t memory_count, linked_count; /* the latter without those of other layouts */
    int rules;            /* WIDE_RULE and FUSED_RULE where wide runs and fused multiply-adds cost what model.py says of them */
    uint64_t instructions;
    struct watch *watch;  /* NULL: the emulator reports each read, by timing_read, or none does wait */
    int again;            /* the emulator has to begin the block again */
    register_access read_register, write_register;
    int xpsr;             /* unicorn's number of that register */
    uint8_t it;           /* IT state at the end of the last block */
    uint32_t run;         /* wide instructions off a word border that ran last without a break */
    int in_it;            /* whether a load of this block may stand inside an IT block */
    uint32_t expected;    /* where the last block falls through to */
    uint32_t penalty;     /* what it costs to go anywhere else */
    uint32_t generation;  /* blocks of another one are stale */
    const uint8_t *last;  /* the instruction that ran last; NULL: none, or a branch */
};

/* Both tables end with a row that matches everything. Returns NULL without memory. */
struct timing *timing_new(const struct timing_row *narrow, const struct timing_row *wide)
{
    struct timing *t = calloc(1, sizeof *t);
    if (t) {
        t->tables = (struct timing_tables){narrow, wide};
        t->generation = 1;
    }
    return t;
}

/* Returns 0, or -1 without memory. `bytes` are read whenever a block is met for the first time. */
int timing_region(struct timing *t, uint32_t index, const uint8_t *bytes, uint32_t start, uint32_t length)
{
    struct region *r = &t->regions[index];
    r->blocks = calloc(length / 2 + 1, sizeof *r->blocks);
    r->bytes = bytes;
    r->start = start;
    r->length = length;
    return r->blocks ? 0 : -1;
}

/* The program switches the instruction cache on or off; either way it is empty. */
void timing_cached(struct timing *t, int on)
{
    for (uint32_t i = 0; i < t->memory_count; i++)
        memory_reset(&t->memories[i], on);
}

/* The chip starts again, maybe with other code: every cost is worked out again, and the caches are off. */
void timing_forget(struct timing *t)
{
    t->generation++;
    t->penalty = 0;
    t->run = 0;
    t->last = NULL;
    t->expected = 0;
    t->it = 0;
    t->memory_count = t->linked_count;
    if (t->watch)
        watch_clear(t->watch);
    timing_cached(t, 0);
}

void timing_rules(struct timing *t, int bits)
{
    t->rules = bits;
}

/* Memory system `index`, at most MEMORIES of them; the caches are off until timing_cached(). */
void timing_memory(struct timing *t, uint32_t index, const struct memory_system *system)
{
    memory_init(&t->memories[index], system);
    t->memory_count = t->linked_count = index + 1;
}

/* From now on, until the chip starts again, memory system `index` counts for another layout too. Returns 0, or -1 without room. */
int timing_moved(struct timing *t, uint32_t index, const uint16_t *order, uint32_t stride)
{
    const struct memory_layout layout = {order, stride};
    if (t->memory_count == MEMORIES)
        return -1;
    memory_moved(&t->memories[t->memory_count], &t->memories[index], &layout);
    t->memory_count++;
    return 0;
}

uint32_t timing_memories(const struct timing *t)
{
    return t->memory_count;
}

void timing_emulator(struct timing *t, register_access read, register_access write, int xpsr)
{
    t->read_register = read;
    t->write_register = write;
    t->xpsr = xpsr;
}

/* From now on reads are worked out beforehand. Returns 0, or -1 without memory. */
int timing_watch(struct timing *t, const struct watch_calls *calls)
{
    t->watch = calloc(1, sizeof *t->watch);
    if (t->watch)
        t->watch->calls = *calls;
    return t->watch ? 0 : -1;
}

/* Whether the block that the emulator stopped before has to be translated and begun again, `end` bytes from there; asked once. */
uint32_t timing_again(struct timing *t)
{
    int again = t->again;
    t->again = 0;
    return (uint32_t)again;
}

uint64_t timing_cycles(const struct timing *t, uint32_t memory)
{
    return t->memories[memory].now;
}

uint64_t timing_hits(const struct timing *t)
{
    return t->memories[0].hits;
}

uint64_t timing_misses(const struct timing *t)
{
    return t->memories[0].misses;
}

uint64_t timing_instructions(const struct timing *t)
{
    return t->instructions;
}

/* Works out `b`. Without memory it has no instructions. */
static void cost(const struct timing *t, const uint8_t *code, uint32_t address, uint32_t size, struct block *b)
{
    struct instruction previous, current;
    free(b->steps);
    free(b->falls);
    *b = (struct block){.falls = calloc(1, sizeof *b->falls), .reads = b->reads, .words = b->words, .guards = b->guards, .plain = b->plain, .steps = malloc((size / 2 + 1) * sizeof *b->steps), .end = address + size, .generation = t->generation};
    for (uint32_t at = 0, bytes; b->steps && at + 2 <= size; at += bytes, b->instructions++) {
        if (instruction_halfword(code + at) >> 11 >= 0x1D && at + 4 > size)
            break;
        current = instruction_at(&t->tables, code + at, &bytes);
        b->trail = bytes == 4 && ((address + at) & 2) ? b->trail + 1 : 0;
        if (b->trail > b->instructions)
            b->lead = b->trail;
        int extra = (at ? instruction_pairing(t->rules & FUSED_RULE, &previous, &current) : 0) + ((t->rules & WIDE_RULE) && b->trail == LONG_RUN);
        b->steps[b->instructions] = (struct memory_step){(uint8_t)(current.cycles + extra), (uint8_t)bytes};
        b->cycles += b->steps[b->instructions].cycles;
        previous = current;
        b->penalty = current.penalty;
        b->has_it |= current.kind == KIND_IT;
        b->last = (uint16_t)at;
    }
}

/* Where the block lies, flash or RAM; NULL: in neither, so it counts nothing. */
static struct region *find_region(struct timing *t, uint32_t address, uint32_t size)
{
    for (int i = 0; i < REGIONS; i++) {
        struct region *r = &t->regions[i];
        uint32_t offset = address - r->start;
        if (offset < r->length && size <= r->length - offset)
            return r;
    }
    return NULL;
}

static int must_wait(void *state, uint32_t address)
{
    return watch_has(state, address);
}

void timing_met(void *uc, uint64_t address, uint32_t size, void *state);

/* Replaces `*list` by a copy of `count` entries; how many it has. */
static uint32_t keep(void **list, const void *entries, uint32_t count, size_t bytes)
{
    free(*list);
    *list = count ? malloc(count * bytes) : NULL;
    if (*list)
        memcpy(*list, entries, count * bytes);
    return *list ? count : 0;
}

/* Works out where the block reads. 0 where that has changed what the emulator has to report. */
static int plan(struct timing *t, const struct region *r, struct block *b, uint32_t address, uint32_t size)
{
    const struct region *flash = &t->regions[0];
    struct reads reads;
    struct reads_code code = {r->bytes + (address - r->start), flash->bytes, address, size, flash->start, flash->length, t->it, !b->plain, must_wait, t->watch};
    reads_plan(&reads, &code);
    int added = 0;
    for (uint32_t i = 0; i < reads.late_count; i++)
        if (!watch_has(t->watch, reads.late[i].address))
            added |= !watch_add(t->watch, &reads.late[i], r->bytes + (reads.late[i].address - r->start), t, (void *)timing_met);
    b->read_count = keep((void **)&b->reads, reads.known, reads.known_count, sizeof *b->reads);
    b->word_count = keep((void **)&b->words, reads.words, reads.word_count, sizeof *b->words);
    b->guard_count = keep((void **)&b->guards, reads.guards, reads.guard_count, sizeof *b->guards);
    b->used = reads.used;
    b->it_after = reads.it;
    if (added)
        t->generation++;
    return !added;
}

/* What the block costs by itself, worked out when it is met for the first time. NULL where the emulator must begin it again. */
static struct block *costed(struct timing *t, struct region *r, uint32_t address, uint32_t size)
{
    uint32_t offset = address - r->start;
    struct block *b = &r->blocks[offset / 2];
    if (b->generation == t->generation && b->end == address + size && b->it_before == t->it)
        return b;
    cost(t, r->bytes + offset, address, size, b);
    b->it_before = t->it;
    return !t->watch || plan(t, r, b, address, size) ? b : NULL;
}

/* Brings the values up to date that the block's reads depend on. 0: a word is where no memory is, or the block writes it first. */
static int valued(struct timing *t, const struct block *b)
{
    uint32_t places[READS_WORDS];
    if (b->used)
        watch_registers(t->watch, b->used);
    for (uint32_t i = 0; i < b->word_count; i++) {
        places[i] = watch_place(t->watch, &b->words[i]);
        struct region *r = find_region(t, places[i], 4);
        if (!r)
            return 0;
        t->watch->values[READS_NONE + 1 + i] = instruction_word(r->bytes + (places[i] - r->start));
    }
    for (uint32_t i = 0; i < b->guard_count; i++) {
        uint32_t ahead = places[b->guards[i].word] - watch_place(t->watch, &b->guards[i].place);
        if (ahead < b->guards[i].bytes || 0u - ahead < 4)
            return 0;
    }
    return 1;
}

/* The block with the values that its reads depend on. NULL where the emulator must begin it again. */
static struct block *ready(struct timing *t, struct region *r, uint32_t address, uint32_t size)
{
    struct block *b = costed(t, r, address, size);
    if (!b || valued(t, b))
        return b;
    b->plain = 1;
    b->generation = 0;
    b = costed(t, r, address, size);
    return b && valued(t, b) ? b : NULL;
}

/* The emulator ends blocks at page borders too, which the processor knows nothing of. */
static int seam(const struct timing *t, const uint8_t *code)
{
    uint32_t bytes;
    struct instruction previous = instruction_at(&t->tables, t->last, &bytes), current = instruction_at(&t->tables, code, &bytes);
    return instruction_pairing(t->rules & FUSED_RULE, &previous, &current);
}

/* Cycles between the last block and this one: of the taken branch, or of the instructions at their border. */
static int arrival(const struct timing *t, const struct block *b, const uint8_t *code, int jumped)
{
    if (jumped)
        return (int)t->penalty;
    int third = t->run && t->run < LONG_RUN && t->run + b->lead >= LONG_RUN;
    int counted = t->run && b->lead >= LONG_RUN;
    return (t->last && b->instructions ? seam(t, code) : 0) + (t->rules & WIDE_RULE ? third - counted : 0);
}

static void leave(struct timing *t, const struct block *b, const uint8_t *code, int jumped)
{
    int whole = b->trail == b->instructions;
    t->run = b->trail + (whole && !jumped ? t->run : 0);
    t->in_it = b->has_it || (t->in_it && !jumped && b->instructions < IT_LENGTH);
    t->expected = b->end;
    t->it = b->it_after;
    t->penalty = b->penalty;
    t->last = b->instructions && !b->penalty ? code + b->last : NULL;
}

static void count_reads(struct timing *t, const struct read *read)
{
    uint32_t address = watch_place(t->watch, &read->place);
    for (uint32_t k = read->count; k; k--, address += read->step)
        for (uint32_t i = 0; i < t->memory_count; i++)
            memory_read(&t->memories[i], address);
}

/* Signature of unicorn's UC_HOOK_CODE callback. */
void timing_met(void *uc, uint64_t address, uint32_t size, void *state)
{
    struct watched *watched = state;
    struct timing *t = watched->owner;
    struct read read;
    (void)uc;
    (void)address;
    (void)size;
    if (watch_reads(t->watch, watched, &read))
        count_reads(t, &read);
}

/* Signature of unicorn's UC_HOOK_BLOCK callback. */
void timing_block(void *uc, uint64_t address64, uint32_t size, void *state)
{
    struct timing *t = state;
    uint32_t address = (uint32_t)address64;
    struct region *r = find_region(t, address, size);
    int jumped = address != t->expected;
    (void)uc;
    if (!r)
        return;
    if (jumped)
        t->it = 0;
    struct block *b = ready(t, r, address, size);
    if (!b) {
        t->again = (int)size;
        t->watch->calls.stop(t->watch->calls.uc);
        return;
    }
    const uint8_t *code = r->bytes + (address - r->start);
    int extra = arrival(t, b, code, jumped);
    const struct memory_code part = {address, b->instructions, b->cycles, b->steps, &b->pass, b->falls};
    for (uint32_t i = 0; i < t->memory_count; i++)
        memory_block(&t->memories[i], &part, extra, jumped);
    for (uint32_t i = 0; i < b->read_count; i++)
        count_reads(t, &b->reads[i]);
    t->instructions += b->instructions;
    leave(t, b, code, jumped);
}

/* unicorn brings its IT state up to date for a callback and leaves it so: the next block would begin as if inside the IT block.
 * Between blocks the state that it keeps there is 0 unless the block's own end sets it. */
static void clear_it_state(const struct timing *t, void *uc)
{
    uint32_t xpsr = 0;
    t->read_register(uc, t->xpsr, &xpsr);
    if (xpsr & XPSR_IT) {
        xpsr &= ~XPSR_IT;
        t->write_register(uc, t->xpsr, &xpsr);
    }
}

/* Signature of unicorn's UC_HOOK_MEM_READ callback. */
void timing_read(void *uc, int type, uint64_t address, int size, int64_t value, void *state)
{
    struct timing *t = state;
    (void)type;
    (void)size;
    (void)value;
    if (t->in_it && t->read_register)
        clear_it_state(t, uc);
    for (uint32_t i = 0; i < t->memory_count; i++)
        memory_read(&t->memories[i], (uint32_t)address);
}
