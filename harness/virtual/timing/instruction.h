/* instruction.h: what one instruction costs by itself and next to another. What it costs stands in table.py, whose rows arrive
 * here as struct timing_row; model.py holds the same algorithm in Python. */
#ifndef INSTRUCTION_H
#define INSTRUCTION_H

#include <stdint.h>

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

/* Both end with a row that matches everything. */
struct timing_tables {
    const struct timing_row *narrow, *wide;
};

enum { FUSED_RULE = 2 }; /* fused multiply-adds cost what model.py says of them */

/* The instruction at `code`; `*bytes`: its length. */
struct instruction instruction_at(const struct timing_tables *tables, const uint8_t *code, uint32_t *bytes);
/* Change of c's cost because p stands directly before it; the reasons stand in model.py. `fused`: whether FUSED_RULE holds. */
int instruction_pairing(int fused, const struct instruction *p, const struct instruction *c);

static inline uint32_t instruction_halfword(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t instruction_word(const uint8_t *p)
{
    return instruction_halfword(p) | instruction_halfword(p + 2) << 16;
}

#endif
