/* wire.h: the codec of WIRE.md, without I/O. All memory belongs to the caller. */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

/* Bounds the payload in both directions, so it sizes the two static buffers of main.c. */
#ifndef WIRE_MAX_PAYLOAD
#define WIRE_MAX_PAYLOAD 4096
#endif
_Static_assert(WIRE_MAX_PAYLOAD >= 512 && WIRE_MAX_PAYLOAD <= 65536 && WIRE_MAX_PAYLOAD % 4 == 0,
               "WIRE_MAX_PAYLOAD: 512 to 65536, a multiple of 4");

enum {
    WIRE_VERSION = 2,
    WIRE_HEADER_BYTES = 16,
    WIRE_CRC_BYTES = 4,
    WIRE_REPLY_BIT = 0x80,
    WIRE_MAGIC_0 = 0x54,
    WIRE_MAGIC_1 = 0x52,
    WIRE_SILENCE_US = 20000, /* ends a frame that stopped half-way */
};

typedef enum {
    WIRE_HELLO = 0x01,
    WIRE_RUN = 0x02,
    WIRE_READ = 0x03,
    WIRE_ECHO = 0x04,
    WIRE_REBOOT = 0x05,
    WIRE_FAULT = 0x06,
    WIRE_CLOCK = 0x07,
    /* of images with a sensor: firmware/live */
    WIRE_SENSOR = 0x08,
    WIRE_START = 0x09,
    WIRE_FETCH = 0x0A,
    WIRE_STOP = 0x0B,
} wire_type;

typedef enum {
    WIRE_STATUS_OK = 0,
    WIRE_STATUS_BAD_CRC = 1,
    WIRE_STATUS_BAD_VERSION = 2,
    WIRE_STATUS_BAD_TYPE = 3,
    WIRE_STATUS_BAD_LENGTH = 4,
    WIRE_STATUS_BAD_ARGUMENT = 5,
    WIRE_STATUS_ENGINE = 6,
    WIRE_STATUS_NO_HELLO = 7,
    WIRE_STATUS_BAD_INPUT = 8,
    WIRE_STATUS_CUT = 9,
    WIRE_STATUS_STALE = 10,
    WIRE_STATUS_STATE = 11,
} wire_status;

enum { WIRE_RUN_BYTES = 12, WIRE_READ_BYTES = 12, WIRE_RUN_REPLY_BYTES = 20 };
enum { WIRE_HELLO_BYTES = 116, WIRE_HELLO_TENSOR_BYTES = 36, WIRE_HELLO_NAME_BYTES = 16 };
enum { WIRE_FAULT_WORDS = 23 };
enum { WIRE_CLOCK_BYTES = 4 };
enum { WIRE_HELLO_FAULT = 1, WIRE_HELLO_SENSOR = 2 };
enum { WIRE_INVOKE = 1, WIRE_STACK = 2, WIRE_PROFILE = 4, WIRE_NO_OUTPUTS = 8, WIRE_TRIGGER = 16, WIRE_KEEP = 32 };

enum {
    WIRE_OK = 0,
    WIRE_ERR_MAGIC = -1, /* no header begins here */
    WIRE_ERR_CRC = -2,   /* the header is damaged, or it only looked like one */
};

typedef struct {
    uint8_t version;
    uint8_t type;
    uint16_t sequence;
    uint16_t status;
    uint32_t length; /* of the payload; not yet checked against WIRE_MAX_PAYLOAD */
} wire_header;

/* CRC-32 of IEEE 802.3; `crc` is 0 or the result for the bytes before these. */
uint32_t wire_crc32(uint32_t crc, const void *data, uint32_t n);

void wire_put_header(uint8_t out[WIRE_HEADER_BYTES], const wire_header *header);

/* Returns WIRE_OK or a WIRE_ERR_*; `header` is written only when good. */
int wire_get_header(const uint8_t in[WIRE_HEADER_BYTES], wire_header *header);

/* Offset of the first place where a header may begin (its magic may be cut off by the end); n: nowhere. */
uint32_t wire_find_magic(const uint8_t *data, uint32_t n);

/* What must follow the payload: CRC-32 of the header's bytes 0 to 11 and the payload's header->length bytes. */
uint32_t wire_payload_crc(const wire_header *header, const void *payload);

/* Completes a frame whose payload already stands behind the header; returns the frame's length in bytes. */
uint32_t wire_seal(uint8_t *frame, const wire_header *header);

uint16_t wire_get_u16(const uint8_t *p);
uint32_t wire_get_u32(const uint8_t *p);
/* These return the place after what they wrote. */
uint8_t *wire_put_u16(uint8_t *p, uint16_t value);
uint8_t *wire_put_u32(uint8_t *p, uint32_t value);
uint8_t *wire_put_f32(uint8_t *p, float value);
uint8_t *wire_put_bytes(uint8_t *p, const void *data, uint32_t n);

#endif
