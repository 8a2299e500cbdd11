/* main.c: the command loop (main.h). Receives a frame, answers it, keeps the answer for a repetition. */
#include "main.h"

#include <string.h>

#include "../port/port.h"
#include "commands.h"
#include "wire.h"

/* Both aligned to 4: DMA and CRC are faster so, and a payload begins at a multiple of 4 in each. */
static _Alignas(4) uint8_t request[WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES];
static _Alignas(4) uint8_t reply[WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES];

/* The request that `reply` answers. Its payload's CRC, which covers the header too, tells a repetition from a new
 * request with an old number. */
static struct {
    int valid;
    wire_header header;
    uint32_t payload_crc;
    uint32_t reply_bytes;
} kept;

static int greeted; /* a HELLO was answered since reset */

/* The newest sequence number since the last HELLO. HELLO takes its validity away: another host may count from elsewhere. */
static struct {
    int valid;
    uint16_t number;
} newest;

/* The first bytes of a header, whenever they come. Where samples are taken meanwhile the whole header comes by DMA, and behind it
 * the CRC of an empty payload fits the line's FIFO: the processor may be busy for a while. */
static uint32_t first_bytes(uint8_t bytes[WIRE_HEADER_BYTES])
{
#ifdef APP_LIVE
    return port_read(bytes, WIRE_HEADER_BYTES, WIRE_SILENCE_US);
#else
    return port_read(bytes, 1, 0);
#endif
}

/* Reads until a header is complete and good. Silence inside one drops what came of it. */
static void receive_header(wire_header *header)
{
    static uint8_t bytes[WIRE_HEADER_BYTES]; /* static: DMA target, and it keeps the stack small */
    uint32_t have = 0;
    for (;;) {
        while (have == 0)
            have = first_bytes(bytes);
        uint32_t want = WIRE_HEADER_BYTES - have;
        if (port_read(bytes + have, want, WIRE_SILENCE_US) < want) {
            have = 0;
            continue;
        }
        if (wire_get_header(bytes, header) == WIRE_OK)
            return;
        uint32_t skip = 1 + wire_find_magic(bytes + 1, WIRE_HEADER_BYTES - 1);
        have = WIRE_HEADER_BYTES - skip;
        memmove(bytes, bytes + skip, have);
    }
}

/* Receives the payload and its CRC. Too long a one is read to its end and thrown away, so that its bytes can't be
 * taken for headers. Returns 0 if the line fell silent before its end. */
static int receive_payload(uint32_t length, uint32_t *crc)
{
    uint32_t left = length;
    while (left > WIRE_MAX_PAYLOAD) {
        uint32_t n = left - WIRE_MAX_PAYLOAD < WIRE_MAX_PAYLOAD ? left - WIRE_MAX_PAYLOAD : WIRE_MAX_PAYLOAD;
        if (port_read(request, n, WIRE_SILENCE_US) < n)
            return 0;
        left -= n;
    }
    if (port_read(request, left + WIRE_CRC_BYTES, WIRE_SILENCE_US) < left + WIRE_CRC_BYTES)
        return 0;
    *crc = wire_get_u32(request + left);
    return 1;
}

/* Says that a frame could not be accepted, without touching the kept reply: the host will send the frame again,
 * and if it was executed before, its first answer must still be there. */
static void refuse(const wire_header *header, wire_status status)
{
    static uint8_t frame[WIRE_HEADER_BYTES + WIRE_CRC_BYTES];
    wire_header h = {WIRE_VERSION, header->type | WIRE_REPLY_BIT, header->sequence, (uint16_t)status, 0};
    port_write(frame, wire_seal(frame, &h));
}

/* A frame that was held up on its way, while the host has gone on. Serial number arithmetic (RFC 1982). */
static int is_stale(const wire_header *header)
{
    uint16_t behind = (uint16_t)(newest.number - header->sequence);
    return newest.valid && header->type != WIRE_HELLO && behind != 0 && behind < 0x8000;
}

static wire_status acceptable(const wire_header *header, uint32_t crc)
{
    if (header->length > WIRE_MAX_PAYLOAD)
        return WIRE_STATUS_BAD_LENGTH;
    if (crc != wire_payload_crc(header, request))
        return WIRE_STATUS_BAD_CRC;
    if (header->type == WIRE_HELLO)
        return WIRE_STATUS_OK;
    if (header->version != WIRE_VERSION)
        return WIRE_STATUS_BAD_VERSION;
    if (!greeted)
        return WIRE_STATUS_NO_HELLO;
    return is_stale(header) ? WIRE_STATUS_STALE : WIRE_STATUS_OK;
}

static int is_repeated(const wire_header *header, uint32_t crc)
{
    return kept.valid && header->type != WIRE_HELLO && header->type == kept.header.type
           && header->sequence == kept.header.sequence && header->length == kept.header.length && crc == kept.payload_crc;
}

static void answer(const wire_header *header, uint32_t crc)
{
    uint32_t n;
    kept.valid = 0;
    wire_status status = app_execute(header->type, request, header->length, reply + WIRE_HEADER_BYTES, &n);
    wire_header h = {WIRE_VERSION, header->type | WIRE_REPLY_BIT, header->sequence, (uint16_t)status, n};
    kept.reply_bytes = wire_seal(reply, &h);
    kept.header = *header;
    kept.payload_crc = crc;
    kept.valid = 1;
    port_write(reply, kept.reply_bytes);
    greeted |= header->type == WIRE_HELLO;
    newest.valid = header->type != WIRE_HELLO;
    newest.number = header->sequence;
    if (header->type == WIRE_REBOOT && status == WIRE_STATUS_OK)
        port_reboot(request[0]);
}

static void serve_one(void)
{
    wire_header header;
    uint32_t crc;
    receive_header(&header);
    /* The header was good, so it is known whom to tell; without a word the host would wait for its deadline. */
    wire_status status = receive_payload(header.length, &crc) ? acceptable(&header, crc) : WIRE_STATUS_CUT;
    if (status != WIRE_STATUS_OK)
        refuse(&header, status);
    else if (is_repeated(&header, crc))
        port_write(reply, kept.reply_bytes);
    else
        answer(&header, crc);
}

void app_main(void)
{
    port_init();
    app_init();
    port_started();
    for (;;)
        serve_one();
}
