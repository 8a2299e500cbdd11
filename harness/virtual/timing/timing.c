/* timing.c: counts instructions and estimated Cortex-M4F cycles, called by the emulator at the start of every block of
 * straight-line code. What an instruction costs stands in table.py, whose rows arrive here as struct timing_row;
 * model.py holds the same algorithm in Python. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { /* table.Kind */
    KIND_ALU, KIND_LOAD, KIND_LOAD_MANY, KIND_STORE_IMMEDIATE, KIND_STORE_REGISTER, KIND_STORE_MANY, KIND_BRANCH,
    KIND_FLOAT, KIND_NOP, KIND_IT,
};

enum { /* model.OPERANDS */
    OPERAND_NONE, OPERAND_FIELD3, OPERAND_FIELD4, OPERAND_HIGH, OPERAND_CONSTANT, OPERAND_LIST, OPERAND_SINGLE, OPERAND_NUMBER,
};

struct timing_operand {
    uint8_t how, at, low; /* field's lowest bit; OPERAND_SINGLE: `low` is where the register number's lowest bit stands */
};

struct timing_row {
    uint32_t mask, value;
    uint8_t kind, cycles, penalty;
    struct timing_operand counted, base, address[2], writes[2], fp_reads[3], fp_writes;
};

struct instruction {
    uint8_t kind, cycles, penalty;
    uint32_t base, address, writes, fp_reads, fp_writes; /* register sets, one bit a register */
};

/* Cached cost of one block. */
struct block {
    uint32_t cycles, end;
    uint32_t generation; /* of the program that it belongs to */
    uint16_t instructions;
    uint16_t last; /* offset of the last instruction */
    uint8_t penalty, entry;
};

struct region {
    const uint8_t *bytes;
    uint32_t start, length;
    struct block *blocks; /* one for every halfword */
};

enum { REGIONS = 2 };

struct timing {
    const struct timing_row *narrow, *wide;
    struct region regions[REGIONS];
    uint64_t cycles, instructions;
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
        t->narrow = narrow;
        t->wide = wide;
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

/* The code may have changed: every cost is worked out again. */
void timing_forget(struct timing *t)
{
    t->generation++;
    t->penalty = 0;
    t->last = NULL;
}

uint64_t timing_cycles(const struct timing *t)
{
    return t->cycles;
}

uint64_t timing_instructions(const struct timing *t)
{
    return t->instructions;
}

static uint32_t operand(struct timing_operand o, uint32_t word)
{
    switch (o.how) {
    case OPERAND_FIELD3: return 1u << (word >> o.at & 7);
    case OPERAND_FIELD4: return 1u << (word >> o.at & 15);
    case OPERAND_HIGH: return 1u << ((word & 7) | (word >> 4 & 8));
    case OPERAND_CONSTANT: return 1u << o.at;
    case OPERAND_LIST: return word & ((1u << o.at) - 1);
    case OPERAND_SINGLE: return 1u << ((word >> o.at & 15) << 1 | (word >> o.low & 1));
    default: return 0;
    }
}

static struct instruction decode(const struct timing *t, uint32_t word, int is_wide)
{
    const struct timing_row *row = is_wide ? t->wide : t->narrow;
    while ((word & row->mask) != row->value)
        row++;
    struct instruction i = {row->kind, row->cycles, row->penalty, operand(row->base, word), 0, 0, 0, operand(row->fp_writes, word)};
    for (int k = 0; k < 2; k++) {
        i.address |= operand(row->address[k], word);
        i.writes |= operand(row->writes[k], word);
    }
    for (int k = 0; k < 3; k++)
        i.fp_reads |= operand(row->fp_reads[k], word);
    i.cycles += row->counted.how == OPERAND_NUMBER ? (uint8_t)word : (uint8_t)__builtin_popcount(operand(row->counted, word));
    return i;
}

/* Change of c's cost because p stands directly before it; the reasons stand in model.py. */
static int pairing(const struct instruction *p, const struct instruction *c)
{
    int store = c->kind == KIND_STORE_IMMEDIATE || c->kind == KIND_STORE_REGISTER;
    int waits = (p->writes & c->address) != 0;
    int change = 0;
    if (p->kind == KIND_LOAD && c->kind == KIND_LOAD && !waits && !(p->base & c->base))
        change--;
    else if (p->kind == KIND_STORE_IMMEDIATE && c->kind == KIND_LOAD)
        change++;
    else if (p->kind == KIND_LOAD && store && !waits)
        change--;
    if (waits && p->kind != KIND_LOAD_MANY)
        change++;
    if (p->kind == KIND_FLOAT && (p->fp_writes & c->fp_reads))
        change++;
    if (c->kind == KIND_IT || (c->kind == KIND_NOP && p->kind == KIND_LOAD))
        change = -c->cycles;
    return change;
}

static uint32_t halfword(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/* The instruction at `code`; `*bytes`: its length. */
static struct instruction fetch(const struct timing *t, const uint8_t *code, uint32_t *bytes)
{
    uint32_t word = halfword(code);
    int is_wide = word >> 11 >= 0x1D;
    *bytes = is_wide ? 4 : 2;
    return decode(t, is_wide ? word << 16 | halfword(code + 2) : word, is_wide);
}

static void cost(const struct timing *t, const uint8_t *code, uint32_t address, uint32_t size, struct block *b)
{
    struct instruction previous, current;
    memset(b, 0, sizeof *b);
    for (uint32_t at = 0, bytes; at + 2 <= size; at += bytes, b->instructions++) {
        if (halfword(code + at) >> 11 >= 0x1D && at + 4 > size)
            break;
        current = fetch(t, code + at, &bytes);
        b->cycles += current.cycles;
        if (at)
            b->cycles += (uint32_t)pairing(&previous, &current);
        else
            b->entry = bytes == 4 && (address & 2);
        previous = current;
        b->penalty = current.penalty;
        b->last = (uint16_t)at;
    }
    b->end = address + size;
    b->generation = t->generation;
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

/* What the block costs by itself, worked out when it is met for the first time. */
static const struct block *costed(const struct timing *t, struct region *r, uint32_t address, uint32_t size)
{
    uint32_t offset = address - r->start;
    struct block *b = &r->blocks[offset / 2];
    if (b->generation != t->generation || b->end != address + size)
        cost(t, r->bytes + offset, address, size, b);
    return b;
}

/* The emulator ends blocks at page borders too, which the processor knows nothing of. */
static int seam(const struct timing *t, const uint8_t *code)
{
    uint32_t bytes;
    struct instruction previous = fetch(t, t->last, &bytes), current = fetch(t, code, &bytes);
    return pairing(&previous, &current);
}

/* Cycles between the last block and this one: of the pair at their border, or of the taken branch and its target's first fetch. */
static int64_t arrival(const struct timing *t, const struct block *b, const uint8_t *code, uint32_t address)
{
    if (address != t->expected)
        return (int64_t)t->penalty + b->entry;
    return t->last && b->instructions ? seam(t, code) : 0;
}

/* Signature of unicorn's UC_HOOK_BLOCK callback. */
void timing_block(void *uc, uint64_t address64, uint32_t size, void *state)
{
    struct timing *t = state;
    uint32_t address = (uint32_t)address64;
    struct region *r = find_region(t, address, size);
    (void)uc;
    if (!r)
        return;
    const struct block *b = costed(t, r, address, size);
    const uint8_t *code = r->bytes + (address - r->start);
    t->cycles += (uint64_t)(arrival(t, b, code, address) + b->cycles);
    t->instructions += b->instructions;
    t->expected = b->end;
    t->penalty = b->penalty;
    t->last = b->instructions && !b->penalty ? code + b->last : NULL;
}
