/* memory.h: what the flash and its cache make the core wait, as the timing model's blocks arrive. memory.py holds the same
 * algorithm in Python and says what it assumes. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdint.h>

enum {
    MEMORY_WORDS = 8,     /* a power of two; more than the core fetches ahead */
    MEMORY_LINES = 1024,  /* of the largest cache */
    MEMORY_DATA_LINES = 8,
};

/* memory.MemorySystem, field by field. */
struct memory_system {
    uint32_t flash_start, flash_bytes;
    uint32_t line_bytes, cache_bytes, ways; /* powers of two, the ways excepted */
    uint32_t miss, miss_next;
    uint32_t queue;
    uint32_t data_line, data_again, data_lines;
};

/* Of one instruction inside straight-line code. */
struct memory_step {
    uint8_t cycles, bytes;
};

/* What straight-line code costs that a branch leads to, when nothing waits: worked out once, because most code runs so. Times
 * count from its first cycle. */
struct memory_pass {
    uint32_t words; /* that are fetched; 0: not worked out yet */
    uint32_t cycles, bus, queue;
    uint32_t ready[MEMORY_WORDS], taken[MEMORY_WORDS];
};

/* Where fetching stands when straight-line code is fallen into, as far as it matters and counted from there: times by which words
 * are late, and by which they were executed after the bus was free. */
struct memory_state {
    int32_t bus;
    uint32_t next, queue;
    uint32_t ready[MEMORY_WORDS], taken[MEMORY_WORDS];
};

/* What the code costs then, when nothing waits. Bits of `fetched` and `executed` tell which words are new. */
struct memory_fall {
    struct memory_state before;
    uint32_t words, cycles;
    uint32_t fetched, executed;
    int32_t bus, ready[MEMORY_WORDS], taken[MEMORY_WORDS]; /* the bus may have been early */
};

enum { MEMORY_FALLS = 8 };

/* The states in which the code was met last. */
struct memory_falls {
    struct memory_fall all[MEMORY_FALLS];
    uint32_t count; /* that were ever worked out */
};

/* Another layout of the same code: function n, of those that `order` counts, lies n * `stride` cache lines further on. `order`
 * has an entry for each word of the flash; NULL: the layout that was linked. */
struct memory_layout {
    const uint16_t *order;
    uint32_t stride;
};

struct memory {
    struct memory_system system;
    struct memory_layout layout;
    uint32_t moved; /* lines, of the function that runs */
    int cached;
    uint32_t line_shift, set_mask, ways;      /* of the cache, or of the one line that is left while it is off */
    uint64_t now, bus;                        /* cycles: of the core; when the instruction bus is free */
    uint64_t ready[MEMORY_WORDS], taken[MEMORY_WORDS]; /* when a fetched word was there, and when it was executed */
    uint64_t hits, misses;                    /* of fetched words */
    uint32_t next, missed;                    /* the next word's address to fetch; the line of the last miss */
    uint32_t tags[MEMORY_LINES];              /* of each set its lines, the one used last first */
    uint32_t data[MEMORY_DATA_LINES];         /* the same of the lines that data were read from */
};

/* Empties everything; time goes on. */
void memory_reset(struct memory *m, int cached);
void memory_init(struct memory *m, const struct memory_system *system);
/* Begins as a copy of `of`, with empty caches. */
void memory_moved(struct memory *m, const struct memory *of, const struct memory_layout *layout);
/* Straight-line code of `count` instructions at `address`; `pass` belongs to it. */
struct memory_code {
    uint32_t address, count;
    uint32_t cycles; /* of all its steps */
    const struct memory_step *steps;
    struct memory_pass *pass;
    struct memory_falls *falls; /* NULL: nothing is kept */
};

/* The core runs it. `extra` cycles go before it: those of the branch that `jumped` here, or of the pair at the seam. */
void memory_block(struct memory *m, const struct memory_code *code, int extra, int jumped);
/* The core reads data there, by an instruction of the last block. */
void memory_read(struct memory *m, uint32_t address);

#endif
