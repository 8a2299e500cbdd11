/* fuzz_wire.c: the codec on arbitrary bytes. Input: what a receiver has in its hands. */
#include <string.h>

#include "../app/wire.h"
#include "../tests/check.h"

enum { CRC_POLYNOMIAL = 0xEDB88320 };

/* Bit by bit, so without the table that wire.c trusts. */
static uint32_t slow_crc32(uint32_t crc, const uint8_t *p, size_t n)
{
    for (crc = ~crc; n; n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
    }
    return ~crc;
}

static void check_crc(const uint8_t *data, uint32_t n)
{
    uint32_t half = n / 2, first = wire_crc32(0, data, half);
    CHECK(wire_crc32(first, data + half, n - half) == slow_crc32(0, data, n));
}

static void check_find(const uint8_t *data, uint32_t n)
{
    uint32_t found = wire_find_magic(data, n);
    CHECK(found <= n);
    CHECK(found == n || (data[found] == WIRE_MAGIC_0 && (found + 1 == n || data[found + 1] == WIRE_MAGIC_1)));
    for (uint32_t i = 0; i + 1 < found; i++)
        CHECK(data[i] != WIRE_MAGIC_0 || data[i + 1] != WIRE_MAGIC_1);
}

static void check_numbers(const uint8_t *data)
{
    uint8_t again[8];
    uint32_t bits = wire_get_u32(data);
    float value;
    CHECK(wire_put_u16(again, wire_get_u16(data)) == again + 2 && memcmp(again, data, 2) == 0);
    CHECK(wire_put_u32(again, bits) == again + 4 && memcmp(again, data, 4) == 0);
    memcpy(&value, &bits, sizeof value);
    CHECK(wire_put_f32(again, value) == again + 4);
}

/* A header either fails and leaves the result alone, or is what encoding it gives. */
static void check_header(const uint8_t *data)
{
    uint8_t again[WIRE_HEADER_BYTES];
    wire_header header, before;
    memset(&header, 0xA5, sizeof header);
    memset(&before, 0xA5, sizeof before);
    int result = wire_get_header(data, &header);
    CHECK(result == WIRE_OK || result == WIRE_ERR_MAGIC || result == WIRE_ERR_CRC);
    if (result != WIRE_OK) {
        CHECK(memcmp(&header, &before, sizeof header) == 0);
        return;
    }
    CHECK(wire_find_magic(data, WIRE_HEADER_BYTES) == 0);
    wire_put_header(again, &header);
    CHECK(memcmp(again, data, sizeof again) == 0);
}

/* The bytes as a payload: sealed, the frame is good; with any one bit flipped it is not. */
static void check_seal(const uint8_t *data, uint32_t n, uint32_t where)
{
    static uint8_t frame[WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD + WIRE_CRC_BYTES];
    wire_header header = {.version = WIRE_VERSION, .type = (uint8_t)where, .sequence = (uint16_t)(where >> 8)}, back;
    header.length = n < WIRE_MAX_PAYLOAD ? n : WIRE_MAX_PAYLOAD;
    wire_put_bytes(frame + WIRE_HEADER_BYTES, data, header.length);
    uint32_t bytes = wire_seal(frame, &header), bit = where % (8 * bytes);
    CHECK(bytes == WIRE_HEADER_BYTES + header.length + WIRE_CRC_BYTES);
    frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    const uint8_t *crc = frame + WIRE_HEADER_BYTES + header.length;
    CHECK(wire_get_header(frame, &back) != WIRE_OK || wire_get_u32(crc) != wire_payload_crc(&back, frame + WIRE_HEADER_BYTES));
    frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    CHECK(wire_get_header(frame, &back) == WIRE_OK && back.length == header.length);
    CHECK(wire_get_u32(crc) == wire_payload_crc(&back, frame + WIRE_HEADER_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t n = (uint32_t)size;
    check_crc(data, n);
    check_find(data, n);
    if (n >= 4)
        check_numbers(data);
    for (uint32_t at = 0; n - at >= WIRE_HEADER_BYTES && at < 64; at++)
        check_header(data + at);
    check_seal(data, n, n >= 4 ? wire_get_u32(data) : n);
    return 0;
}
