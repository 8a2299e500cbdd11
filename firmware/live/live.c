/* live.c: see live.h. Cooperative: port_idle is called wherever the command loop waits for the line, and does a little: a step of
 * the sensor's reading, or one operator of an inference. So a sample waits for one operator at most, no interrupt falls into
 * what is measured, and the line's bytes arrive by DMA meanwhile. */
#include "live.h"

#include <string.h>

#include "../app/measure.h"
#include "../nn/engine.h"
#include "../port/port.h"
#include "../sensors/bus.h"
#include "../sensors/sensor.h"
#include "pipeline.h"

#ifndef LIVE_FRAME_BYTES
#define LIVE_FRAME_BYTES 24576 /* of frames that wait for the host: 15 s of 35 channels at 20 Hz */
#endif

enum {
    LAYOUT = 1,
    SEND_FRAMES = 1,
    INFER = 2,
    SELF_TEST = 4,
    START_BYTES = 16,
    FRAME_HEAD = 12,
    DECISION_HEAD = 40 /* 9 words, 2 classes */,
    MAX_SCORE_BYTES = 64,
    DECISIONS = 64,
    MOST_SMOOTHED = 32,
    SHORTEST_PERIOD_US = 100,
};
enum { STOPPED, RUNNING, FAULTED };
enum { SMOOTH_NONE, SMOOTH_MAJORITY, SMOOTH_HYSTERESIS };

typedef struct {
    uint32_t window, first, last, fill_cycles, cycles, latency_us, done_us, inputs_crc, outputs_crc;
    uint16_t best, smoothed;
    uint8_t scores[MAX_SCORE_BYTES];
} decision;

static struct {
    uint8_t state, fault, device, flags, smoothing, smooth_of;
    uint16_t length;
    uint32_t started_us, slots, dropped, frames_lost, windows, missed, decisions_lost;
    uint64_t busy_cycles;
} live;

static struct {
    int reading, gap, lost_after; /* gap: frames are missing before this one; lost_after: between it and the next */
    uint32_t number, at_us, at_cycles;
    int16_t counts[SENSOR_MAX_CHANNELS];
} frame;

static struct {
    int running;
    uint16_t op;
    uint32_t last_at_us;
    decision made;
} job;

static _Alignas(4) uint8_t frames[LIVE_FRAME_BYTES];
static uint32_t frames_first, frames_count;
static decision decisions[DECISIONS];
static uint32_t decisions_first, decisions_count;
static uint16_t recent[MOST_SMOOTHED];
static uint32_t recent_count;

static uint32_t frame_bytes(void)
{
    return FRAME_HEAD + 2u * sensor.channels;
}

static uint32_t score_bytes(void)
{
    return engine.output_count == 1 && engine.outputs[0].bytes <= MAX_SCORE_BYTES ? engine.outputs[0].bytes : 0;
}

static void fail(int fault)
{
    live.state = FAULTED;
    live.fault = (uint8_t)-fault;
    live.device = sensor.faulty();
    clock_end();
}

static void keep_frame(void)
{
    uint32_t size = frame_bytes(), room = LIVE_FRAME_BYTES / size;
    if (!(live.flags & SEND_FRAMES))
        return;
    if (frames_count == room) {
        live.frames_lost++;
        return;
    }
    uint8_t *p = frames + (frames_first + frames_count++) % room * size;
    p = wire_put_u32(p, frame.number);
    p = wire_put_u32(p, frame.at_us);
    p = wire_put_u32(p, frame.at_cycles);
    for (uint16_t c = 0; c < sensor.channels; c++)
        p = wire_put_u16(p, (uint16_t)frame.counts[c]);
}

/* ---- decisions ---- */

static float score(const engine_tensor *t, uint32_t i)
{
    switch (t->dtype) {
    case ENGINE_FLOAT32:
        return ((const float *)t->data)[i];
    case ENGINE_INT16:
        return ((const int16_t *)t->data)[i];
    case ENGINE_UINT8:
        return ((const uint8_t *)t->data)[i];
    default:
        return ((const int8_t *)t->data)[i];
    }
}

static uint16_t best_class(void)
{
    const engine_tensor *t = engine.outputs;
    uint32_t n = t->bytes / (t->dtype == ENGINE_FLOAT32 ? 4 : t->dtype == ENGINE_INT16 ? 2 : 1), best = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (score(t, i) > score(t, best))
            best = i;
    }
    return (uint16_t)best;
}

static uint32_t votes_for(uint16_t class, uint32_t of)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < of; i++)
        votes += recent[(recent_count - 1 - i) % MOST_SMOOTHED] == class;
    return votes;
}

/* Majority: the most frequent of the last k, of equals the newest. Hysteresis: a new class after k decisions for it in a row. */
static uint16_t smoothed(uint16_t best)
{
    static uint16_t shown;
    uint32_t of;
    recent[recent_count++ % MOST_SMOOTHED] = best;
    of = recent_count < live.smooth_of ? recent_count : live.smooth_of;
    if (live.smoothing == SMOOTH_MAJORITY) {
        uint16_t most = best;
        for (uint32_t i = 1; i < of; i++) {
            uint16_t class = recent[(recent_count - 1 - i) % MOST_SMOOTHED];
            most = votes_for(class, of) > votes_for(most, of) ? class : most;
        }
        return most;
    }
    if (live.smoothing != SMOOTH_HYSTERESIS || recent_count == 1 || votes_for(best, of) == live.smooth_of)
        shown = best;
    return live.smoothing == SMOOTH_HYSTERESIS ? shown : best;
}

static void keep_decision(void)
{
    decision *d = &job.made;
    const engine_tensor *output = engine.outputs;
    d->outputs_crc = wire_crc32(0, output->data, output->bytes);
    d->best = best_class();
    d->smoothed = smoothed(d->best);
    d->done_us = clock_us();
    d->latency_us = d->done_us - job.last_at_us;
    memcpy(d->scores, output->data, score_bytes());
    if (decisions_count == DECISIONS)
        live.decisions_lost++;
    else
        decisions[(decisions_first + decisions_count++) % DECISIONS] = *d;
}

/* The window is copied before anything of it is overwritten. Its CRC, which takes as long as an inference, is for a host that gets
 * the frames too. */
static void begin_job(void)
{
    uint32_t start = port_cycles();
    engine_reset();
    pipeline_fill();
    job.made.fill_cycles = port_cycles() - start;
    job.made.inputs_crc = live.flags & SEND_FRAMES ? wire_crc32(0, engine.inputs[0].data, engine.inputs[0].bytes) : 0;
    job.made.window = live.windows;
    job.made.last = frame.number;
    job.made.first = frame.number - (live.length - 1u);
    job.made.cycles = 0;
    job.last_at_us = frame.at_us;
    job.op = 0;
    job.running = 1;
    live.busy_cycles += port_cycles() - start;
}

static void continue_job(void)
{
    port_watchdog_start(MEASURE_LONGEST_US);
    uint32_t start = port_cycles();
    int error = engine.op_count ? engine_run_op(job.op) : engine_invoke();
    uint32_t cycles = port_cycles() - start, overhead = measure_overhead();
    port_watchdog_stop();
    job.made.cycles += cycles > overhead ? cycles - overhead : 0;
    job.op++;
    if (error < 0) {
        job.running = 0;
        live.missed++;
    } else if (job.op >= engine.op_count) {
        job.running = 0;
        keep_decision();
    }
    live.busy_cycles += port_cycles() - start;
}

/* ---- samples ---- */

static void frame_complete(void)
{
    frame.reading = 0;
    keep_frame();
    if (!(live.flags & INFER))
        return;
    uint32_t start = port_cycles();
    int due = pipeline_add(frame.counts, frame.gap);
    live.busy_cycles += port_cycles() - start;
    if (!due)
        return;
    if (job.running)
        live.missed++; /* the one before is not decided yet: this window is not looked at */
    else
        begin_job();
    live.windows++;
}

static void begin_frame(void)
{
    frame.gap = frame.lost_after;
    frame.lost_after = 0;
    frame.number = live.slots - 1;
    frame.at_cycles = port_cycles();
    frame.at_us = clock_us();
    frame.reading = 1;
}

static void sample(void)
{
    uint32_t at, passed = clock_due(&at);
    if (passed) {
        uint32_t lost = passed - 1 + (frame.reading ? 1 : 0); /* the reading that is not done yet takes no second time */
        live.slots += passed;
        live.dropped += lost;
        frame.lost_after |= lost > 0;
        if (!frame.reading)
            begin_frame();
    }
    if (!frame.reading)
        return;
    int state = sensor.read(frame.counts);
    if (state < 0)
        fail(state);
    else if (state == SENSOR_DONE)
        frame_complete();
}

void port_idle(void)
{
    if (live.state == RUNNING)
        sample();
    if (job.running)
        continue_job();
}

/* ---- requests ---- */

static wire_status refuse(wire_status status, const char *why, uint8_t *reply, uint32_t *reply_bytes)
{
    *reply_bytes = 0;
    while (why[*reply_bytes]) {
        reply[*reply_bytes] = (uint8_t)why[*reply_bytes];
        ++*reply_bytes;
    }
    return status;
}

static wire_status describe(uint8_t *reply, uint32_t *reply_bytes)
{
    uint8_t *p = reply;
    memset(p, 0, 8 + SENSOR_NAME_BYTES);
    p[0] = LAYOUT;
    p[1] = live.state;
    wire_put_u16(p + 2, sensor.channels);
    wire_put_u16(p + 4, (uint16_t)score_bytes());
    wire_put_u16(p + 6, (uint16_t)(LIVE_FRAME_BYTES / frame_bytes()));
    for (int i = 0; i < SENSOR_NAME_BYTES - 1 && sensor.name[i]; i++)
        p[8 + i] = (uint8_t)sensor.name[i];
    p += 8 + SENSOR_NAME_BYTES;
    for (uint16_t c = 0; c < sensor.channels; c++)
        p = wire_put_f32(p, sensor.scale[c]);
    *reply_bytes = (uint32_t)(p - reply);
    return WIRE_STATUS_OK;
}

static int start_sensor(uint32_t period_us)
{
    int state = sensor.init();
    if (!state && live.flags & SELF_TEST)
        state = sensor.self_test();
    if (!state)
        state = sensor.configure(period_us);
    if (state)
        fail(state);
    return state;
}

static void forget(void)
{
    memset(&live, 0, sizeof live);
    memset(&frame, 0, sizeof frame);
    frames_first = frames_count = decisions_first = decisions_count = recent_count = 0;
    job.running = 0;
}

/* u32 period_us, u8 flags, u8 smoothing, u8 of how many, u8 0, u16 length, u16 hop, u16 channels, u16 0, then the channels. */
static wire_status start(const uint8_t *p, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (n < START_BYTES || n != START_BYTES + (uint32_t)PIPELINE_CHANNEL_BYTES * wire_get_u16(p + 12))
        return refuse(WIRE_STATUS_BAD_LENGTH, "START takes 16 bytes and 12 a channel", reply, reply_bytes);
    if (live.state == RUNNING || job.running)
        return refuse(WIRE_STATUS_BAD_ARGUMENT, "it samples already", reply, reply_bytes);
    uint32_t period = wire_get_u32(p);
    if (period < SHORTEST_PERIOD_US || p[5] > SMOOTH_HYSTERESIS || p[6] > MOST_SMOOTHED || (p[5] && !p[6]))
        return refuse(WIRE_STATUS_BAD_ARGUMENT, "no such period or smoothing", reply, reply_bytes);
    const char *wrong = p[4] & INFER ? pipeline_configure(wire_get_u16(p + 8), wire_get_u16(p + 10), wire_get_u16(p + 12), p + 16)
                                     : 0;
    if (wrong)
        return refuse(WIRE_STATUS_BAD_ARGUMENT, wrong, reply, reply_bytes);
    forget();
    live.flags = p[4];
    live.smoothing = p[5];
    live.smooth_of = p[6];
    live.length = wire_get_u16(p + 8);
    uint32_t crc = wire_crc32(0, p, n);
    if (!start_sensor(period)) {
        live.state = RUNNING;
        live.started_us = clock_us();
        clock_begin(period);
    }
    wire_put_u32(reply, crc);
    reply[4] = live.fault;
    reply[5] = live.device;
    wire_put_u16(reply + 6, 0);
    *reply_bytes = 8;
    return WIRE_STATUS_OK;
}

static uint8_t *put_status(uint8_t *p)
{
    *p++ = LAYOUT;
    *p++ = live.state;
    *p++ = live.fault;
    *p++ = live.device;
    p = wire_put_u32(p, clock_us());
    p = wire_put_u32(p, port_cycles());
    p = wire_put_u32(p, live.started_us);
    p = wire_put_u32(p, live.slots);
    p = wire_put_u32(p, live.dropped);
    p = wire_put_u32(p, live.frames_lost);
    p = wire_put_u32(p, live.windows);
    p = wire_put_u32(p, live.missed);
    p = wire_put_u32(p, live.decisions_lost);
    return wire_put_u32(wire_put_u32(p, (uint32_t)live.busy_cycles), (uint32_t)(live.busy_cycles >> 32));
}

static uint8_t *put_decision(uint8_t *p, const decision *d)
{
    p = wire_put_u32(p, d->window);
    p = wire_put_u32(p, d->first);
    p = wire_put_u32(p, d->last);
    p = wire_put_u32(p, d->fill_cycles);
    p = wire_put_u32(p, d->cycles);
    p = wire_put_u32(p, d->latency_us);
    p = wire_put_u32(p, d->done_us);
    p = wire_put_u32(p, d->inputs_crc);
    p = wire_put_u32(p, d->outputs_crc);
    p = wire_put_u16(wire_put_u16(p, d->best), d->smoothed);
    return wire_put_bytes(p, d->scores, score_bytes());
}

/* What has gathered, as much as fits; the kept reply (main.c) answers a repetition, so nothing is lost with a reply. */
static wire_status fetch(uint8_t *reply, uint32_t *reply_bytes)
{
    uint8_t *p = put_status(reply), *counts = p, *end = reply + WIRE_MAX_PAYLOAD;
    uint32_t size = frame_bytes(), room = LIVE_FRAME_BYTES / size, n = 0, m = 0;
    p += 4;
    for (; decisions_count && p + DECISION_HEAD + score_bytes() <= end; m++, decisions_count--) {
        p = put_decision(p, &decisions[decisions_first]);
        decisions_first = (decisions_first + 1) % DECISIONS;
    }
    for (; frames_count && p + size <= end; n++, frames_count--) {
        p = wire_put_bytes(p, frames + frames_first * size, size);
        frames_first = (frames_first + 1) % room;
    }
    wire_put_u16(wire_put_u16(counts, (uint16_t)m), (uint16_t)n);
    *reply_bytes = (uint32_t)(p - reply);
    return WIRE_STATUS_OK;
}

static wire_status stop(uint8_t *reply, uint32_t *reply_bytes)
{
    clock_end();
    live.state = live.state == FAULTED ? FAULTED : STOPPED;
    while (job.running)
        continue_job();
    return fetch(reply, reply_bytes);
}

int live_has_engine(void)
{
    return live.state == RUNNING || job.running;
}

wire_status live_execute(uint8_t type, const uint8_t *payload, uint32_t n, uint8_t *reply, uint32_t *reply_bytes)
{
    if (type != WIRE_START && type <= WIRE_STOP && n)
        return refuse(WIRE_STATUS_BAD_LENGTH, "takes nothing", reply, reply_bytes);
    switch (type) {
    case WIRE_SENSOR:
        return describe(reply, reply_bytes);
    case WIRE_START:
        return start(payload, n, reply, reply_bytes);
    case WIRE_FETCH:
        return fetch(reply, reply_bytes);
    case WIRE_STOP:
        return stop(reply, reply_bytes);
    default:
        return refuse(WIRE_STATUS_BAD_TYPE, "no such request", reply, reply_bytes);
    }
}
