/* pipeline.c: see pipeline.h. */
#include "pipeline.h"

#include <string.h>

#include "../app/wire.h"
#include "../nn/engine.h"
#include "../sensors/sensor.h"

static struct {
    uint16_t length, hop, channels;
    uint16_t index[PIPELINE_MAX_CHANNELS];
    float mean[PIPELINE_MAX_CHANNELS], std[PIPELINE_MAX_CHANNELS];
    uint32_t have, since, oldest; /* frames in the ring, since the last window, where the oldest lies */
} set;

static _Alignas(4) uint8_t ring[PIPELINE_BYTES]; /* `length` frames as the model takes them */

static float get_f32(const uint8_t *p)
{
    uint32_t bits = wire_get_u32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t element_bytes(uint8_t dtype)
{
    return dtype == ENGINE_FLOAT32 ? 4 : dtype == ENGINE_INT16 ? 2 : dtype == ENGINE_INT8 || dtype == ENGINE_UINT8 ? 1 : 0;
}

static const char *unfit(uint32_t values)
{
    if (engine.input_count != 1 || !element_bytes(engine.inputs[0].dtype))
        return "the pipeline feeds one input of float32, int16, int8 or uint8";
    if (!engine.inputs[0].data)
        return "the engine is not ready";
    if (!values || engine.inputs[0].bytes > PIPELINE_BYTES)
        return "the window is empty or too large";
    return values * element_bytes(engine.inputs[0].dtype) != engine.inputs[0].bytes ? "the window is not the model's" : 0;
}

const char *pipeline_configure(uint16_t length, uint16_t hop, uint16_t channels, const uint8_t *entries)
{
    memset(&set, 0, sizeof set);
    if (!channels || channels > PIPELINE_MAX_CHANNELS || !hop)
        return "channels or hop out of range";
    const char *wrong = unfit((uint32_t)length * channels);
    if (wrong)
        return wrong;
    for (uint16_t c = 0; c < channels; c++, entries += PIPELINE_CHANNEL_BYTES) {
        set.index[c] = wire_get_u16(entries);
        set.mean[c] = get_f32(entries + 4);
        set.std[c] = get_f32(entries + 8);
        if (set.index[c] >= sensor.channels || !(set.std[c] > 0.0f))
            return "a channel that the sensor has not, or a deviation that is not positive";
    }
    set.length = length;
    set.hop = hop;
    set.channels = channels;
    return 0;
}

static float normalised(int16_t counts, uint16_t c)
{
    float value = (float)counts * sensor.scale[set.index[c]];
    return (value - set.mean[c]) / set.std[c];
}

static int32_t quantised(float x, const engine_tensor *input, int32_t low, int32_t high)
{
    float scaled = x / input->scale;
    scaled += scaled < 0.0f ? -0.5f : 0.5f;
    if (scaled > 65536.0f)
        scaled = 65536.0f; /* beyond every clip, within int32_t */
    if (scaled < -65536.0f)
        scaled = -65536.0f;
    int32_t q = (int32_t)scaled + input->zero_point;
    return q < low ? low : q > high ? high : q;
}

static void put(uint8_t *to, const engine_tensor *input, uint32_t i, float x)
{
    switch (input->dtype) {
    case ENGINE_FLOAT32:
        ((float *)(void *)to)[i] = x;
        break;
    case ENGINE_INT16:
        ((int16_t *)(void *)to)[i] = (int16_t)quantised(x, input, -32768, 32767);
        break;
    case ENGINE_INT8:
        ((int8_t *)to)[i] = (int8_t)quantised(x, input, -128, 127);
        break;
    default:
        to[i] = (uint8_t)quantised(x, input, 0, 255);
    }
}

int pipeline_add(const int16_t *frame, int gap)
{
    if (gap)
        set.have = set.since = 0;
    for (uint16_t c = 0; c < set.channels; c++)
        put(ring, engine.inputs, set.oldest * set.channels + c, normalised(frame[set.index[c]], c));
    set.oldest = set.oldest + 1 < set.length ? set.oldest + 1 : 0;
    set.have += set.have < set.length;
    if (set.have < set.length)
        return 0;
    /* Behind the first window, which takes `length` frames, one comes every `hop`. */
    int due = set.since == 0;
    set.since = set.since + 1 < set.hop ? set.since + 1 : 0;
    return due;
}

void pipeline_fill(void)
{
    uint8_t *to = engine.inputs[0].data;
    uint32_t bytes = engine.inputs[0].bytes, old = set.oldest * (bytes / set.length);
    memcpy(to, ring + old, bytes - old);
    memcpy(to + bytes - old, ring, old);
}
