/* fuzz_loop.c: the whole command loop (main.c, commands.c, measure.c, wire.c) on arbitrary lines. README.md lists the
 * invariants, input.h has the input's form. */
#include <string.h>

#include "../app/commands.h"
#include "../app/wire.h"
#include "../tests/check.h"
#include "guarded.h"
#include "input.h"
#include "line.h"

enum { MAX_HEARD = 2048, MAX_REPLY = WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES, LAST_SEQUENCE = 0x7A31 };

const uint8_t app_build_id[16] = {1};

/* What a receiver that follows WIRE.md to the letter makes of a burst. */
typedef struct {
    wire_header header;
    int good; /* it is whole, fits the board and its payload is undamaged */
} heard_frame;

static struct {
    heard_frame frames[MAX_HEARD];
    uint32_t count;
    int alone; /* the burst is one frame and nothing else */
    int may_write, may_reset;
} heard;

static struct {
    const uint8_t *input, *end;
    line_burst burst;
    int again;     /* the burst is to be sent a second time */
    int repeating; /* the burst under way is that second time */
    uint32_t tensors, resets;
    uint8_t first[MAX_REPLY]; /* reply to the first time */
    uint32_t first_bytes;
    int epilogue;
} run;

/* WIRE.md's rule for the second CRC, without wire.c's function for it. */
static int undamaged(const uint8_t *frame, uint32_t length)
{
    uint32_t crc = wire_crc32(0, frame, WIRE_HEADER_BYTES - WIRE_CRC_BYTES);
    return wire_get_u32(frame + WIRE_HEADER_BYTES + length) == wire_crc32(crc, frame + WIRE_HEADER_BYTES, length);
}

static void note(const wire_header *header, const uint8_t *frame, int whole)
{
    int good = whole && header->length <= WIRE_MAX_PAYLOAD && undamaged(frame, header->length);
    CHECK(heard.count < MAX_HEARD);
    heard.frames[heard.count++] = (heard_frame){*header, good};
    heard.may_write |= good && header->type == WIRE_RUN;
    heard.may_reset |= good && header->type == WIRE_REBOOT;
}

static void hear(line_burst burst)
{
    uint32_t at = 0;
    wire_header header;
    heard.count = 0, heard.may_write = heard.may_reset = 0;
    while (burst.n - at >= WIRE_HEADER_BYTES) {
        if (wire_get_header(burst.bytes + at, &header) != WIRE_OK) {
            at++;
            continue;
        }
        int whole = (uint64_t)WIRE_HEADER_BYTES + header.length + WIRE_CRC_BYTES <= burst.n - at;
        note(&header, burst.bytes + at, whole);
        if (!whole)
            break; /* silence ends it; the board may say so */
        at += WIRE_HEADER_BYTES + header.length + WIRE_CRC_BYTES;
    }
    heard.alone = heard.count == 1 && burst.n == WIRE_HEADER_BYTES + heard.frames[0].header.length + WIRE_CRC_BYTES;
}

/* One whole valid reply at the front of what was sent; returns its length. */
static uint32_t take_reply(const uint8_t *sent, uint32_t n, wire_header *reply)
{
    CHECK(n >= WIRE_HEADER_BYTES && wire_get_header(sent, reply) == WIRE_OK);
    CHECK(reply->version == WIRE_VERSION && (reply->type & WIRE_REPLY_BIT));
    CHECK(reply->length <= WIRE_MAX_PAYLOAD && n >= WIRE_HEADER_BYTES + reply->length + WIRE_CRC_BYTES);
    CHECK(undamaged(sent, reply->length));
    return WIRE_HEADER_BYTES + reply->length + WIRE_CRC_BYTES;
}

static int answers(const wire_header *reply, const heard_frame *frame)
{
    return reply->type == (frame->header.type | WIRE_REPLY_BIT) && reply->sequence == frame->header.sequence;
}

/* HELLO is answered whatever happened; another frame may be passed over, so that a rule about old requests fits in. */
static void pass_over(const heard_frame *frame)
{
    CHECK(!(frame->good && frame->header.type == WIRE_HELLO));
}

static void check_replies(const uint8_t *sent, uint32_t n)
{
    const heard_frame *frame = heard.frames, *end = frame + heard.count;
    for (uint32_t at = 0; at < n; frame++) {
        wire_header reply = {0};
        at += take_reply(sent + at, n - at, &reply);
        while (frame < end && !answers(&reply, frame))
            pass_over(frame++);
        CHECK(frame < end); /* else a reply to something that was never asked */
        CHECK(frame->good ? reply.status != WIRE_STATUS_BAD_CRC : reply.status != WIRE_STATUS_OK);
    }
    while (frame < end)
        pass_over(frame++);
}

static void check_tensors(void)
{
    uint32_t tensors = guarded_tensors();
    if (!heard.may_write && run.resets == line_resets())
        CHECK(tensors == run.tensors);
    CHECK(heard.may_reset || run.resets == line_resets());
    run.tensors = tensors;
    run.resets = line_resets();
}

/* The second time the board says the same and does nothing. HELLO starts again each time, as does a board that was reset. */
static void check_repetition(const uint8_t *sent, uint32_t n, uint32_t tensors_before)
{
    if (!run.repeating || !heard.alone || heard.frames[0].header.type == WIRE_HELLO || heard.may_reset)
        return;
    CHECK(n == run.first_bytes && memcmp(sent, run.first, n) == 0);
    CHECK(run.tensors == tensors_before);
}

static void check(const uint8_t *sent, uint32_t n)
{
    uint32_t tensors_before = run.tensors;
    check_replies(sent, n);
    check_tensors();
    check_repetition(sent, n, tensors_before);
    run.first_bytes = n;
    if (n <= sizeof run.first)
        memcpy(run.first, sent, n);
}

static line_burst request(uint8_t type, uint16_t sequence, uint32_t length, int damage)
{
    static uint8_t frame[WIRE_HEADER_BYTES + 16 + WIRE_CRC_BYTES];
    wire_header header = {.version = WIRE_VERSION, .type = type, .sequence = sequence, .length = length};
    memset(frame + WIRE_HEADER_BYTES, WIRE_MAGIC_0, length);
    uint32_t n = wire_seal(frame, &header);
    frame[n - 1] ^= (uint8_t)damage;
    return (line_burst){frame, n};
}

static void expect(const uint8_t *sent, uint32_t n, wire_status status)
{
    wire_header reply = {0};
    CHECK(take_reply(sent, n, &reply) == n && reply.status == status);
}

/* After any line whatever the board answers a HELLO, then an ECHO, repeats it, refuses it damaged and still repeats it. */
static line_burst epilogue(const uint8_t *sent, uint32_t n)
{
    enum { BYTES = 9 };
    switch (run.epilogue++) {
    case 0:
        return request(WIRE_HELLO, LAST_SEQUENCE, 0, 0);
    case 1:
        expect(sent, n, WIRE_STATUS_OK);
        return request(WIRE_ECHO, LAST_SEQUENCE + 1, BYTES, 0);
    case 2:
        expect(sent, n, WIRE_STATUS_OK);
        CHECK(n == WIRE_HEADER_BYTES + BYTES + WIRE_CRC_BYTES && sent[WIRE_HEADER_BYTES + BYTES - 1] == WIRE_MAGIC_0);
        return request(WIRE_ECHO, LAST_SEQUENCE + 1, BYTES, 1);
    case 3:
        expect(sent, n, WIRE_STATUS_BAD_CRC);
        return request(WIRE_ECHO, LAST_SEQUENCE + 1, BYTES, 0);
    default:
        expect(sent, n, WIRE_STATUS_OK);
        return (line_burst){0, 0};
    }
}

static line_burst choose(const uint8_t *sent, uint32_t n)
{
    if (run.again) {
        run.again = 0, run.repeating = 1;
        return run.burst;
    }
    run.repeating = 0;
    if (run.input == run.end)
        return epilogue(sent, n);
    int twice;
    run.input = input_take(run.input, run.end, &run.burst, &twice);
    run.again = twice;
    return run.burst;
}

static line_burst next(const uint8_t *sent, uint32_t n)
{
    check(sent, n);
    line_burst burst = choose(sent, n);
    hear(burst);
    return burst;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&run, 0, sizeof run);
    hear((line_burst){data, 0});
    run.input = data;
    run.end = data + size;
    run.resets = line_resets() - 1; /* powering up changes the tensors */
    heard.may_reset = 1;
    line_run(next);
    return 0;
}
