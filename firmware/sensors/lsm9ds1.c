/* lsm9ds1.c: the inertial sensor of the Arduino Nano 33 BLE Sense, rev. 1, on the board's own I2C bus.
 *
 * Source: ST LSM9DS1 data sheet (DocID025715, rev. 3), which has no limits for the response to the self-test: these, their ranges
 * and waits are of ST's own public example for the part. Channels: ax ay az in g, wx wy wz in rad/s, mx my mz in gauss. */
#include "bus.h"
#include "sensor.h"

enum {
    CHANNELS = 9,
    INERTIAL = 0x6B, /* SDO_A/G high on the board */
    MAGNETIC = 0x1E, /* SDO_M high */
    WHO_AM_I = 0x0F,
    IDENTITY_AG = 0x68,
    IDENTITY_M = 0x3D,
    CTRL_REG1_G = 0x10,
    OUT_X_G = 0x18,
    CTRL_REG6_XL = 0x20,
    CTRL_REG8 = 0x22,
    CTRL_REG10 = 0x24,
    OUT_X_XL = 0x28,
    CTRL_REG1_M = 0x20,
    CTRL_REG2_M = 0x21,
    CTRL_REG3_M = 0x22,
    CTRL_REG4_M = 0x23,
    CTRL_REG5_M = 0x24,
    OUT_X_M_MANY = 0x28 | 0x80, /* bit 7: the magnetometer's address counts up (6.1.1) */
    SW_RESET = 0x05,            /* with IF_ADD_INC, its value after reset */
    RUNNING = 0x44,             /* BDU, IF_ADD_INC: no half-new words */
    RANGE_2000_DPS = 3 << 3,
    RANGE_8_G = 3 << 3,
    M_80_HZ_COMPENSATED = 0xDC, /* TEMP_COMP, high performance, 80 Hz */
    M_SOFT_RESET = 0x04,
    M_HIGH_Z = 0x08,
    M_BDU = 0x40,
    TEST_BOTH = 0x05, /* CTRL_REG10: ST_G, ST_XL */
    TEST_M = 0x01,    /* CTRL_REG1_M: ST */
    RANGE_2_G = 0,
    RANGE_12_GAUSS = 2 << 5,
    M_80_HZ = 0x1C,
    TEST_SETTLE_US = 800000,
    TEST_READINGS = 5,
    TEST_PAUSE_US = 15000, /* longer than a sample of either part lasts */
    RESET_US = 20000,
    START_US = 100000, /* twelve samples at 119 Hz: the gyroscope's filters settle */
    STUCK_FRAMES = 32,
};

#define G 0.000244f                            /* table 3: 0.244 mg/LSB at +-8 g */
#define DPS2000 (3.14159265f / 180.0f * 0.07f) /* 70 mdps/LSB at +-2000 degrees/s */
#define GAUSS4 0.00014f                        /* 0.14 mgauss/LSB at +-4 gauss */

static const float scale[CHANNELS] = {G, G, G, DPS2000, DPS2000, DPS2000, GAUSS4, GAUSS4, GAUSS4};

/* Where each of the three readings comes from and goes to; 0: the accelerometer and gyroscope's chip part, 1: the magnetometer's. */
static const struct {
    uint8_t address, reg, first, device;
} readings[3] = {{INERTIAL, OUT_X_XL, 0, 0}, {INERTIAL, OUT_X_G, 3, 0}, {MAGNETIC, OUT_X_M_MANY, 6, 1}};

static uint8_t device, odr;
static struct {
    int step; /* 0: idle, else the reading under way */
    uint8_t reg, bytes[6], same;
    int16_t last[6];
} now;

static int identify(uint8_t address, uint8_t wanted, uint8_t number)
{
    uint8_t reg = WHO_AM_I, identity = 0;
    device = number;
    int state = bus_transfer(address, &reg, 1, &identity, 1);
    return state ? state : identity == wanted ? 0 : -SENSOR_FAULT_MISSING;
}

static int init(void)
{
    bus_init(BUS_INNER);
    now.step = now.same = 0;
    int state = identify(INERTIAL, IDENTITY_AG, 0);
    if (!state)
        state = bus_write(INERTIAL, CTRL_REG8, SW_RESET);
    if (!state)
        state = identify(MAGNETIC, IDENTITY_M, 1);
    if (!state)
        state = bus_write(MAGNETIC, CTRL_REG2_M, M_SOFT_RESET);
    clock_wait(RESET_US);
    return state;
}

static int configure_magnetic(void)
{
    static const uint8_t values[5][2] = {
        {CTRL_REG1_M, M_80_HZ_COMPENSATED}, {CTRL_REG2_M, 0}, {CTRL_REG4_M, M_HIGH_Z}, {CTRL_REG5_M, M_BDU}, {CTRL_REG3_M, 0},
    };
    int state = 0;
    device = 1;
    for (int i = 0; i < 5 && !state; i++)
        state = bus_write(MAGNETIC, values[i][0], values[i][1]);
    return state;
}

/* The slowest of 119, 238, 476, 952 Hz that has a new reading for every frame; the magnetometer has one 80 times a second. */
static int configure(uint32_t period_us)
{
    odr = period_us > 8500 ? 3 : period_us > 4250 ? 4 : period_us > 2125 ? 5 : 6;
    int state = configure_magnetic();
    device = state ? 1 : 0;
    if (!state)
        state = bus_write(INERTIAL, CTRL_REG8, RUNNING);
    if (!state)
        state = bus_write(INERTIAL, CTRL_REG6_XL, (uint8_t)(odr << 5 | RANGE_8_G));
    if (!state)
        state = bus_write(INERTIAL, CTRL_REG1_G, (uint8_t)(odr << 5 | RANGE_2000_DPS));
    clock_wait(START_US);
    return state;
}

/* ---- self-test ---- */

static int set_all(uint8_t address, const uint8_t (*settings)[2], int n)
{
    int state = 0;
    for (int i = 0; i < n && !state; i++)
        state = bus_write(address, settings[i][0], settings[i][1]);
    return state;
}

/* The sums of TEST_READINGS readings of all axes. */
static int summed(int32_t sums[CHANNELS])
{
    uint8_t reg, bytes[6];
    int state = 0;
    clock_wait(TEST_SETTLE_US);
    for (int i = 0; i < 3 * TEST_READINGS && !state; i++) {
        int part = i % 3;
        reg = readings[part].reg;
        device = readings[part].device;
        state = bus_transfer(readings[part].address, &reg, 1, bytes, sizeof bytes);
        for (int axis = 0; axis < 3; axis++)
            sums[3 * part + axis] += (int16_t)(uint16_t)(bytes[2 * axis] | bytes[2 * axis + 1] << 8);
        if (part == 2)
            clock_wait(TEST_PAUSE_US);
    }
    return state;
}

static int judge(const int32_t with[CHANNELS], const int32_t without[CHANNELS])
{
    static const struct {
        float unit, least, most; /* of a count at the test's range; mg, degrees/s, mgauss */
    } limits[CHANNELS] = {
        {0.061f, 70, 1500}, {0.061f, 70, 1500},  {0.061f, 70, 1500},  {0.07f, 200, 800}, {0.07f, 200, 800},
        {0.07f, 200, 800},  {0.43f, 1000, 3000}, {0.43f, 1000, 3000}, {0.43f, 100, 1000}}; /* table 3 at 2 g, 2000, 12 gauss */
    for (int c = 0; c < CHANNELS; c++) {
        float change = (float)(with[c] - without[c]) / TEST_READINGS * limits[c].unit;
        change = change < 0 ? -change : change;
        if (change < limits[c].least || change > limits[c].most) {
            device = c >= 6;
            return -SENSOR_FAULT_SELF_TEST;
        }
    }
    return 0;
}

/* All nine axes at once: with their stimulus first, then without. */
static int self_test(void)
{
    static const uint8_t magnetic[][2] = {
        {CTRL_REG2_M, RANGE_12_GAUSS}, {CTRL_REG5_M, M_BDU}, {CTRL_REG3_M, 0}, {CTRL_REG1_M, M_80_HZ | TEST_M}};
    static const uint8_t inertial[][2] = {{CTRL_REG8, RUNNING},
                                          {CTRL_REG10, TEST_BOTH},
                                          {CTRL_REG6_XL, 3 << 5 | RANGE_2_G},
                                          {CTRL_REG1_G, 3 << 5 | RANGE_2000_DPS}};
    int32_t with[CHANNELS] = {0}, without[CHANNELS] = {0};
    device = 1;
    int state = set_all(MAGNETIC, magnetic, 4);
    device = state ? 1 : 0;
    if (!state)
        state = set_all(INERTIAL, inertial, 4);
    if (!state)
        state = summed(with);
    if (!state)
        state = bus_write(INERTIAL, CTRL_REG10, 0);
    if (!state)
        state = bus_write(MAGNETIC, CTRL_REG1_M, M_80_HZ);
    if (!state)
        state = summed(without);
    return state ? state : judge(with, without);
}

static void begin(int reading)
{
    now.step = reading + 1;
    now.reg = readings[reading].reg;
    device = readings[reading].device;
    bus_start(readings[reading].address, &now.reg, 1, now.bytes, sizeof now.bytes);
}

/* Low byte first. Returns whether all three are what they were in the frame before. */
static int take(int16_t *to, int16_t *last)
{
    int same = 1;
    for (int i = 0; i < 3; i++) {
        to[i] = (int16_t)(uint16_t)(now.bytes[2 * i] | now.bytes[2 * i + 1] << 8);
        same &= to[i] == last[i];
        last[i] = to[i];
    }
    return same;
}

static int advance(int16_t *frame)
{
    static int16_t unused[3];
    static int same;
    int reading = now.step - 1, equal = take(frame + readings[reading].first, reading < 2 ? now.last + 3 * reading : unused);
    same = reading ? same & (equal | (reading == 2)) : equal;
    if (reading < 2) {
        begin(reading + 1);
        return SENSOR_BUSY;
    }
    now.same = same ? now.same + 1 : 0;
    if (now.same < STUCK_FRAMES)
        return SENSOR_DONE;
    device = 0;
    return -SENSOR_FAULT_STUCK;
}

static int read(int16_t *frame)
{
    if (!now.step) {
        begin(0);
        return SENSOR_BUSY;
    }
    int state = bus_poll();
    if (state == BUS_DONE)
        state = advance(frame);
    if (state != SENSOR_BUSY)
        now.step = 0;
    return state;
}

static uint8_t faulty(void)
{
    return device;
}

const sensor_driver sensor = {"nano33-rev1", CHANNELS, scale, init, configure, read, self_test, faulty};
