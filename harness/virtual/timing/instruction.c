/* instruction.c: see instruction.h. */
#include "instruction.h"

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

static struct instruction decode(const struct timing_tables *tables, uint32_t word, int is_wide)
{
    const struct timing_row *row = is_wide ? tables->wide : tables->narrow;
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

static int is_fused(const struct instruction *i)
{
    return i->kind == KIND_FLOAT && i->cycles == 3;
}

static int accumulates(const struct instruction *p, const struct instruction *c)
{
    return is_fused(c) && p->fp_writes == c->fp_writes;
}

int instruction_pairing(int fused, const struct instruction *p, const struct instruction *c)
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
    int in_time = fused && is_fused(p) && (c->kind == KIND_STORE_IMMEDIATE || accumulates(p, c));
    if (p->kind == KIND_FLOAT && (p->fp_writes & c->fp_reads) && !in_time)
        change++;
    if (c->kind == KIND_IT || (c->kind == KIND_NOP && p->kind == KIND_LOAD))
        change = -c->cycles;
    return change;
}

struct instruction instruction_at(const struct timing_tables *tables, const uint8_t *code, uint32_t *bytes)
{
    uint32_t word = instruction_halfword(code);
    int is_wide = word >> 11 >= 0x1D;
    *bytes = is_wide ? 4 : 2;
    return decode(tables, is_wide ? word << 16 | instruction_halfword(code + 2) : word, is_wide);
}
