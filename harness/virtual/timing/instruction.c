/* instruction.c: what one instruction costs, alone and behind the one before it; model.py holds the same in Python. */
#include "instruction.h"

enum { /* table.Kind */
    KIND_ALU, KIND_LOAD, KIND_LOAD_MANY, KIND_STORE_IMMEDIATE, KIND_STORE_REGISTER, KIND_STORE_MANY, KIND_BRANCH,
    KIND_FLOAT, KIND_NOP, KIND_IT,
};

enum { /* model.OPERANDS */
    OPERAND_NONE, OPERAND_FIELD3, OPERAND_FIELD4, OPERAND_HIGH, OPERAND_CONSTANT, OPERAND_LIST, OPERAND_SINGLE, OPERAND_NUMBER,
};

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

static struct instruction decode(const struct instruction_costs *costs, uint32_t word, int is_wide)
{
    const struct timing_row *row = is_wide ? costs->wide : costs->narrow;
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

static int fused(const struct instruction *i)
{
    return i->kind == KIND_FLOAT && i->cycles == 3;
}

static int accumulates(const struct instruction *p, const struct instruction *c)
{
    return fused(c) && p->fp_writes == c->fp_writes;
}

int instruction_pairing(const struct instruction_costs *costs, const struct instruction *p, const struct instruction *c)
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
    int in_time = (costs->rules & FUSED_RULE) && fused(p) && (c->kind == KIND_STORE_IMMEDIATE || accumulates(p, c));
    if (p->kind == KIND_FLOAT && (p->fp_writes & c->fp_reads) && !in_time)
        change++;
    if (c->kind == KIND_IT || (c->kind == KIND_NOP && p->kind == KIND_LOAD))
        change = -c->cycles;
    return change;
}

static uint32_t halfword(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

int instruction_is_wide(const uint8_t *code)
{
    return halfword(code) >> 11 >= 0x1D;
}

int instruction_is_it(const struct instruction *i)
{
    return i->kind == KIND_IT;
}

struct instruction instruction_at(const struct instruction_costs *costs, const uint8_t *code, uint32_t *bytes)
{
    uint32_t word = halfword(code);
    int is_wide = instruction_is_wide(code);
    *bytes = is_wide ? 4 : 2;
    return decode(costs, is_wide ? word << 16 | halfword(code + 2) : word, is_wide);
}
