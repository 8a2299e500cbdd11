/* reads.h: which addresses straight-line code reads data from, worked out from the registers' values at its start, so that the
 * emulator need not report every read, which would slow it down several times. */
#ifndef READS_H
#define READS_H

#include <stdint.h>

enum {
    READS_MOST = 512, /* instructions of one block: TCG_MAX_INSNS of the emulator */
    READS_NONE = 16,  /* no register */
    READS_ALWAYS = 14, /* condition of an instruction outside IT blocks */
    READS_WORDS = 200, /* words of memory that one block's addresses depend on: pointers that wait on the stack, in structures */
    READS_GUARDS = 1024,
    READS_TERMS = 4,
    READS_VALUES = READS_NONE + 1 + READS_WORDS, /* registers, the 0 of READS_NONE, words */
};

/* A sum of registers' values at the start of the block, each times a factor, and a constant. Instead of a register it may be the
 * n-th word: READS_NONE + 1 + n. Registers stand in ascending order, READS_NONE, whose factor is 0, behind them. */
struct place {
    uint32_t constant, factors[READS_TERMS];
    uint8_t registers[READS_TERMS];
};

/* `count` reads, `step` bytes apart. */
struct read {
    struct place place;
    uint8_t count, step;
};

/* A store before the block reads `word`, which is taken from memory at its start: only right if it does not write there. */
struct guard {
    struct place place;
    uint16_t bytes;
    uint8_t word;
};

/* What an instruction does, as far as addresses depend on it. Registers are READS_NONE where there is none. */
struct effect {
    uint8_t bytes;
    uint8_t count, step;            /* of data reads; 0: it reads nothing */
    uint16_t stored;                /* bytes that it writes; 0: none */
    uint8_t sources[2];             /* registers that are the words written, if these are all */
    uint8_t base, index, shift;     /* where from, or where to */
    uint8_t word, second;           /* registers that get the one word read, and the one behind it */
    int32_t offset;
    uint8_t moved;                  /* register that changes by `by` after that */
    int32_t by;
    uint16_t lost;                  /* registers whose values are not followed */
    uint8_t set, from, plus, times; /* set = from + (plus << times) + constant, or from + plus * by_register */
    uint8_t minus, by_register;     /* whether plus is subtracted instead */
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
    struct place words[READS_WORDS]; /* each may depend on those before it */
    struct guard guards[READS_GUARDS];
    uint32_t word_count, guard_count;
    uint16_t used; /* registers, one bit each */
    uint8_t it;    /* IT state at its end: DDI 0403, A7.3.3 */
};

/* What the reads are worked out from. `flash`: what constants are read from; `must_wait`: whether the read of an instruction has
 * to be met on the way, asked with its address; `follow_words`: whether memory may be asked at the start of the block. */
struct reads_code {
    const uint8_t *bytes, *flash;
    uint32_t address, size, flash_start, flash_bytes;
    uint8_t it, follow_words;
    int (*must_wait)(void *state, uint32_t address);
    void *state;
};

struct effect reads_effect(const uint8_t *code, uint32_t address);
void reads_plan(struct reads *reads, const struct reads_code *code);

#endif
