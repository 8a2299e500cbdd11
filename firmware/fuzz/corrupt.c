/* corrupt.c: see corrupt.h. */
#include "corrupt.h"

#include <string.h>

enum { SHORT = 64, LONG_ONE_IN = 64 };

static uint64_t state;

/* SplitMix64 (Steele, Lea and Flood 2014, public domain). */
static uint32_t random32(void)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

static uint32_t below(uint32_t limit)
{
    return limit ? (uint32_t)((uint64_t)random32() * limit >> 32) : 0;
}

static void fill(uint8_t *to, uint32_t n)
{
    uint32_t style = below(4);
    for (uint32_t i = 0; i < n; i++) /* noise, a constant, a ramp, magics */
        to[i] = style == 0   ? (uint8_t)random32()
                : style == 1 ? 0x80
                : style == 2 ? (uint8_t)i
                : i & 1      ? WIRE_MAGIC_1
                             : WIRE_MAGIC_0;
}

static void make_frame(corrupt_frame *f, uint16_t sequence, uint32_t length)
{
    static const uint8_t types[] = {WIRE_RUN, WIRE_READ, WIRE_ECHO};
    f->header = (wire_header){.version = WIRE_VERSION, .type = types[below(3)], .sequence = sequence, .length = length};
    fill(f->bytes + WIRE_HEADER_BYTES, length);
    f->n = wire_seal(f->bytes, &f->header);
}

/* Replaces `old` bytes at `at` by `new` from `from`. */
static void replace(corruption *c, uint32_t at, uint32_t old, const uint8_t *from, uint32_t new)
{
    memmove(c->line + at + new, c->line + at + old, c->n - at - old);
    if (new)
        memcpy(c->line + at, from, new);
    c->n = c->n - old + new;
}

static void flip(corruption *c)
{
    for (uint32_t bits = 1 + below(8); bits; bits--) {
        uint32_t bit = below(8 * c->n);
        c->line[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void burst(corruption *c)
{
    uint32_t bits = 2 + below(31), first = below(8 * c->n - bits + 1);
    for (uint32_t bit = first; bit < first + bits; bit++)
        c->line[bit / 8] ^= (uint8_t)((random32() >> 31) << bit % 8);
}

static void noise(corruption *c)
{
    uint32_t n = 2 + below(c->n - 2 < SHORT ? c->n - 2 : SHORT), at = below(c->n - n + 1);
    for (uint32_t i = at; i < at + n; i++)
        c->line[i] = (uint8_t)random32();
}

static void drop(corruption *c)
{
    for (uint32_t times = 1 + below(4); times; times--)
        replace(c, below(c->n), 1, 0, 0);
}

static void insert(corruption *c)
{
    for (uint32_t times = 1 + below(4); times; times--) {
        uint8_t byte = (uint8_t)random32();
        replace(c, below(c->n + 1), 0, &byte, 1);
    }
}

static void duplicate(corruption *c)
{
    uint8_t copy[8];
    uint32_t n = 1 + below(sizeof copy), at = below(c->n - n + 1);
    memcpy(copy, c->line + at, n);
    replace(c, at + n, 0, copy, n);
}

static void cut(corruption *c)
{
    c->n = 1 + below(c->n - 1);
}

static void splice(corruption *c)
{
    uint32_t from = below(c->b.n);
    c->n = 1 + below(c->a.n);
    replace(c, c->n, 0, c->b.bytes + from, c->b.n - from);
}

/* b is as long as a. */
static void swap(corruption *c)
{
    replace(c, WIRE_HEADER_BYTES, c->n - WIRE_HEADER_BYTES, c->b.bytes + WIRE_HEADER_BYTES, c->b.n - WIRE_HEADER_BYTES);
}

static void (*const damages[])(corruption *) = {flip, burst, noise, drop, insert, duplicate, cut, splice, swap};
enum { SWAP = 8, MIXED = 9, NESTED = CORRUPT_KINDS };

const char *const corrupt_names[CORRUPT_KINDS + 1] = {
    "1 to 8 bits flipped",
    "burst of 2 to 32 bits",
    "2 to 65 bytes of noise",
    "1 to 4 bytes dropped",
    "1 to 4 bytes inserted",
    "1 to 8 bytes repeated",
    "end cut off",
    "two frames spliced",
    "header and rest swapped",
    "2 to 4 of these at once",
    "a whole frame inside",
};

static void mixed(corruption *c)
{
    for (uint32_t times = 2 + below(3); times; times--)
        if (c->n > 8)
            damages[below(6)](c); /* not those that begin again with whole frames */
}

/* b as a part of a's payload, a's header damaged. */
static void nested(corruption *c)
{
    uint32_t room = c->a.header.length - c->b.n;
    memcpy(c->a.bytes + WIRE_HEADER_BYTES + below(room + 1), c->b.bytes, c->b.n);
    c->a.n = wire_seal(c->a.bytes, &c->a.header);
    memcpy(c->line, c->a.bytes, c->n = c->a.n);
    c->line[below(WIRE_HEADER_BYTES)] ^= (uint8_t)(1 + below(255));
}

static void damage(corruption *c)
{
    memcpy(c->line, c->a.bytes, c->n = c->a.n);
    if (c->kind == NESTED)
        nested(c);
    else if (c->kind == MIXED)
        mixed(c);
    else
        damages[c->kind](c);
}

static void make(corruption *c, uint32_t kind, uint16_t sequence)
{
    uint32_t a = below(LONG_ONE_IN) ? below(SHORT + 1) : below(WIRE_MAX_PAYLOAD + 1);
    uint32_t b = kind == SWAP ? a : below(SHORT + 1);
    if (kind == NESTED)
        a = b + CORRUPT_FRAME_ROOM - WIRE_MAX_PAYLOAD + below(SHORT);
    c->kind = kind;
    make_frame(&c->a, sequence, a);
    make_frame(&c->b, (uint16_t)(sequence + 1), b);
    damage(c);
}

void corrupt_make(corruption *c, uint64_t seed, uint64_t index, uint32_t kind, uint16_t sequence)
{
    state = (seed << 40) + index * 0xD1342543DE82EF95u;
    do
        make(c, kind, sequence);
    while (c->n == c->a.n && memcmp(c->line, c->a.bytes, c->n) == 0);
}
