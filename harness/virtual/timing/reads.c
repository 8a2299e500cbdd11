/* reads.c: see reads.h. A register's value is followed through a block as a sum of at most two registers' values at its start,
 * shifted left, and a constant. */
#include "reads.h"

enum { SP = 13, PC = 15, REGISTERS = 16 };

struct form {
    uint32_t constant;
    uint8_t known, registers[2], shifts[2];
};

static const struct form NOTHING = {0, 1, {READS_NONE, READS_NONE}, {0, 0}};

static struct form shifted(struct form f, uint32_t by)
{
    for (int k = 0; k < 2; k++) {
        f.shifts[k] = (uint8_t)(f.shifts[k] + by);
        if (f.registers[k] != READS_NONE && f.shifts[k] > 31)
            f.known = 0;
    }
    f.constant <<= by;
    return f;
}

static struct form sum(struct form a, const struct form *b)
{
    a.known = a.known && b->known;
    a.constant += b->constant;
    for (int k = 0; k < 2; k++) {
        if (b->registers[k] == READS_NONE)
            continue;
        int to = a.registers[0] == READS_NONE ? 0 : 1;
        if (a.registers[to] != READS_NONE)
            a.known = 0;
        a.registers[to] = b->registers[k];
        a.shifts[to] = b->shifts[k];
    }
    return a;
}

static struct form value(const struct form *forms, uint8_t reg, uint32_t address)
{
    struct form f = NOTHING;
    if (reg == PC)
        f.constant = (address + 4) & ~3u;
    return reg == READS_NONE || reg == PC ? f : forms[reg];
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct form place(const struct effect *e, const struct form *forms, uint32_t address)
{
    struct form index = shifted(value(forms, e->index, address), e->shift), f = value(forms, e->base, address);
    f.constant += (uint32_t)e->offset;
    return sum(f, &index);
}

/* What the instruction does to the registers; `from`: where it reads. */
static void follow(struct form *forms, const struct effect *e, const struct form *from, const struct reads_code *c, uint32_t address)
{
    struct form other = shifted(value(forms, e->plus, address), e->times), f = value(forms, e->from, address);
    uint32_t offset = from->constant - c->flash_start;
    f.constant += e->constant;
    f = sum(f, &other);
    if (e->moved < REGISTERS)
        forms[e->moved].constant += (uint32_t)e->by;
    for (uint32_t r = 0; r < REGISTERS; r++)
        if (e->lost >> r & 1)
            forms[r].known = 0;
    if (e->set < REGISTERS)
        forms[e->set] = f;
    if (e->word < REGISTERS && from->known && from->registers[0] == READS_NONE && offset <= c->flash_bytes - 4) {
        forms[e->word] = NOTHING;
        forms[e->word].constant = word_at(c->flash + offset);
    }
}

/* The stack is in RAM: whoever writes there may read there. */
static int on_stack(const struct effect *e, const struct form *from)
{
    int of_sp = (from->registers[0] == SP && !from->shifts[0]) || (from->registers[1] == SP && !from->shifts[1]);
    return e->base == SP || (from->known && of_sp);
}

static int never_waits(const struct effect *e, const struct form *from, const struct reads_code *c)
{
    int constant = from->known && from->registers[0] == READS_NONE;
    return on_stack(e, from) || (constant && from->constant - c->flash_start >= c->flash_bytes);
}

static void note(struct reads *r, const struct effect *e, const struct form *from, int known, uint32_t address, uint8_t it)
{
    if (known) {
        struct read *read = &r->known[r->known_count++];
        *read = (struct read){from->constant, {from->registers[0], from->registers[1]}, {from->shifts[0], from->shifts[1]}, e->count, e->step};
        for (int k = 0; k < 2; k++)
            r->used |= (uint16_t)(from->registers[k] == READS_NONE ? 0 : 1u << from->registers[k]);
    } else if (r->late_count < READS_MOST) {
        r->late[r->late_count++] = (struct late){address, it ? it >> 4 : READS_ALWAYS};
    }
}

static uint8_t next_it(uint8_t it, const uint8_t *code)
{
    if (code[1] == 0xBF && (code[0] & 15))
        return code[0];
    return it & 7 ? (uint8_t)((it & 0xE0) | (it << 1 & 0x1F)) : 0;
}

/* After the first read that has to be met on the way, all others are, to keep their order. Inside an IT block nothing is known of
 * what an instruction does. */
void reads_plan(struct reads *reads, const struct reads_code *c)
{
    struct form forms[REGISTERS];
    *reads = (struct reads){.it = c->it};
    for (uint8_t r = 0; r < REGISTERS; r++)
        forms[r] = (struct form){0, r != PC, {r, READS_NONE}, {0, 0}};
    for (uint32_t at = 0; at + 2 <= c->size;) {
        uint32_t address = c->address + at;
        struct effect e = reads_effect(c->bytes + at, address);
        if (at + e.bytes > c->size)
            return;
        struct form from = place(&e, forms, address);
        if (e.count && !never_waits(&e, &from, c)) {
            int known = from.known && !reads->it && !reads->late_count && reads->known_count < READS_MOST;
            note(reads, &e, &from, known && !c->must_wait(c->state, address), address, reads->it);
        }
        if (reads->it) {
            e.lost |= (uint16_t)((e.set < REGISTERS ? 1u << e.set : 0) | (e.moved < REGISTERS ? 1u << e.moved : 0));
            e.set = e.word = READS_NONE;
        }
        follow(forms, &e, &from, c, address);
        reads->it = next_it(reads->it, c->bytes + at);
        at += e.bytes;
    }
}
