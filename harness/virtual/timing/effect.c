/* effect.c: what one Thumb instruction reads and does to the registers, for reads.c. Encodings: Armv7-M ARM (DDI 0403), A5.
 * An instruction that is not decoded here loses the registers that it may write: too many at worst, never too few. */
#include "reads.h"

enum { SP = 13, LR = 14, PC = 15 };

static uint8_t at(uint32_t word, int bit)
{
    return word >> bit & 15;
}

static uint8_t low(uint32_t word, int bit)
{
    return word >> bit & 7;
}

static void lose(struct effect *e, uint32_t reg)
{
    e->lost |= (uint16_t)(1u << reg);
}

static void assign(struct effect *e, uint8_t set, uint8_t from, uint8_t plus, uint32_t constant)
{
    e->set = set;
    e->from = from;
    e->plus = plus;
    e->constant = constant;
}

static void subtract(struct effect *e, uint8_t set, uint8_t from, uint8_t minus, uint32_t constant)
{
    assign(e, set, from, minus, constant);
    e->minus = 1;
}

static void multiply(struct effect *e, uint8_t set, uint8_t from, uint8_t a, uint8_t b)
{
    assign(e, set, from, a, 0);
    e->by_register = b;
}

static void move(struct effect *e, uint8_t reg, int32_t by)
{
    e->moved = reg;
    e->by = by;
}

static void load(struct effect *e, uint8_t target, uint8_t base, int32_t offset)
{
    e->count = 1;
    e->base = base;
    e->offset = offset;
    lose(e, target);
}

static void store(struct effect *e, uint16_t bytes, uint8_t source, uint8_t base, int32_t offset)
{
    e->stored = bytes;
    e->sources[0] = bytes >= 4 ? source : READS_NONE;
    e->base = base;
    e->offset = offset;
}

static void narrow_arithmetic(struct effect *e, uint32_t w)
{
    if (w < 0x0800) {
        assign(e, low(w, 0), READS_NONE, low(w, 3), 0); /* LSL immediate, MOV */
        e->times = w >> 6 & 31;
    } else if (w < 0x1800) {
        lose(e, low(w, 0));
    } else if ((w & 0xFE00) == 0x1A00) {
        subtract(e, low(w, 0), low(w, 3), low(w, 6), 0);
    } else if (w < 0x1A00) {
        assign(e, low(w, 0), low(w, 3), low(w, 6), 0);
    } else if (w < 0x2000) {
        assign(e, low(w, 0), low(w, 3), READS_NONE, w & 0x200 ? 0u - low(w, 6) : low(w, 6));
    } else if (w < 0x2800) {
        assign(e, low(w, 8), READS_NONE, READS_NONE, w & 255);
    } else if (w >= 0x3000 && w < 0x4000) {
        assign(e, low(w, 8), low(w, 8), READS_NONE, w & 0x800 ? 0u - (w & 255) : w & 255);
    } else if ((w & 0xFFC0) == 0x4240) {
        subtract(e, low(w, 0), READS_NONE, low(w, 3), 0); /* RSB with 0 */
    } else if ((w & 0xFFC0) == 0x4340) {
        multiply(e, low(w, 0), READS_NONE, low(w, 3), low(w, 0));
    } else if (w >= 0x4000 && w < 0x4400) {
        lose(e, low(w, 0));
    } else if (w >= 0x4400) {
        uint8_t d = (uint8_t)(low(w, 0) | (w >> 4 & 8));
        if (at(w, 3) == PC || (w >= 0x4500 && w < 0x4600))
            lose(e, d);
        else if (w < 0x4500)
            assign(e, d, d, at(w, 3), 0);
        else if (w < 0x4700)
            assign(e, d, at(w, 3), READS_NONE, 0);
        else
            lose(e, LR);
    }
}

static void narrow_memory(struct effect *e, uint32_t w)
{
    int32_t imm5 = w >> 6 & 31;
    if (w < 0x5000) {
        load(e, low(w, 8), PC, (int32_t)(w & 255) * 4);
        e->word = low(w, 8);
    } else if (w < 0x6000) {
        static const uint8_t STORED[3] = {4, 2, 1}; /* STR, STRH, STRB */
        uint32_t kind = w >> 9 & 7;
        if (kind < 3)
            store(e, STORED[kind], low(w, 0), low(w, 3), 0);
        else
            load(e, low(w, 0), low(w, 3), 0);
        e->index = low(w, 6);
        if (kind == 4)
            e->word = low(w, 0);
    } else if (w & 0x800) {
        if (w >= 0x9000)
            load(e, low(w, 8), SP, (int32_t)(w & 255) * 4);
        else
            load(e, low(w, 0), low(w, 3), w < 0x7000 ? imm5 * 4 : w < 0x8000 ? imm5 : imm5 * 2);
        if (w < 0x7000)
            e->word = low(w, 0);
        else if (w >= 0x9000)
            e->word = low(w, 8);
    } else if (w >= 0x9000) {
        store(e, 4, low(w, 8), SP, (int32_t)(w & 255) * 4);
    } else {
        store(e, w < 0x7000 ? 4 : w < 0x8000 ? 1 : 2, low(w, 0), low(w, 3), w < 0x7000 ? imm5 * 4 : w < 0x8000 ? imm5 : imm5 * 2);
    }
}

static void many(struct effect *e, uint8_t base, uint32_t list, int loads, int down, int write_back)
{
    int32_t bytes = 4 * __builtin_popcount(list);
    if (loads) {
        e->count = (uint8_t)__builtin_popcount(list);
        e->base = base;
        e->offset = down ? -bytes : 0;
        e->lost |= (uint16_t)list;
    } else {
        store(e, (uint16_t)bytes, READS_NONE, base, down ? -bytes : 0);
    }
    if (write_back && !(loads && (list >> base & 1)))
        move(e, base, down ? -bytes : bytes);
}

static void narrow_rest(struct effect *e, uint32_t w)
{
    if (w < 0xB000)
        assign(e, low(w, 8), w & 0x800 ? SP : PC, READS_NONE, (w & 255) * 4);
    else if ((w & 0xFF00) == 0xB000)
        move(e, SP, (w & 0x80 ? -4 : 4) * (int32_t)(w & 127));
    else if ((w & 0xFE00) == 0xB400)
        many(e, SP, (w & 255) | (w & 256) << 6, 0, 1, 1);
    else if ((w & 0xFE00) == 0xBC00)
        many(e, SP, (w & 255) | (w & 256) << 7, 1, 0, 1);
    else if ((w & 0xFF00) == 0xB200 || (w & 0xFF00) == 0xBA00)
        lose(e, low(w, 0));
    else if (w >= 0xC000 && w < 0xD000)
        many(e, low(w, 8), w & 255, (w & 0x800) != 0, 0, 1);
}

/* Loads and stores of one register, 0xF8000000 to 0xF9FFFFFF. */
static void wide_single(struct effect *e, uint32_t w)
{
    uint8_t base = at(w, 16), target = at(w, 12);
    int loads = (w & 0x00100000) != 0, is_word = (w & 0xFF600000) == 0xF8400000;
    int32_t imm8 = (int32_t)(w & 255) * (w & 0x200 ? 1 : -1);
    if (target == PC && !is_word)
        return; /* a hint */
    int32_t offset = w & 0x00800000 ? (int32_t)(w & 0xFFF) : !(w & 0x800) ? 0 : w & 0x400 ? imm8 : 0;
    if (loads && base == PC) {
        load(e, target, PC, (int32_t)(w & 0xFFF) * (w & 0x00800000 ? 1 : -1));
    } else {
        if (loads)
            load(e, target, base, offset);
        else
            store(e, (uint16_t)(1 << (w >> 21 & 3)), target, base, offset);
        if (!(w & 0x00800800)) {
            e->index = at(w, 0);
            e->shift = w >> 4 & 3;
        }
    }
    if ((w & 0x00800900) == 0x900 && base != PC && !(loads && base == target))
        move(e, base, imm8);
    if (loads && is_word && target != PC)
        e->word = target;
}

/* Several registers, two, exclusive, table branches: 0xE8000000 to 0xE9FFFFFF. */
static void wide_many(struct effect *e, uint32_t w)
{
    uint8_t base = at(w, 16);
    int loads = (w & 0x00100000) != 0;
    if (!(w & 0x00400000)) {
        many(e, base, w & 0xFFFF, loads, (w & 0x01000000) != 0, (w & 0x00200000) != 0);
    } else if (w & 0x01200000) {
        int32_t imm = (int32_t)(w & 255) * (w & 0x00800000 ? 4 : -4);
        if (loads) {
            load(e, at(w, 12), base, w & 0x01000000 ? imm : 0);
            lose(e, at(w, 8));
            e->count = 2;
            e->word = at(w, 12);
            e->second = at(w, 8);
        } else {
            store(e, 8, at(w, 12), base, w & 0x01000000 ? imm : 0);
            e->sources[1] = at(w, 8);
        }
        if (w & 0x00200000)
            move(e, base, imm);
    } else if ((w & 0xFFF000E0) == 0xE8D00000) {
        load(e, PC, base, base == PC ? 2 : 0); /* TBB, TBH: from PC, which is not rounded down */
        e->index = at(w, 0);
        e->shift = w >> 4 & 1;
    } else {
        int32_t offset = (w & 0xFFE00000) == 0xE8400000 ? (int32_t)(w & 255) * 4 : 0;
        if (loads)
            load(e, at(w, 12), base, offset);
        else
            store(e, 4, READS_NONE, base, offset);
        e->lost |= (uint16_t)(1u << at(w, 8) | 1u << at(w, 0));
    }
}

/* 0xEC000000 to 0xEFFFFFFF: the FPU. Registers D are read as one double word. */
static void coprocessor(struct effect *e, uint32_t w)
{
    uint8_t base = at(w, 16);
    int loads = (w & 0x00100000) != 0, doubles = (w & 0x100) != 0;
    int32_t imm = (int32_t)(w & 255) * 4;
    if ((w & 0xFF000000) == 0xEE000000) {
        if (loads && (w & 0x10))
            lose(e, at(w, 12));
        return;
    }
    if ((w & 0xFFE00000) == 0xEC400000) {
        if (loads)
            e->lost |= (uint16_t)(1u << at(w, 12) | 1u << base);
        return;
    }
    int single = (w & 0x01200000) == 0x01000000, down = !(w & 0x00800000);
    int32_t offset = down ? -imm : single ? imm : 0;
    if (loads) {
        e->base = base;
        e->count = (uint8_t)(single ? 1 : (w & 255) >> doubles);
        e->step = doubles ? 8 : 4;
        e->offset = offset;
    } else {
        store(e, (uint16_t)(single ? 4 << doubles : imm), READS_NONE, base, offset);
    }
    if (!single && (w & 0x00200000))
        move(e, base, down ? -imm : imm);
}

/* DDI 0403, A5.3.2: ThumbExpandImm. */
static uint32_t expanded(uint32_t w)
{
    uint32_t code = (w >> 26 & 1) << 11 | (w >> 12 & 7) << 8 | (w & 255), b = w & 255;
    if (code >> 10)
        return (0x80 | (code & 127)) >> (code >> 7) | (0x80 | (code & 127)) << (32 - (code >> 7));
    switch (code >> 8) {
    case 0: return b;
    case 1: return b << 16 | b;
    case 2: return b << 24 | b << 8;
    default: return b << 24 | b << 16 | b << 8 | b;
    }
}

static void wide_arithmetic(struct effect *e, uint32_t w)
{
    uint8_t d = at(w, 8), n = at(w, 16);
    uint32_t imm12 = (w >> 26 & 1) << 11 | (w >> 12 & 7) << 8 | (w & 255);
    int immediate = (w & 0xF8008000) == 0xF0000000;
    uint32_t op = immediate ? w & 0xFBE00000 : 0;
    if (op == 0xF1000000 && d != PC)
        assign(e, d, n, READS_NONE, expanded(w));
    else if (op == 0xF1A00000 && d != PC)
        assign(e, d, n, READS_NONE, 0u - expanded(w));
    else if (op == 0xF1C00000)
        subtract(e, d, READS_NONE, n, expanded(w));
    else if (op == 0xF2000000)
        assign(e, d, n, READS_NONE, imm12);
    else if (op == 0xF2A00000)
        assign(e, d, n, READS_NONE, 0u - imm12);
    else if (op == 0xF0400000 && n == PC)
        assign(e, d, READS_NONE, READS_NONE, expanded(w));
    else if (op == 0xF2400000)
        assign(e, d, READS_NONE, READS_NONE, (uint32_t)n << 12 | imm12);
    else if ((w & 0xFFE00030) == 0xEB000000 || (w & 0xFFEF0030) == 0xEA4F0000) {
        assign(e, d, w & 0x01000000 ? n : READS_NONE, at(w, 0), 0); /* ADD and MOV, LSL */
        e->times = (uint8_t)((w >> 12 & 7) << 2 | (w >> 6 & 3));
    } else if ((w & 0xFFE00030) == 0xEBA00000 && d != PC) {
        subtract(e, d, n, at(w, 0), 0);
        e->times = (uint8_t)((w >> 12 & 7) << 2 | (w >> 6 & 3));
    } else if ((w & 0xFFF000E0) == 0xFB000000) {
        multiply(e, d, at(w, 12) == PC ? READS_NONE : at(w, 12), n, at(w, 0)); /* MUL, MLA, MLS */
        e->minus = w >> 4 & 1;
    } else if ((w & 0xF8008000) != 0xF0008000 || (w & 0xFFFFF000) == 0xF3EF8000) {
        lose(e, d);
    } else {
        lose(e, LR);
    }
    if ((w & 0xFF800000) == 0xFB800000)
        lose(e, at(w, 12));
}

/* The instruction at `code`, which the chip has at `address`. PC stands for the address that an instruction sees, rounded down. */
struct effect reads_effect(const uint8_t *code, uint32_t address)
{
    struct effect e = {.bytes = 2, .step = 4, .sources = {READS_NONE, READS_NONE}, .base = READS_NONE, .index = READS_NONE, .word = READS_NONE,
        .second = READS_NONE, .moved = READS_NONE, .set = READS_NONE, .from = READS_NONE, .plus = READS_NONE, .by_register = READS_NONE};
    uint32_t w = (uint32_t)code[0] | (uint32_t)code[1] << 8;
    if (w >> 11 < 0x1D) {
        if (w < 0x4800)
            narrow_arithmetic(&e, w);
        else if (w < 0xA000)
            narrow_memory(&e, w);
        else
            narrow_rest(&e, w);
        return e;
    }
    w = w << 16 | (uint32_t)code[2] | (uint32_t)code[3] << 8;
    e.bytes = 4;
    if ((w & 0xFE000000) == 0xE8000000)
        wide_many(&e, w);
    else if ((w & 0xFC000000) == 0xEC000000)
        coprocessor(&e, w);
    else if ((w & 0xFE000000) == 0xF8000000)
        wide_single(&e, w);
    else
        wide_arithmetic(&e, w);
    if ((w & 0xFFFF00E0) == 0xE8DF0000 && !(address & 2))
        e.offset = 0;
    return e;
}
