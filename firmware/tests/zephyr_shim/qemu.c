/* qemu.c: the shim on a machine of QEMU's: firmware/port/mps2 or virt is its line and its clock, whose port_ names become shim_ at
 * compile time. Interrupts of the line come when the program yields or enables one. */
#include <string.h>
#include <zephyr/device.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/timing/timing.h>

extern const uint32_t shim_clock_hz; /* instructions in a second of the machine's time */
void shim_init(void);
uint32_t shim_read(void *dst, uint32_t n, uint32_t timeout_us);
void shim_write(const void *src, uint32_t n);
uint32_t shim_cycles(void);
void shim_reboot(int mode);
void shim_board_id(uint8_t id[8]);
uint8_t *shim_stack_limit(void);

enum { PIECE_US = 50, FIFO = 64 };

const struct device shim_console = {"console"};
static uart_irq_callback_user_data_t callback;
static int receives, sends, inside;
static uint8_t fifo[FIFO];
static uint32_t taken, filled;

static uint64_t instructions(void)
{
    static uint64_t count;
    static uint32_t last;
    uint32_t now = shim_cycles();
    count += now - last;
    last = now;
    return count;
}

static void look_at_line(void)
{
    if (taken == filled) {
        taken = 0;
        filled = shim_read(fifo, sizeof fifo, PIECE_US);
    }
}

static void interrupt(void)
{
    if (inside || !callback)
        return;
    inside = 1;
    callback(&shim_console, NULL);
    inside = 0;
}

bool device_is_ready(const struct device *dev)
{
    static int started;
    if (!started++)
        timing_init();
    return dev == &shim_console;
}

#ifdef SHIM_POLLS /* a driver without interrupts */
int uart_irq_callback_user_data_set(const struct device *dev, uart_irq_callback_user_data_t cb, void *user_data)
{
    (void)dev, (void)cb, (void)user_data;
    return -88; /* ENOSYS */
}
#else
int uart_irq_callback_user_data_set(const struct device *dev, uart_irq_callback_user_data_t cb, void *user_data)
{
    (void)dev, (void)user_data;
    callback = cb;
    return 0;
}
#endif

void uart_irq_rx_enable(const struct device *dev)
{
    (void)dev;
    receives = 1;
}

void uart_irq_tx_enable(const struct device *dev)
{
    (void)dev;
    sends = 1;
    interrupt();
}

void uart_irq_tx_disable(const struct device *dev)
{
    (void)dev;
    sends = 0;
}

int uart_irq_update(const struct device *dev)
{
    (void)dev;
    return inside;
}

int uart_irq_is_pending(const struct device *dev)
{
    return uart_irq_rx_ready(dev) || uart_irq_tx_ready(dev);
}

int uart_irq_rx_ready(const struct device *dev)
{
    (void)dev;
    return receives && taken != filled;
}

int uart_irq_tx_ready(const struct device *dev)
{
    (void)dev;
    return sends;
}

int uart_fifo_read(const struct device *dev, uint8_t *rx_data, const int size)
{
    int n = 0;
    (void)dev;
    while (n < size && taken != filled)
        rx_data[n++] = fifo[taken++];
    return n;
}

/* At most as many bytes as a FIFO has. */
int uart_fifo_fill(const struct device *dev, const uint8_t *tx_data, int size)
{
    (void)dev;
    int n = size < FIFO ? size : FIFO;
    shim_write(tx_data, (uint32_t)n);
    return n;
}

int uart_poll_in(const struct device *dev, unsigned char *p_char)
{
    (void)dev;
    look_at_line();
    if (taken == filled)
        return -1;
    *p_char = fifo[taken++];
    return 0;
}

void uart_poll_out(const struct device *dev, unsigned char out_char)
{
    (void)dev;
    shim_write(&out_char, 1);
}

void k_yield(void)
{
    look_at_line();
    interrupt();
}

int32_t k_msleep(int32_t ms)
{
    int64_t from = k_uptime_get();
    while (k_uptime_get() - from < ms) {}
    return 0;
}

int64_t k_uptime_get(void)
{
    return (int64_t)(instructions() * 16 / 125000); /* 128 ns each */
}

/* 10 kHz, as Zephyr's default. */
int64_t k_uptime_ticks(void)
{
    return (int64_t)(instructions() * 16 / 12500);
}

uint64_t k_ticks_to_us_floor64(uint64_t ticks)
{
    return ticks * 100;
}

k_tid_t k_current_get(void)
{
    static struct k_thread thread;
    thread.stack_info.start = (uintptr_t)shim_stack_limit();
    return &thread;
}

ssize_t hwinfo_get_device_id(uint8_t *buffer, size_t length)
{
    uint8_t id[8];
    shim_board_id(id);
    memcpy(buffer, id, length < sizeof id ? length : sizeof id);
    return (ssize_t)(length < sizeof id ? length : sizeof id);
}

void sys_reboot(int type)
{
    (void)type;
    shim_reboot(0);
}

void timing_init(void)
{
    static int done;
    if (!done++)
        shim_init();
}

void timing_start(void)
{
}

timing_t timing_counter_get(void)
{
    return instructions();
}

uint64_t timing_freq_get(void)
{
    return shim_clock_hz;
}
