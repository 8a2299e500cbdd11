/* false_accept.c: damaged frames into the real receive path (main.c, wire.c): none may be taken for a frame that was not sent.
 *
 *   false_accept run FRAMES SEED [KIND]    one row of figures for each kind of damage
 *   false_accept dump FRAMES SEED [KIND]   the same cases as bytes, for another receiver: u8 kind, then frame a, frame b, the
 *                                          frame that follows and what arrived, each a u32 length and its bytes
 *
 * The damaged frame is followed at once by a good one (a HELLO), then after a silence by another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../app/commands.h"
#include "../app/wire.h"
#include "../tests/check.h"
#include "corrupt.h"
#include "line.h"

enum { NO_FRAME = 0xFF, SENT = 3 };

static struct {
    uint64_t frames, refused, silent, whole, wrong, in_step_at_once, in_step;
} figures[CORRUPT_KINDS + 1];

static struct {
    uint64_t frames, seed, index;
    int only; /* this kind; -1: all that count */
    int after_silence;
    uint16_t sequence;
    corruption c;
    corrupt_frame hello;
} job;

const uint8_t app_build_id[16] = {0};

void app_init(void)
{
}

static int same(const corrupt_frame *frame, uint8_t type, const uint8_t *payload, uint32_t n)
{
    return frame->header.type == type && frame->header.length == n && memcmp(frame->bytes + WIRE_HEADER_BYTES, payload, n) == 0;
}

static const corrupt_frame *const sent[SENT] = {&job.c.a, &job.c.b, &job.hello};

/* Instead of commands.c: its reply says which of the sent frames this is. */
wire_status app_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    *reply = NO_FRAME;
    *reply_bytes = 1;
    for (int i = SENT; i--;)
        if (same(sent[i], type, payload, n))
            *reply = (uint8_t)(*reply == NO_FRAME ? 1 << i : *reply | 1 << i);
    return WIRE_STATUS_OK;
}

static int is_of(const wire_header *reply, const corrupt_frame *frame)
{
    return reply->type == (frame->header.type | WIRE_REPLY_BIT) && reply->sequence == frame->header.sequence;
}

/* Each would mean that the board believes in a version, type or length that no sent frame has. */
static int impossible(uint16_t status)
{
    return status == WIRE_STATUS_BAD_VERSION || status == WIRE_STATUS_BAD_TYPE || status == WIRE_STATUS_BAD_LENGTH;
}

/* Which sent frame a reply belongs to; SENT: none, so the board took something for a frame that was not sent. */
static int origin(const wire_header *reply, const uint8_t *payload)
{
    for (int i = 0; i < SENT; i++)
        if (is_of(reply, sent[i]) && !impossible(reply->status)
            && (reply->status != WIRE_STATUS_OK || (*payload != NO_FRAME && *payload >> i & 1)))
            return i;
    return SENT;
}

static void count(const uint8_t *bytes, uint32_t n)
{
    int refused = 0, whole = 0, wrong = 0, hello = 0;
    for (uint32_t at = 0; at < n;) {
        wire_header reply;
        CHECK(wire_get_header(bytes + at, &reply) == WIRE_OK);
        int from = origin(&reply, bytes + at + WIRE_HEADER_BYTES);
        wrong += from == SENT || (job.c.kind == CORRUPT_KINDS && from == 1);
        refused += reply.status == WIRE_STATUS_BAD_CRC;
        hello += from == SENT - 1 && reply.status == WIRE_STATUS_OK;
        whole += from < SENT - 1 && reply.status == WIRE_STATUS_OK;
        at += WIRE_HEADER_BYTES + reply.length + WIRE_CRC_BYTES;
    }
    if (job.after_silence) {
        figures[job.c.kind].in_step += hello == 1 && n == WIRE_HEADER_BYTES + 1 + WIRE_CRC_BYTES;
        return;
    }
    figures[job.c.kind].frames++;
    figures[job.c.kind].wrong += wrong > 0;
    figures[job.c.kind].whole += !wrong && whole > 0;
    figures[job.c.kind].refused += !wrong && !whole && refused > 0;
    figures[job.c.kind].silent += !wrong && !whole && !refused;
    figures[job.c.kind].in_step_at_once += hello > 0;
}

static void next_hello(void)
{
    job.hello.header = (wire_header){.version = WIRE_VERSION, .type = WIRE_HELLO, .sequence = job.sequence++};
    job.hello.n = wire_seal(job.hello.bytes, &job.hello.header);
}

static void next_case(void)
{
    uint32_t kind = job.only >= 0 ? (uint32_t)job.only : (uint32_t)(job.index % CORRUPT_KINDS);
    corrupt_make(&job.c, job.seed, job.index++, kind, job.sequence);
    job.sequence += 2;
    next_hello();
    memcpy(job.c.line + job.c.n, job.hello.bytes, job.hello.n);
    job.c.n += job.hello.n;
}

static line_burst feed(const uint8_t *bytes, uint32_t n)
{
    if (job.index)
        count(bytes, n);
    job.after_silence = !job.after_silence;
    if (job.after_silence) {
        next_hello();
        return (line_burst){job.hello.bytes, job.hello.n};
    }
    if (job.index == job.frames)
        return (line_burst){0, 0};
    next_case();
    return (line_burst){job.c.line, job.c.n};
}

static void print_figures(void)
{
    for (uint32_t kind = 0; kind <= CORRUPT_KINDS; kind++)
        if (figures[kind].frames)
            printf("%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", corrupt_names[kind],
                   (unsigned long long)figures[kind].frames, (unsigned long long)figures[kind].silent,
                   (unsigned long long)figures[kind].refused, (unsigned long long)figures[kind].whole,
                   (unsigned long long)figures[kind].in_step_at_once, (unsigned long long)figures[kind].in_step,
                   (unsigned long long)figures[kind].wrong);
}

static void dump_bytes(const void *bytes, uint32_t n)
{
    uint8_t length[4];
    wire_put_u32(length, n);
    fwrite(length, 1, sizeof length, stdout);
    fwrite(bytes, 1, n, stdout);
}

static void dump(void)
{
    while (job.index < job.frames) {
        next_hello(); /* keeps the numbers those of `run` */
        next_case();
        putchar((int)job.c.kind);
        dump_bytes(job.c.a.bytes, job.c.a.n);
        dump_bytes(job.c.b.bytes, job.c.b.n);
        dump_bytes(job.hello.bytes, job.hello.n);
        dump_bytes(job.c.line, job.c.n);
    }
}

int main(int count_, char **arguments)
{
    CHECK(count_ == 4 || count_ == 5);
    job.frames = strtoull(arguments[2], 0, 10);
    job.seed = strtoull(arguments[3], 0, 10);
    job.only = count_ == 5 ? atoi(arguments[4]) : -1;
    CHECK(job.only <= CORRUPT_KINDS);
    if (strcmp(arguments[1], "dump") == 0) {
        dump();
        return 0;
    }
    line_run(feed);
    print_figures();
    return 0;
}
