/* mutator.c: changes lines the way a line's user can see them: a request's fields and payload, their order, silences,
 * repetitions. CRCs are repaired most of the time, else next to nothing would get past them. */
#include <string.h>

#include "../app/wire.h"
#include "../nn/engine.h"
#include "input.h"

enum { BURSTS = 24, BURST_ROOM = 2 * (WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES) };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

typedef struct {
    int twice;
    uint32_t n;
    uint8_t bytes[BURST_ROOM];
} burst;

static burst line[BURSTS];
static uint32_t bursts;
static uint32_t state;

static uint32_t below(uint32_t limit)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return limit ? state % limit : 0;
}

static void load(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    for (bursts = 0; data < end && bursts < BURSTS; bursts++) {
        line_burst from;
        data = input_take(data, end, &from, &line[bursts].twice);
        line[bursts].n = from.n < BURST_ROOM ? from.n : BURST_ROOM;
        memcpy(line[bursts].bytes, from.bytes, line[bursts].n);
    }
}

static size_t store(uint8_t *data, size_t max)
{
    uint8_t *p = data;
    for (uint32_t i = 0; i < bursts && (size_t)(p - data) + INPUT_HEAD_BYTES + line[i].n <= max; i++) {
        p = wire_put_u16(p, (uint16_t)(line[i].n | (line[i].twice ? INPUT_TWICE : 0)));
        p = wire_put_bytes(p, line[i].bytes, line[i].n);
    }
    return (size_t)(p - data);
}

/* Opens (or closes, if negative) a gap; what leaves the burst at its end is lost. Returns 0 if there is no room. */
static int shift(burst *b, uint32_t at, int32_t by)
{
    if (b->n + (uint32_t)by > BURST_ROOM)
        return 0;
    uint32_t from = by < 0 ? at - (uint32_t)by : at;
    memmove(b->bytes + from + by, b->bytes + from, b->n - from);
    b->n += (uint32_t)by;
    return 1;
}

static const uint8_t types[] = {WIRE_HELLO, WIRE_RUN, WIRE_RUN, WIRE_RUN, WIRE_READ, WIRE_READ, WIRE_ECHO, WIRE_REBOOT};
enum { TYPES = sizeof types };

/* Near the borders that the firmware checks. */
static uint32_t border(void)
{
    uint32_t values[] = {0,
                         WIRE_MAX_PAYLOAD,
                         UINT32_MAX,
                         1u << 31,
                         1u << below(32),
                         engine.inputs[below(engine.input_count)].bytes,
                         engine.outputs[below(engine.output_count)].bytes};
    return values[below(sizeof values / sizeof *values)] + below(5) - 2;
}

static uint32_t random_payload(uint8_t *payload)
{
    uint32_t n = below(4) ? below(40) : below(WIRE_MAX_PAYLOAD + 1);
    for (uint32_t i = 0; i < n; i++)
        payload[i] = (uint8_t)below(256);
    if (n >= WIRE_READ_BYTES) {
        payload[0] = (uint8_t)below(5);
        payload[1] = (uint8_t)below(8);
        wire_put_u32(payload + 4, border());
        wire_put_u32(payload + 8, border());
    }
    return below(4) || n < WIRE_READ_BYTES ? n : WIRE_READ_BYTES;
}

static uint32_t new_frame(uint8_t *frame)
{
    static uint16_t sequence;
    sequence += (uint16_t)below(3);
    wire_header header = {.version = WIRE_VERSION, .type = types[below(TYPES)], .sequence = sequence};
    if (!below(8))
        header.type = (uint8_t)below(16);
    if (header.type != WIRE_HELLO)
        header.length = random_payload(frame + WIRE_HEADER_BYTES);
    return wire_seal(frame, &header);
}

static void change_header(wire_header *header)
{
    switch (below(4)) {
    case 0:
        header->type = types[below(TYPES)];
        break;
    case 1:
        header->sequence += (uint16_t)(below(5) - 2);
        break;
    case 2:
        header->version ^= (uint8_t)(1 << below(8));
        break;
    default:
        header->status ^= (uint16_t)below(9);
    }
}

/* Where a frame seems to begin, its CRCs good or not; b->n: nowhere. */
static uint32_t some_frame(const burst *b)
{
    uint32_t start = below(b->n), at = start + wire_find_magic(b->bytes + start, b->n - start);
    return at < b->n ? at : wire_find_magic(b->bytes, b->n);
}

/* Changes one frame's header or payload and seals it again; one in 16 is left with a wrong bit. */
static void change_frame(burst *b)
{
    static uint8_t frame[WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES];
    uint32_t at = some_frame(b), left = b->n - at, n;
    if (left < WIRE_HEADER_BYTES + WIRE_CRC_BYTES)
        return;
    const uint8_t *h = b->bytes + at;
    wire_header header = {h[2], h[3], wire_get_u16(h + 4), wire_get_u16(h + 6), wire_get_u32(h + 8)};
    left -= WIRE_HEADER_BYTES + WIRE_CRC_BYTES;
    n = header.length < left ? header.length : left;
    n = n < WIRE_MAX_PAYLOAD ? n : WIRE_MAX_PAYLOAD;
    memcpy(frame + WIRE_HEADER_BYTES, h + WIRE_HEADER_BYTES, header.length = n);
    if (below(3) == 0)
        change_header(&header);
    else if (below(4) == 0 && n >= WIRE_READ_BYTES)
        wire_put_u32(frame + WIRE_HEADER_BYTES + 4 * below(WIRE_READ_BYTES / 4), border());
    else
        header.length = (uint32_t)LLVMFuzzerMutate(frame + WIRE_HEADER_BYTES, n, WIRE_MAX_PAYLOAD);
    if (!shift(b, at, (int32_t)(header.length - n)))
        return;
    uint32_t bytes = wire_seal(frame, &header);
    if (!below(16))
        frame[below(bytes)] ^= (uint8_t)(1 << below(8));
    memcpy(b->bytes + at, frame, bytes);
}

static void insert_frame(burst *b)
{
    static uint8_t frame[WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES];
    uint32_t n = new_frame(frame), at = below(2) ? b->n : below(b->n + 1);
    if (shift(b, at, (int32_t)n))
        memcpy(b->bytes + at, frame, n);
}

/* A copy of burst i takes the place behind burst k. */
static void copy_burst(uint32_t i, uint32_t k)
{
    if (bursts == BURSTS)
        return;
    static burst copy;
    copy = line[i];
    memmove(line + k + 2, line + k + 1, (bursts - k - 1) * sizeof *line);
    line[k + 1] = copy;
    bursts++;
}

/* A silence in the midst of burst i. */
static void split(uint32_t i)
{
    if (bursts == BURSTS)
        return;
    copy_burst(i, i);
    line[i].n = below(line[i].n + 1);
    shift(&line[i + 1], 0, -(int32_t)line[i].n);
}

static void drop_burst(uint32_t i)
{
    memmove(line + i, line + i + 1, (bursts - i - 1) * sizeof *line);
    bursts--;
}

static void begin_burst(void)
{
    if (bursts == BURSTS)
        return;
    line[bursts].n = line[bursts].twice = 0;
    insert_frame(&line[bursts++]);
}

static void mutate(void)
{
    uint32_t i = below(bursts);
    switch (below(12)) {
    case 0:
        begin_burst();
        break;
    case 1:
        insert_frame(&line[i]);
        break;
    case 2:
        copy_burst(i, below(bursts));
        break;
    case 3:
        split(i);
        break;
    case 4:
        line[i].twice ^= 1;
        break;
    case 5:
        if (bursts > 1)
            drop_burst(i);
        break;
    case 6:
        line[i].n = (uint32_t)LLVMFuzzerMutate(line[i].bytes, line[i].n, BURST_ROOM);
        break;
    default:
        change_frame(&line[i]);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
    state = seed | 1;
    below(1);
    if (!below(16))
        return LLVMFuzzerMutate(data, size, max);
    load(data, size);
    if (!bursts)
        begin_burst();
    for (uint32_t times = 1 + below(3); times; times--)
        mutate();
    return store(data, max);
}
