/* reads.c: see reads.h. A register's value is followed through a block as a sum of at most two values at its start, of registers
 * or of words in memory, shifted left, and a constant. */
#include "reads.h"

#include <string.h>

enum { SP = 13, PC = 15, REGISTERS = 16 };

struct form {
    struct place sum;
    int known;
};

static const struct form UNKNOWN = {{0, {0}, {READS_NONE, READS_NONE, READS_NONE, READS_NONE}}, 0};

static struct form constant_form(uint32_t constant)
{
    struct form f = UNKNOWN;
    f.sum.constant = constant;
    f.known = 1;
    return f;
}

static struct form start_form(uint32_t reg)
{
    struct form f = constant_form(0);
    f.sum.registers[0] = (uint8_t)reg;
    f.sum.factors[0] = 1;
    return f;
}

static int is_constant(const struct form *f)
{
    return f->known && f->sum.registers[0] == READS_NONE;
}

static void remove_term(struct place *p, int at)
{
    for (; at < READS_TERMS; at++) {
        p->registers[at] = at + 1 < READS_TERMS ? p->registers[at + 1] : READS_NONE;
        p->factors[at] = at + 1 < READS_TERMS ? p->factors[at + 1] : 0;
    }
}

static uint32_t rank(uint8_t reg)
{
    return reg == READS_NONE ? READS_VALUES : reg;
}

/* 0: there is no room. */
static int add_term(struct place *p, uint8_t reg, uint32_t factor)
{
    int at = 0;
    while (at < READS_TERMS && rank(p->registers[at]) < rank(reg))
        at++;
    if (at < READS_TERMS && p->registers[at] == reg) {
        p->factors[at] += factor;
        if (!p->factors[at])
            remove_term(p, at);
        return 1;
    }
    if (p->registers[READS_TERMS - 1] != READS_NONE)
        return 0;
    for (int k = READS_TERMS - 1; k > at; k--) {
        p->registers[k] = p->registers[k - 1];
        p->factors[k] = p->factors[k - 1];
    }
    p->registers[at] = reg;
    p->factors[at] = factor;
    return 1;
}

/* a + b * factor. */
static struct form sum(struct form a, const struct form *b, uint32_t factor)
{
    a.known = a.known && b->known;
    a.sum.constant += b->sum.constant * factor;
    for (int k = 0; k < READS_TERMS && a.known && b->sum.registers[k] != READS_NONE; k++) {
        uint32_t times = b->sum.factors[k] * factor;
        a.known = !times || add_term(&a.sum, b->sum.registers[k], times);
    }
    return a.known ? a : UNKNOWN;
}

static struct form value(const struct form *forms, uint8_t reg, uint32_t address)
{
    if (reg == PC)
        return constant_form((address + 4) & ~3u);
    return reg == READS_NONE ? constant_form(0) : forms[reg];
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct form place(const struct effect *e, const struct form *forms, uint32_t address)
{
    struct form index = value(forms, e->index, address), f = value(forms, e->base, address);
    f.sum.constant += (uint32_t)e->offset;
    return sum(f, &index, 1u << e->shift);
}

/* The stores of the block so far, which decide what a word holds that is read; before how many of them each was read last. */
struct stores {
    struct {
        struct form place, values[2]; /* of its words, as far as they are known */
        uint16_t bytes;
    } all[READS_MOST];
    uint32_t count, before[READS_WORDS];
};

/* Whether the two differ by a constant, whatever the registers hold. */
static int alike(const struct place *a, const struct place *b)
{
    return !memcmp(a->registers, b->registers, sizeof a->registers) && !memcmp(a->factors, b->factors, sizeof a->factors);
}

/* The word's number among those that memory is asked for at the start; READS_WORDS: there is no room. */
static uint32_t word_number(struct reads *r, const struct place *place)
{
    for (uint32_t n = 0; n < r->word_count; n++)
        if (alike(&r->words[n], place) && r->words[n].constant == place->constant)
            return n;
    if (r->word_count == READS_WORDS)
        return READS_WORDS;
    r->words[r->word_count] = *place;
    return r->word_count++;
}

/* Form of the word that memory has at the start. */
static struct form from_memory(struct reads *r, struct stores *s, const struct place *place)
{
    const uint32_t number = word_number(r, place);
    if (number == READS_WORDS)
        return UNKNOWN;
    s->before[number] = s->count;
    return start_form(READS_NONE + 1 + number);
}

/* What the word at `place` holds now: what was stored there last, or what memory had at the start. */
static struct form word_form(struct reads *r, struct stores *s, const struct place *place)
{
    int newest = 1; /* no store between may have written there */
    for (uint32_t k = s->count; k; k--) {
        const struct form *to = &s->all[k - 1].place;
        uint32_t ahead = place->constant - to->sum.constant, bytes = s->all[k - 1].bytes;
        if (!to->known)
            return UNKNOWN;
        int near = alike(&to->sum, place);
        if (near && (ahead < bytes || 0u - ahead < 4))
            return newest && !(ahead & 3) && ahead < 8 ? s->all[k - 1].values[ahead / 4] : UNKNOWN;
        newest &= near;
    }
    return from_memory(r, s, place);
}

static void read_words(struct form *forms, struct reads *r, struct stores *s, const struct effect *e, const struct form *from)
{
    struct place place = from->sum;
    if (!from->known || is_constant(from))
        return;
    if (e->word < REGISTERS)
        forms[e->word] = word_form(r, s, &place);
    place.constant += 4;
    if (e->second < REGISTERS)
        forms[e->second] = word_form(r, s, &place);
}

/* What the instruction makes of `set`. */
static struct form assigned(const struct form *forms, const struct effect *e, uint32_t address)
{
    struct form a = value(forms, e->from, address), b = value(forms, e->plus, address);
    uint32_t factor = 1u << e->times;
    a.sum.constant += e->constant;
    if (e->by_register != READS_NONE) {
        struct form other = value(forms, e->by_register, address);
        const struct form *fixed = is_constant(&other) ? &other : &b;
        factor = is_constant(fixed) ? fixed->sum.constant : 0;
        b = !is_constant(fixed) ? UNKNOWN : fixed == &b ? other : b;
    }
    return sum(a, &b, e->minus ? 0u - factor : factor);
}

/* What the instruction does to the registers; `from`: where it reads. */
static void follow(struct form *forms, const struct effect *e, const struct form *from, const struct reads_code *c, uint32_t address)
{
    const struct form set = assigned(forms, e, address);
    uint32_t offset = from->sum.constant - c->flash_start;
    if (e->moved < REGISTERS)
        forms[e->moved].sum.constant += (uint32_t)e->by;
    for (uint32_t r = 0; r < REGISTERS; r++)
        if (e->lost >> r & 1)
            forms[r] = UNKNOWN;
    if (e->set < REGISTERS)
        forms[e->set] = set;
    if (e->word < REGISTERS && is_constant(from) && offset <= c->flash_bytes - 4)
        forms[e->word] = constant_form(word_at(c->flash + offset));
}

/* The stack is in RAM: whoever writes there may read there. */
static int on_stack(const struct effect *e, const struct form *from)
{
    for (int k = 0; k < READS_TERMS && from->known; k++)
        if (from->sum.registers[k] == SP && from->sum.factors[k] == 1)
            return 1;
    return e->base == SP;
}

static int never_waits(const struct effect *e, const struct form *from, const struct reads_code *c)
{
    return on_stack(e, from) || (is_constant(from) && from->sum.constant - c->flash_start >= c->flash_bytes);
}

static void note(struct reads *r, const struct effect *e, const struct form *from, int known, uint32_t address, uint8_t it)
{
    if (known)
        r->known[r->known_count++] = (struct read){from->sum, e->count, e->step};
    else if (r->late_count < READS_MOST)
        r->late[r->late_count++] = (struct late){address, it ? it >> 4 : READS_ALWAYS};
}

static uint8_t next_it(uint8_t it, const uint8_t *code)
{
    if (code[1] == 0xBF && (code[0] & 15))
        return code[0];
    return it & 7 ? (uint8_t)((it & 0xE0) | (it << 1 & 0x1F)) : 0;
}

static void mark(uint8_t *wanted, const struct place *place)
{
    for (int k = 0; k < READS_TERMS; k++)
        wanted[place->registers[k]] = 1;
}

static void rename(struct place *place, const uint8_t *names)
{
    for (int k = 0; k < READS_TERMS; k++)
        place->registers[k] = names[place->registers[k]];
}

/* Whether the guards of word `n` need the store. One that differs by a constant was looked at already. */
static int needs_guard(const struct reads *r, const struct stores *s, uint32_t n, uint32_t store)
{
    return store < s->before[n] && !alike(&s->all[store].place.sum, &r->words[n]);
}

/* What the reads depend on: words, the words that these and their guards depend on, registers. */
static void mark_all(const struct reads *r, const struct stores *s, uint8_t *wanted)
{
    uint8_t before[READS_VALUES];
    for (uint32_t k = 0; k < r->known_count; k++)
        mark(wanted, &r->known[k].place);
    do {
        memcpy(before, wanted, sizeof before);
        for (uint32_t n = 0; n < r->word_count; n++) {
            if (!wanted[READS_NONE + 1 + n])
                continue;
            mark(wanted, &r->words[n]);
            for (uint32_t k = 0; k < s->count; k++)
                if (needs_guard(r, s, n, k))
                    mark(wanted, &s->all[k].place.sum);
        }
    } while (memcmp(before, wanted, sizeof before));
}

/* Guards of word `n`, which is called `name` afterwards. 0: there is no room. */
static int add_guards(struct reads *r, const struct stores *s, uint32_t n, const uint8_t *names, uint32_t name)
{
    for (uint32_t k = 0; k < s->count; k++) {
        if (!needs_guard(r, s, n, k))
            continue;
        if (r->guard_count == READS_GUARDS)
            return 0;
        struct guard *g = &r->guards[r->guard_count++];
        *g = (struct guard){s->all[k].place.sum, s->all[k].bytes, (uint8_t)name};
        rename(&g->place, names);
    }
    return 1;
}

/* Leaves out the words that no address depends on, and adds the guards of the others. 0: there is no room. */
static int settle(struct reads *r, const struct stores *s)
{
    uint8_t wanted[READS_VALUES] = {0}, names[READS_VALUES];
    uint32_t count = 0, used = 0;
    mark_all(r, s, wanted);
    for (uint32_t k = 0; k < READS_VALUES; k++) {
        names[k] = (uint8_t)(k <= READS_NONE ? k : READS_NONE + 1 + count);
        count += k > READS_NONE && wanted[k];
        used |= k < READS_NONE && wanted[k] ? 1u << k : 0;
    }
    for (uint32_t n = 0; n < r->word_count; n++)
        if (wanted[READS_NONE + 1 + n] && !add_guards(r, s, n, names, names[READS_NONE + 1 + n] - READS_NONE - 1u))
            return 0;
    for (uint32_t n = 0; n < r->word_count; n++) {
        if (wanted[READS_NONE + 1 + n]) {
            struct place *to = &r->words[names[READS_NONE + 1 + n] - READS_NONE - 1];
            *to = r->words[n];
            rename(to, names);
        }
    }
    for (uint32_t k = 0; k < r->known_count; k++)
        rename(&r->known[k].place, names);
    r->word_count = count;
    r->used = (uint16_t)used;
    return 1;
}

/* An instruction that may or may not run: nothing is known of what it does. */
static void doubt(struct effect *e)
{
    e->lost |= (uint16_t)((e->set < REGISTERS ? 1u << e->set : 0) | (e->moved < REGISTERS ? 1u << e->moved : 0));
    e->set = e->word = e->second = e->sources[0] = e->sources[1] = READS_NONE;
}

static void note_store(struct stores *s, const struct effect *e, const struct form *forms, const struct form *place)
{
    s->all[s->count].place = *place;
    s->all[s->count].bytes = e->stored;
    for (int k = 0; k < 2; k++)
        s->all[s->count].values[k] = e->sources[k] < PC ? forms[e->sources[k]] : UNKNOWN;
    s->count++;
}

/* After the first read that has to be met on the way, all others are, to keep their order. `follow_words`: whether memory may be
 * asked at the start of the block. 0: there is no room. */
static int try_plan(struct reads *reads, const struct reads_code *c, int follow_words)
{
    struct form forms[REGISTERS];
    struct stores stores;
    stores.count = 0;
    *reads = (struct reads){.it = c->it};
    for (uint32_t r = 0; r < REGISTERS; r++)
        forms[r] = r == PC ? UNKNOWN : start_form(r);
    for (uint32_t at = 0; at + 2 <= c->size;) {
        uint32_t address = c->address + at;
        struct effect e = reads_effect(c->bytes + at, address);
        if (at + e.bytes > c->size)
            break;
        struct form from = place(&e, forms, address);
        if (e.count && !never_waits(&e, &from, c)) {
            int known = from.known && !reads->it && !reads->late_count && reads->known_count < READS_MOST;
            note(reads, &e, &from, known && !c->must_wait(c->state, address), address, reads->it);
        }
        if (reads->it)
            doubt(&e);
        if (e.stored)
            note_store(&stores, &e, forms, &from);
        follow(forms, &e, &from, c, address);
        if (follow_words)
            read_words(forms, reads, &stores, &e, &from);
        reads->it = next_it(reads->it, c->bytes + at);
        at += e.bytes;
    }
    return settle(reads, &stores);
}

void reads_plan(struct reads *reads, const struct reads_code *c)
{
    if (!c->follow_words || !try_plan(reads, c, 1))
        try_plan(reads, c, 0);
}
