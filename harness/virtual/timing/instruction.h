/* instruction.h: what one instruction costs, alone and behind the one before it. What each costs stands in table.py, whose rows
 * arrive here as struct timing_row. */
#ifndef INSTRUCTION_H
#define INSTRUCTION_H

#include <stdint.h>

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

enum { WIDE_RULE = 1, FUSED_RULE = 2 };

/* Both tables end with a row that matches everything. `rules`: WIDE_RULE and FUSED_RULE where wide runs and fused multiply-adds
 * cost what model.py says of them. */
struct instruction_costs {
    const struct timing_row *narrow, *wide;
    int rules;
};

/* KIND_IT, for those who count IT blocks. */
int instruction_is_it(const struct instruction *i);

/* Whether an instruction that begins with this halfword is a wide one, of 4 bytes. */
int instruction_is_wide(const uint8_t *code);

/* The instruction at `code`; `*bytes`: its length. */
struct instruction instruction_at(const struct instruction_costs *costs, const uint8_t *code, uint32_t *bytes);

/* Change of c's cost because p stands directly before it; the reasons stand in model.py. */
int instruction_pairing(const struct instruction_costs *costs, const struct instruction *p, const struct instruction *c);

#endif
