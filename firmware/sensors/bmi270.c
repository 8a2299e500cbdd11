/* bmi270.c: the inertial sensor and the magnetometer of the Arduino Nano 33 BLE Sense, rev. 2: a BMI270 and a BMM150, both on the
 * board's own I2C bus.
 *
 * Sources: Bosch BMI270 data sheet (BST-BMI270-DS000, "DS") and BMM150 data sheet (BST-BMM150-DS001, "DM"); limits and waits of
 * the self-tests as in Bosch's public sensor API. Channels: ax ay az in g, wx wy wz in rad/s, mx my mz in gauss. The
 * magnetometer's counts are the converter's, at the typical 0.3 uT each: without the maker's compensation for temperature. */
#include <string.h>

#include "bus.h"
#include "sensor.h"

enum {
    CHANNELS = 9,
    INERTIAL = 0x68, /* SDO low on the board */
    CHIP_ID = 0x00,
    IDENTITY_BMI270 = 0x24,
    DATA_ACC_X = 0x0C, /* 12 bytes: acceleration, rotation, low byte first (DS 5.2) */
    INTERNAL_STATUS = 0x21,
    INIT_OK = 1, /* of its low four bits */
    FEAT_PAGE = 0x2F,
    G_TRIG_1 = 0x32, /* on page 1 */
    GYR_CAS = 0x3C,  /* on page 0 */
    ACC_CONF = 0x40,
    ACC_RANGE = 0x41,
    GYR_CONF = 0x42,
    GYR_RANGE = 0x43,
    INIT_CTRL = 0x59,
    INIT_ADDR_0 = 0x5B,
    INIT_DATA = 0x5E,
    ACC_SELF_TEST = 0x6D,
    GYR_SELF_TEST_AXES = 0x6E,
    PWR_CONF = 0x7C,
    PWR_CTRL = 0x7D,
    CMD = 0x7E,
    SOFT_RESET = 0xB6,
    G_TRIGGER = 0x02,
    ACC_ON = 0x04,
    ALL_ON = 0x0E,          /* acceleration, rotation, temperature */
    ACC_PERFORMANCE = 0xA0, /* filter_perf, bandwidth normal */
    GYR_PERFORMANCE = 0xE0, /* filter_perf, noise_perf, bandwidth normal */
    ODR_100_HZ = 8,
    ODR_1600_HZ = 12,
    RANGE_8_G = 2,
    RANGE_16_G = 3,
    RANGE_2000_DPS = 0,
    PROGRAM_BYTES = 8192,
    BURST = 32,
    RESET_US = 2000,
    POWER_SAVE_US = 450,
    PROGRAM_US = 20000, /* DS 4.4: INTERNAL_STATUS within 20 ms */
    START_US = 100000,  /* the gyroscope's start-up is 45 ms (DS table 3) */
    ACC_TEST_POSITIVE = 0x0D,
    ACC_TEST_NEGATIVE = 0x09, /* enabled, high amplitude; bit 2 is the sign */
    ACC_TEST_SETTLE_US = 3000,
    ACC_TEST_US = 51000,
    GYR_TEST_POLL_US = 10000,
    GYR_TEST_POLLS = 200,
    GYR_TEST_GOOD = 0x0F, /* done, and x, y and z are well */
    COUNTS_A_G = 2048,    /* at +-16 g */

    MAGNETIC = 0x10, /* CSB and SDO low */
    M_CHIP_ID = 0x40,
    IDENTITY_BMM150 = 0x32,
    M_DATA_X = 0x42, /* 8 bytes: x, y, z, hall resistance: read at once, they belong together (DM 4.3) */
    M_POWER = 0x4B,
    M_MODE = 0x4C,
    M_REP_XY = 0x51,
    M_REP_Z = 0x52,
    M_ON = 0x01,
    M_RESET = 0x83, /* soft reset, and on */
    M_START_US = 3000,
    M_SLEEP_TEST = 0x07, /* sleep mode, self-test: ends by itself */
    M_TEST_US = 4000,
    M_30_HZ = 7 << 3, /* normal mode */
    M_9_TIMES = 4,    /* 1 + 2n for x and y, 1 + n for z: the regular preset (DM 4.2) */
    M_15_TIMES = 14,
    M_BYTES = 8,
    STUCK_FRAMES = 32,
};

extern const uint8_t bmi270_program[PROGRAM_BYTES]; /* from the maker's file: never part of this project */

#define G (1.0f / 4096.0f)                       /* DS table 2: 4096 LSB/g at +-8 g */
#define DPS2000 (3.14159265f / 180.0f / 16.384f) /* DS table 3: 16.384 LSB/(degree/s) at +-2000 */
#define GAUSS 0.003f                             /* DM table 2: 0.3 uT typically */

static const float scale[CHANNELS] = {G, G, G, DPS2000, DPS2000, DPS2000, GAUSS, GAUSS, GAUSS};

static uint8_t device; /* 0: BMI270, 1: BMM150 */
static int cross;      /* of rotation about z into that about x, in 1/512 (DS 5.2, GYR_CAS) */
static struct {
    enum { IDLE, READ_INERTIAL, READ_MAGNETIC } step;
    uint8_t reg, bytes[12], same;
    int16_t last[6];
} now;

static int get(uint8_t address, uint8_t reg, uint8_t *bytes, uint32_t n)
{
    uint8_t from = reg;
    return bus_transfer(address, &from, 1, bytes, n);
}

typedef struct {
    uint8_t reg, value;
} setting;

static int set_all(uint8_t address, const setting *settings, int n)
{
    int state = 0;
    for (int i = 0; i < n && !state; i++)
        state = bus_write(address, settings[i].reg, settings[i].value);
    return state;
}
#define SET_ALL(address, settings) set_all(address, settings, (int)(sizeof(settings) / sizeof *(settings)))

static int identify(uint8_t address, uint8_t reg, uint8_t wanted)
{
    uint8_t identity = 0;
    int state = get(address, reg, &identity, 1);
    return state ? state : identity == wanted ? 0 : -SENSOR_FAULT_MISSING;
}

/* EasyDMA reads RAM only. The address counts 16-bit words: its low four bits, then the rest (DS 5.2, INIT_ADDR_0). */
static int upload(void)
{
    uint8_t place[3] = {INIT_ADDR_0}, bytes[1 + BURST] = {INIT_DATA};
    int state = 0;
    for (uint32_t at = 0; at < PROGRAM_BYTES && !state; at += BURST) {
        place[1] = at / 2 & 15;
        place[2] = (uint8_t)(at / 2 >> 4);
        memcpy(bytes + 1, bmi270_program + at, BURST);
        state = bus_transfer(INERTIAL, place, sizeof place, 0, 0);
        if (!state)
            state = bus_transfer(INERTIAL, bytes, sizeof bytes, 0, 0);
    }
    return state;
}

/* DS 4.4: power saving off, the program into it, its status. */
static int start_inertial(void)
{
    uint8_t status = 0;
    device = 0;
    int state = bus_write(INERTIAL, CMD, SOFT_RESET);
    clock_wait(RESET_US);
    if (!state)
        state = bus_write(INERTIAL, PWR_CONF, 0);
    clock_wait(POWER_SAVE_US);
    if (!state)
        state = bus_write(INERTIAL, INIT_CTRL, 0);
    if (!state)
        state = upload();
    if (!state)
        state = bus_write(INERTIAL, INIT_CTRL, 1);
    clock_wait(PROGRAM_US);
    if (!state)
        state = get(INERTIAL, INTERNAL_STATUS, &status, 1);
    return state ? state : (status & 15) == INIT_OK ? 0 : -SENSOR_FAULT_PROGRAM;
}

/* It answers only after it was switched on. */
static int start_magnetic(void)
{
    device = 1;
    int state = bus_write(MAGNETIC, M_POWER, M_ON);
    clock_wait(M_START_US);
    if (!state)
        state = identify(MAGNETIC, M_CHIP_ID, IDENTITY_BMM150);
    if (!state)
        state = bus_write(MAGNETIC, M_POWER, M_RESET);
    clock_wait(M_START_US);
    return state;
}

static int init(void)
{
    bus_init(BUS_INNER);
    now.step = IDLE;
    now.same = 0;
    device = 0;
    int state = identify(INERTIAL, CHIP_ID, IDENTITY_BMI270);
    if (!state)
        state = start_inertial();
    return state ? state : start_magnetic();
}

static int read_cross(void)
{
    uint8_t factor = 0;
    int state = bus_write(INERTIAL, FEAT_PAGE, 0);
    if (!state)
        state = get(INERTIAL, GYR_CAS, &factor, 1);
    cross = (factor & 0x7F) - (factor & 0x40 ? 128 : 0);
    return state;
}

/* The slowest of 100, 200, ... 1600 Hz that has a new reading for every frame; the magnetometer has 30 a second. */
static int configure(uint32_t period_us)
{
    uint8_t odr = ODR_100_HZ;
    for (uint32_t us = 10000; us > period_us && odr < ODR_1600_HZ; us /= 2)
        odr++;
    const setting inertial[] = {{ACC_CONF, (uint8_t)(ACC_PERFORMANCE | odr)},
                                {ACC_RANGE, RANGE_8_G},
                                {GYR_CONF, (uint8_t)(GYR_PERFORMANCE | odr)},
                                {GYR_RANGE, RANGE_2000_DPS},
                                {PWR_CTRL, ALL_ON}};
    static const setting magnetic[] = {{M_REP_XY, M_9_TIMES}, {M_REP_Z, M_15_TIMES}, {M_MODE, M_30_HZ}};
    device = 1;
    int state = SET_ALL(MAGNETIC, magnetic);
    device = state ? 1 : 0;
    if (!state)
        state = read_cross();
    if (!state)
        state = SET_ALL(INERTIAL, inertial);
    clock_wait(START_US);
    return state;
}

static int16_t word(const uint8_t *bytes)
{
    return (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8);
}

/* ---- self-tests ---- */

/* DS 4.9, rotation: the chip drives and judges it by itself, with the acceleration on. */
static int test_rotation(void)
{
    uint8_t trigger[3] = {G_TRIG_1}, axes = 0;
    int state = bus_write(INERTIAL, PWR_CTRL, ACC_ON);
    if (!state)
        state = bus_write(INERTIAL, FEAT_PAGE, 1);
    if (!state)
        state = get(INERTIAL, G_TRIG_1, trigger + 1, 2);
    trigger[2] &= 0xFE; /* bit 8: the self-test, not the retrimming */
    if (!state)
        state = bus_transfer(INERTIAL, trigger, sizeof trigger, 0, 0);
    if (!state)
        state = bus_write(INERTIAL, CMD, G_TRIGGER);
    for (int i = 0; i < GYR_TEST_POLLS && !state && !(axes & 1); i++) {
        clock_wait(GYR_TEST_POLL_US);
        state = get(INERTIAL, GYR_SELF_TEST_AXES, &axes, 1);
    }
    return state ? state : (axes & GYR_TEST_GOOD) == GYR_TEST_GOOD ? 0 : -SENSOR_FAULT_SELF_TEST;
}

static int pushed(uint8_t direction, int16_t values[3])
{
    uint8_t bytes[6] = {0};
    int state = bus_write(INERTIAL, ACC_SELF_TEST, direction);
    clock_wait(ACC_TEST_US);
    if (!state)
        state = get(INERTIAL, DATA_ACC_X, bytes, sizeof bytes);
    for (int axis = 0; axis < 3; axis++)
        values[axis] = word(bytes + 2 * axis);
    return state;
}

/* DS 4.9, acceleration: pushed one way and the other, x differs by at least 16 g, y by -15 g, z by 10 g. */
static int test_acceleration(void)
{
    static const setting loud[] = {{PWR_CTRL, ACC_ON}, {ACC_RANGE, RANGE_16_G}, {ACC_CONF, ACC_PERFORMANCE | ODR_1600_HZ}};
    int16_t up[3], down[3];
    int state = SET_ALL(INERTIAL, loud);
    clock_wait(ACC_TEST_SETTLE_US);
    if (!state)
        state = pushed(ACC_TEST_POSITIVE, up);
    if (!state)
        state = pushed(ACC_TEST_NEGATIVE, down);
    if (state)
        return state;
    int good = up[0] - down[0] >= 16 * COUNTS_A_G && up[1] - down[1] <= -15 * COUNTS_A_G && up[2] - down[2] >= 10 * COUNTS_A_G;
    return good ? 0 : -SENSOR_FAULT_SELF_TEST;
}

/* DM 4.4, normal self-test: bit 0 of each axis says whether it is well. */
static int test_magnetic(void)
{
    uint8_t bytes[M_BYTES] = {0};
    device = 1;
    int state = bus_write(MAGNETIC, M_MODE, M_SLEEP_TEST);
    clock_wait(M_TEST_US);
    if (!state)
        state = get(MAGNETIC, M_DATA_X, bytes, sizeof bytes);
    return state ? state : bytes[0] & bytes[2] & bytes[4] & 1 ? 0 : -SENSOR_FAULT_SELF_TEST;
}

/* The program has to be loaded again behind it: DS 4.9 ends the self-test with a reset. */
static int self_test(void)
{
    device = 0;
    int state = test_rotation();
    if (!state)
        state = test_acceleration();
    if (!state)
        state = test_magnetic();
    return state ? state : start_inertial();
}

/* ---- reading ---- */

static void begin(int step)
{
    int magnetic = step == READ_MAGNETIC;
    now.step = step;
    now.reg = magnetic ? M_DATA_X : DATA_ACC_X;
    device = (uint8_t)magnetic;
    bus_start(magnetic ? MAGNETIC : INERTIAL, &now.reg, 1, now.bytes, magnetic ? M_BYTES : sizeof now.bytes);
}

/* A reading at an end of its range stays there, so that it is seen. */
static int16_t without_cross(int16_t x, int16_t z)
{
    int32_t value = x - cross * z / 512;
    if (x == INT16_MAX || x == INT16_MIN)
        return x;
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

static int take_inertial(int16_t *frame)
{
    int same = 1;
    for (int axis = 0; axis < 6; axis++) {
        frame[axis] = word(now.bytes + 2 * axis);
        same &= frame[axis] == now.last[axis];
        now.last[axis] = frame[axis];
    }
    frame[3] = without_cross(frame[3], frame[5]);
    now.same = same ? now.same + 1 : 0;
    return now.same >= STUCK_FRAMES ? -SENSOR_FAULT_STUCK : 0;
}

static int advance(int16_t *frame)
{
    if (now.step == READ_INERTIAL) {
        int fault = take_inertial(frame);
        if (fault)
            return fault;
        begin(READ_MAGNETIC);
        return SENSOR_BUSY;
    }
    frame[6] = word(now.bytes) >> 3; /* 13, 13 and 15 bits, at the upper end */
    frame[7] = word(now.bytes + 2) >> 3;
    frame[8] = word(now.bytes + 4) >> 1;
    return SENSOR_DONE;
}

static int read(int16_t *frame)
{
    if (now.step == IDLE) {
        begin(READ_INERTIAL);
        return SENSOR_BUSY;
    }
    int state = bus_poll();
    if (state == BUS_DONE)
        state = advance(frame);
    if (state != SENSOR_BUSY)
        now.step = IDLE;
    return state;
}

static uint8_t faulty(void)
{
    return device;
}

const sensor_driver sensor = {"nano33-rev2", CHANNELS, scale, init, configure, read, self_test, faulty};
