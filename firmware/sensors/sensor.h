/* sensor.h: the border between the sampling loop (firmware/live) and a sensor. One driver is linked into an image.
 *
 * A frame is one int16 of every channel, as the converter gave it; `scale` says what a count is. A driver never fills in a value
 * that it did not read: it reports a fault. */
#ifndef SENSOR_H
#define SENSOR_H

#include <stdint.h>

enum { SENSOR_MAX_CHANNELS = 64, SENSOR_NAME_BYTES = 16 };

/* Results of `read`; a fault is negative: -SENSOR_FAULT_*. */
enum { SENSOR_DONE = 0, SENSOR_BUSY = 1 };

/* Numbers of WIRE.md, "Sampling". */
enum {
    SENSOR_FAULT_NONE = 0,
    SENSOR_FAULT_MISSING = 1,   /* another device answers at the address, or none of its kind */
    SENSOR_FAULT_NACK = 2,      /* nobody acknowledges at the address */
    SENSOR_FAULT_BUS = 3,       /* a transfer does not end: a line is held low */
    SENSOR_FAULT_STUCK = 4,     /* a device repeats one reading, bit for bit */
    SENSOR_FAULT_OPEN = 5,      /* an analog input reads less than its bleeding resistor gives */
    SENSOR_FAULT_SELF_TEST = 6, /* the response to the device's own stimulus is outside its limits */
    SENSOR_FAULT_ADC = 7,       /* the converter does not finish */
    SENSOR_FAULT_PROGRAM = 8,   /* a device does not take its maker's program */
};

typedef struct {
    const char *name; /* as the host calls it, at most 15 characters */
    uint16_t channels;
    const float *scale; /* [channels]: unit of the channel per count */
    /* Resets and identifies every device. */
    int (*init)(void);
    /* Rate and ranges; `period_us` between two frames. Readings are good when it returns. */
    int (*configure)(uint32_t period_us);
    /* Called again and again: begins a frame, returns SENSOR_BUSY while the buses work and SENSOR_DONE with frame[channels]
     * filled. Never waits. */
    int (*read)(int16_t *frame);
    /* The devices' own, before configure. */
    int (*self_test)(void);
    /* Which device the last fault is of: its number on the sensor. */
    uint8_t (*faulty)(void);
} sensor_driver;

extern const sensor_driver sensor;

#endif
