/* test_wire.c: the codec against the golden frames. vectors.inc is made from vectors.json by test_firmware.py. */
#include <string.h>

#include "../app/wire.h"
#include "check.h"

typedef struct {
    const char *name;
    uint32_t frame_bytes;
    const uint8_t *frame;
    wire_header header;
} golden;

#include "vectors.inc"

enum { COUNT = sizeof vectors / sizeof *vectors, ROOM = 8192 };

static int payload_good(const uint8_t *frame, const wire_header *header)
{
    const uint8_t *payload = frame + WIRE_HEADER_BYTES;
    return wire_payload_crc(header, payload) == wire_get_u32(payload + header->length);
}

static void test_crc_is_the_published_one(void)
{
    CHECK(wire_crc32(0, "123456789", 9) == 0xCBF43926u);
    CHECK(wire_crc32(wire_crc32(0, "1234", 4), "56789", 5) == 0xCBF43926u);
    CHECK(wire_crc32(0, "", 0) == 0);
}

static void test_decodes(const golden *v)
{
    wire_header h;
    CHECK(wire_get_header(v->frame, &h) == WIRE_OK);
    CHECK(h.version == v->header.version && h.type == v->header.type && h.sequence == v->header.sequence);
    CHECK(h.status == v->header.status && h.length == v->header.length);
    CHECK(WIRE_HEADER_BYTES + h.length + WIRE_CRC_BYTES == v->frame_bytes);
    CHECK(payload_good(v->frame, &h));
}

static void test_encodes(const golden *v)
{
    static uint8_t frame[ROOM];
    wire_put_bytes(frame + WIRE_HEADER_BYTES, v->frame + WIRE_HEADER_BYTES, v->header.length);
    CHECK(wire_seal(frame, &v->header) == v->frame_bytes);
    CHECK(memcmp(frame, v->frame, v->frame_bytes) == 0);
}

static void test_notices_every_damaged_bit(const golden *v)
{
    static uint8_t frame[ROOM];
    wire_header h;
    for (uint32_t bit = 0; bit < 8 * v->frame_bytes; bit++) {
        memcpy(frame, v->frame, v->frame_bytes);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(wire_get_header(frame, &h) != WIRE_OK || !payload_good(frame, &v->header));
    }
}

/* The header of one frame before the rest of another of the same length. */
static void test_refuses_the_rest_of_another_frame(const golden *v)
{
    static uint8_t frame[ROOM];
    wire_header other = v->header;
    other.sequence ^= 1;
    wire_put_bytes(frame + WIRE_HEADER_BYTES, v->frame + WIRE_HEADER_BYTES, v->header.length);
    wire_seal(frame, &other);
    CHECK(payload_good(frame, &other) && !payload_good(frame, &v->header));
}

static void test_finds_it_behind_noise(const golden *v)
{
    static uint8_t line[ROOM];
    for (uint32_t noise = 0; noise < 40; noise++) {
        memset(line, WIRE_MAGIC_0, noise);
        memcpy(line + noise, v->frame, v->frame_bytes);
        CHECK(wire_find_magic(line, noise + v->frame_bytes) == noise);
    }
}

static void test_finds_cut_off_magic(void)
{
    const uint8_t nothing[] = {1, 2, WIRE_MAGIC_1}, half[] = {1, WIRE_MAGIC_0, 3, WIRE_MAGIC_0};
    CHECK(wire_find_magic(nothing, 3) == 3);
    CHECK(wire_find_magic(half, 4) == 3);
    CHECK(wire_find_magic(half, 0) == 0);
}

int main(void)
{
    test_crc_is_the_published_one();
    test_finds_cut_off_magic();
    for (int i = 0; i < COUNT; i++) {
        fprintf(stderr, "%s\n", vectors[i].name);
        test_decodes(&vectors[i]);
        test_encodes(&vectors[i]);
        test_notices_every_damaged_bit(&vectors[i]);
        test_refuses_the_rest_of_another_frame(&vectors[i]);
        test_finds_it_behind_noise(&vectors[i]);
    }
    return 0;
}
