/* glove.c: the paper's glove: five MPU-6050 behind a TCA9548A, one for each finger, and five force-sensitive resistors.
 *
 * Sources: MPU-6000/6050 Register Map (RM-MPU-6000A-00, rev. 4.2) and Product Specification (PS-MPU-6000A-00, rev. 3.4), TI
 * TCA9548A (SCPS207). Channels: per finger ax ay az in g, gx gy gz in rad/s; then the five resistors in V. */
#include "bus.h"
#include "sensor.h"

enum {
    FINGERS = 5,
    AXES = 6,
    CHANNELS = FINGERS * (AXES + 1),
    MUX = 0x70,         /* TCA9548A, A0 to A2 low */
    MPU6050 = 0x68,     /* AD0 low */
    SELF_TEST_X = 0x0D, /* 4 registers: X, Y, Z, A (RM 4.1) */
    SMPLRT_DIV = 0x19,
    CONFIG = 0x1A,
    GYRO_CONFIG = 0x1B,
    ACCEL_CONFIG = 0x1C,
    ACCEL_XOUT_H = 0x3B,
    PWR_MGMT_1 = 0x6B,
    WHO_AM_I = 0x75,
    IDENTITY = 0x68,
    DEVICE_RESET = 0x80,
    CLOCK_PLL_X = 1,
    DLPF_44_HZ = 3, /* the gyroscope then gives 1 kHz */
    RANGE_1000_DPS = 2 << 3,
    RANGE_4_G = 1 << 3,
    RANGE_250_DPS_TEST = 0xE0, /* self-test of three axes at +-250 degrees/s */
    RANGE_8_G_TEST = 0xE0 | 2 << 3,
    RANGE_8_G = 2 << 3,
    BURST = 14,        /* acceleration, temperature, rotation: 7 words, high byte first */
    RESET_US = 100000, /* RM 4.28 */
    START_US = 50000,  /* the gyroscope's start-up takes 30 ms (PS 6.1) */
    STUCK_FRAMES = 32, /* noise moves the last bits: at 400 ug/sqrt(Hz) no two readings of six axes stay equal for long */
    OPEN_COUNTS = 8,   /* 1 Mohm across a resistor that nobody presses, 10 kohm to ground: 40 counts */
    OPEN_FRAMES = 4,
};

#define G (1.0f / 8192.0f)                     /* RM 4.17: 8192 LSB/g at +-4 g */
#define DPS1000 (3.14159265f / 180.0f / 32.8f) /* RM 4.19: 32.8 LSB/(degree/s) at +-1000 */
#define VOLT (3.3f / 4096.0f)                  /* of VDD = 3.3 V */
#define FINGER G, G, G, DPS1000, DPS1000, DPS1000

static const float scale[CHANNELS] = {FINGER, FINGER, FINGER, FINGER, FINGER, VOLT, VOLT, VOLT, VOLT, VOLT};
static const uint8_t force_inputs[FINGERS] = {0, 1, 2, 3, 6}; /* A0 to A3, A6 */

/* `device`: 0 to 4 a finger's MPU-6050, 5 to 9 its resistor, 10 the multiplexer. */
enum { DEVICE_FORCE = FINGERS, DEVICE_MUX = 2 * FINGERS };
static uint8_t device;

static struct {
    enum { IDLE, SELECT, BURST_READ, FORCE } step;
    uint8_t finger, mux, reg;
    uint8_t bytes[BURST];
    int16_t force[FINGERS];
    int16_t last[FINGERS][AXES];
    uint8_t same[FINGERS], open[FINGERS];
} now;

static int select_finger(uint8_t finger)
{
    static uint8_t mask;
    mask = (uint8_t)(1u << finger);
    device = DEVICE_MUX;
    int state = bus_transfer(MUX, &mask, 1, 0, 0);
    device = state ? DEVICE_MUX : finger;
    return state;
}

static int get(uint8_t reg, uint8_t *bytes, uint32_t n)
{
    uint8_t address = reg;
    return bus_transfer(MPU6050, &address, 1, bytes, n);
}

static int init_finger(uint8_t finger)
{
    uint8_t identity = 0;
    int state = select_finger(finger);
    if (!state)
        state = get(WHO_AM_I, &identity, 1);
    if (!state && identity != IDENTITY)
        return -SENSOR_FAULT_MISSING;
    return state ? state : bus_write(MPU6050, PWR_MGMT_1, DEVICE_RESET);
}

static int wake_finger(uint8_t finger)
{
    int state = select_finger(finger);
    if (!state)
        state = bus_write(MPU6050, PWR_MGMT_1, CLOCK_PLL_X);
    return state ? state : bus_write(MPU6050, CONFIG, DLPF_44_HZ);
}

static int each_finger(int (*call)(uint8_t finger))
{
    int state = 0;
    for (uint8_t finger = 0; finger < FINGERS && !state; finger++)
        state = call(finger);
    return state;
}

static int init(void)
{
    bus_init(BUS_OUTER);
    adc_init(force_inputs, FINGERS);
    now.step = IDLE;
    for (uint8_t finger = 0; finger < FINGERS; finger++)
        now.same[finger] = now.open[finger] = 0;
    int state = each_finger(init_finger);
    if (state)
        return state;
    clock_wait(RESET_US);
    state = each_finger(wake_finger);
    clock_wait(START_US);
    return state;
}

static uint8_t divider;

static int configure_finger(uint8_t finger)
{
    int state = select_finger(finger);
    if (!state)
        state = bus_write(MPU6050, SMPLRT_DIV, divider);
    if (!state)
        state = bus_write(MPU6050, GYRO_CONFIG, RANGE_1000_DPS);
    return state ? state : bus_write(MPU6050, ACCEL_CONFIG, RANGE_4_G);
}

/* A new reading for every frame: 1 kHz / (1 + divider), RM 4.2. */
static int configure(uint32_t period_us)
{
    uint32_t ms = period_us / 1000;
    divider = (uint8_t)(ms < 1 ? 0 : ms > 256 ? 255 : ms - 1);
    return each_finger(configure_finger);
}

static int16_t word(const uint8_t *bytes)
{
    return (int16_t)(uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* RM 4.1: the factory's response, in counts; 0: not programmed. */
static float trim(int axis, const uint8_t test[4])
{
    int gyro = axis >= 3, low = test[3] >> (4 - 2 * axis) & 3;
    int code = gyro ? test[axis - 3] & 0x1F : (test[axis] >> 5) << 2 | low;
    float factor = gyro ? 25.0f * 131.0f : 4096.0f * 0.34f;
    for (int i = 1; i < code; i++)
        factor *= gyro ? 1.046f : 1.0337382f; /* (0.92 / 0.34) ^ (1 / 30) */
    return code ? (axis == 4 ? -factor : factor) : 0.0f;
}

static int measured(uint8_t gyro_config, uint8_t accel_config, int16_t values[AXES])
{
    uint8_t bytes[BURST];
    int state = bus_write(MPU6050, GYRO_CONFIG, gyro_config);
    if (!state)
        state = bus_write(MPU6050, ACCEL_CONFIG, accel_config);
    clock_wait(START_US);
    if (!state)
        state = get(ACCEL_XOUT_H, bytes, BURST);
    for (int axis = 0; axis < AXES; axis++)
        values[axis] = word(bytes + 2 * (axis + (axis >= 3)));
    return state;
}

static int test_finger(uint8_t finger)
{
    uint8_t test[4];
    int16_t with[AXES] = {0}, without[AXES] = {0};
    int state = select_finger(finger);
    if (!state)
        state = get(SELF_TEST_X, test, sizeof test);
    if (!state)
        state = measured(RANGE_250_DPS_TEST, RANGE_8_G_TEST, with);
    if (!state)
        state = measured(0, RANGE_8_G, without);
    for (int axis = 0; axis < AXES && !state; axis++) {
        float factory = trim(axis, test), change = (float)(with[axis] - without[axis]) / factory - 1.0f;
        if (factory != 0.0f && (change > 0.14f || change < -0.14f)) /* PS 6.1: within 14 % */
            state = -SENSOR_FAULT_SELF_TEST;
    }
    return state;
}

static int self_test(void)
{
    return each_finger(test_finger);
}

static void begin_finger(void)
{
    now.mux = (uint8_t)(1u << now.finger);
    now.step = SELECT;
    device = DEVICE_MUX;
    bus_start(MUX, &now.mux, 1, 0, 0);
}

static int take_finger(int16_t *frame)
{
    int16_t *last = now.last[now.finger], *to = frame + AXES * now.finger;
    int same = 1;
    for (int axis = 0; axis < AXES; axis++) {
        to[axis] = word(now.bytes + 2 * (axis + (axis >= 3)));
        same &= to[axis] == last[axis];
        last[axis] = to[axis];
    }
    now.same[now.finger] = same ? now.same[now.finger] + 1 : 0;
    return now.same[now.finger] >= STUCK_FRAMES ? -SENSOR_FAULT_STUCK : 0;
}

static int take_force(int16_t *frame)
{
    for (uint8_t finger = 0; finger < FINGERS; finger++) {
        int16_t counts = now.force[finger] < 0 ? 0 : now.force[finger]; /* noise around ground */
        frame[FINGERS * AXES + finger] = counts;
        now.open[finger] = counts < OPEN_COUNTS ? now.open[finger] + 1 : 0;
        if (now.open[finger] >= OPEN_FRAMES) {
            device = DEVICE_FORCE + finger;
            return -SENSOR_FAULT_OPEN;
        }
    }
    return SENSOR_DONE;
}

static int advance(int16_t *frame)
{
    if (now.step == SELECT) {
        device = now.finger;
        now.reg = ACCEL_XOUT_H;
        now.step = BURST_READ;
        bus_start(MPU6050, &now.reg, 1, now.bytes, BURST);
        return SENSOR_BUSY;
    }
    int fault = take_finger(frame);
    if (fault)
        return fault;
    if (++now.finger < FINGERS)
        begin_finger();
    else
        now.step = FORCE;
    return SENSOR_BUSY;
}

static int read(int16_t *frame)
{
    int state;
    switch (now.step) {
    case IDLE:
        now.finger = 0;
        adc_start(now.force);
        begin_finger();
        return SENSOR_BUSY;
    case FORCE:
        device = DEVICE_FORCE;
        state = adc_poll();
        if (state == BUS_DONE)
            state = take_force(frame);
        break;
    default:
        state = bus_poll();
        if (state == BUS_DONE)
            state = advance(frame);
    }
    if (state != SENSOR_BUSY)
        now.step = IDLE;
    return state;
}

static uint8_t faulty(void)
{
    return device;
}

const sensor_driver sensor = {"glove", CHANNELS, scale, init, configure, read, self_test, faulty};
