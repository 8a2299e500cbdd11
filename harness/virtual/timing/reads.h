/* reads.h: which addresses straight-line code reads data from, worked out from the registers' values at its start, so that the
 * emulator need not report every read, which would slow it down several times. */
#ifndef READS_H
#define READS_H

#include <stdint.h>

enum {
    READS_MOST = 512, /* instructions of one block: TCG_MAX_INSNS of the emulator */
    READS_NONE = 16,  /* no register */
    READS_ALWAYS = 14, /* condition of an instruction outside IT blocks */
};

/* `count` reads, `step` bytes apart, at the sum of registers, shifted left, and a constant. */
struct read {
    uint32_t constant;
    uint8_t registers[2], shifts[2], count, step;
};

/* What an instruction does, as far as addresses depend on it. Registers are READS_NONE where there is none. */
struct effect {
    uint8_t bytes;
    uint8_t count, step;            /* of data reads; 0: it reads nothing */
    uint8_t base, index, shift;     /* where from */
    uint8_t word;                   /* register that gets the one word read */
    int32_t offset;
    uint8_t moved;                  /* register that changes by `by` after that */
    int32_t by;
    uint16_t lost;                  /* registers whose values are not followed */
    uint8_t set, from, plus, times; /* set = from + (plus << times) + constant */
    uint32_t constant;
};

/* A read whose address is not known at the start of its block. */
struct late {
    uint32_t address;
    uint8_t condition;
};

/* The reads of one block: first the known ones, then those met on the way. */
struct reads {
    struct read known[READS_MOST];
    struct late late[READS_MOST];
    uint32_t known_count, late_count;
    uint16_t used; /* registers, one bit each */
    uint8_t it;    /* IT state at its end: DDI 0403, A7.3.3 */
};

/* What the reads are worked out from. `flash`: what constants are read from; `must_wait`: whether the read of an instruction has
 * to be met on the way, asked with its address. */
struct reads_code {
    const uint8_t *bytes, *flash;
    uint32_t address, size, flash_start, flash_bytes;
    uint8_t it;
    int (*must_wait)(void *state, uint32_t address);
    void *state;
};

struct effect reads_effect(const uint8_t *code, uint32_t address);
void reads_plan(struct reads *reads, const struct reads_code *code);

#endif
