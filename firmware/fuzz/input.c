/* input.c: see input.h. */
#include "input.h"

#include "../app/wire.h"

const uint8_t *input_take(const uint8_t *at, const uint8_t *end, line_burst *burst, int *twice)
{
    uint16_t head = 0;
    if (end - at >= INPUT_HEAD_BYTES)
        head = wire_get_u16(at);
    at += end - at < INPUT_HEAD_BYTES ? end - at : INPUT_HEAD_BYTES;
    uint32_t n = head & INPUT_LENGTH;
    *burst = (line_burst){at, n < end - at ? n : (uint32_t)(end - at)};
    *twice = head >= INPUT_TWICE;
    return at + burst->n;
}
