/* port.c: port.h as a Zephyr application, for any board that `west boards` knows. Only Zephyr's own interfaces: UART, timing, hwinfo,
 * reboot. The line is the devicetree's chosen zephyr,console: a UART, or a USB port where the board or a snippet says so.
 *
 * What is not here: a watchdog (a hang ends with the host's patience) and a record of faults (Zephyr's handler stops the program).
 * Interrupts stay on during an inference, because the kernel's time and the line need them: its ticks are counted too.
 *
 * Source: Zephyr's documentation, "UART" (interrupt-driven API), "Executing Time Functions", "Hardware Information". */
#include "../port.h"

#include <string.h>
#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/timing/timing.h>

#include "../../app/main.h"

#if !DT_HAS_CHOSEN(zephyr_console)
#error "tinyrig: this board's devicetree chooses no zephyr,console: name one in an overlay, or take a snippet for USB"
#endif

enum {
    RING = 2048,     /* bytes that may come while the program does something else; a power of 2 */
    SILENT_MS = 500, /* of a host that takes nothing */
    LEAVES_MS = 20,  /* what a reply needs to leave before a reset */
    LEAST_HZ = 1000000,
};

static const struct device *const line = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
static int by_interrupt;
static uint8_t ring[RING];
static volatile uint32_t ring_in, ring_out;
static const uint8_t *volatile sending;
static volatile uint32_t to_send;
static uint32_t counter_hz;

uint32_t port_clock_hz;

/* All that the timing functions count with lies in 64 bits. A counter slower than port.h allows is scaled to microseconds. */
uint32_t port_cycles(void)
{
    uint64_t count = (uint64_t)timing_counter_get();
    return counter_hz >= LEAST_HZ ? (uint32_t)count : (uint32_t)(count * LEAST_HZ / counter_hz);
}

/* Returns how many bytes it moved, as give. */
static int take(void)
{
    uint8_t some[16];
    int n, all = 0;
    while ((n = uart_fifo_read(line, some, sizeof some)) > 0) {
        for (int i = 0; i < n; i++)
            if (ring_in - ring_out < RING) { /* else it is lost, and asked for again */
                ring[ring_in % RING] = some[i];
                ring_in++; /* last: from here on it may be read */
            }
        all += n;
    }
    return all;
}

static int give(void)
{
    if (!to_send) {
        uart_irq_tx_disable(line);
        return 0;
    }
    int n = uart_fifo_fill(line, sending, (int)to_send);
    if (n <= 0)
        return 0;
    sending += n;
    to_send -= (uint32_t)n;
    return n;
}

static void on_interrupt(const struct device *dev, void *unused)
{
    (void)unused;
    int moved = 1; /* some drivers say for ever that there is room to send */
    while (moved && uart_irq_update(dev) > 0 && uart_irq_is_pending(dev) > 0) {
        moved = uart_irq_rx_ready(dev) > 0 ? take() : 0;
        moved += uart_irq_tx_ready(dev) > 0 ? give() : 0;
    }
}

void port_init(void)
{
    timing_init();
    timing_start();
    counter_hz = (uint32_t)timing_freq_get();
    port_clock_hz = counter_hz >= LEAST_HZ ? counter_hz : LEAST_HZ;
    if (!counter_hz)
        counter_hz = LEAST_HZ;
    if (!device_is_ready(line))
        return; /* nobody can be told */
    by_interrupt = uart_irq_callback_user_data_set(line, on_interrupt, NULL) == 0;
    if (by_interrupt)
        uart_irq_rx_enable(line);
}

void port_started(void)
{
}

/* "-timer": what counts is a timer whose steps need not be the processor's cycles (port.h). */
const char *port_name(void)
{
#if defined(CONFIG_SOC_HAS_TIMING_FUNCTIONS) || defined(CONFIG_BOARD_HAS_TIMING_FUNCTIONS)
    return "zephyr-timer";
#elif defined(CONFIG_CPU_CORTEX_M_HAS_DWT) || defined(CONFIG_CORTEX_M_SYSTICK)
    return "zephyr";
#else
    return "zephyr-timer";
#endif
}

/* What has come, at most n bytes. Never sleeps: the cycle counter of many chips stands still while the processor does. */
static uint32_t read_some(uint8_t *dst, uint32_t n)
{
    uint32_t got = 0;
    if (by_interrupt) {
        while (got < n && ring_out != ring_in)
            dst[got++] = ring[ring_out++ % RING];
    } else {
        while (got < n && uart_poll_in(line, dst + got) == 0)
            got++;
    }
    if (!got)
        k_yield();
    return got;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t got = 0;
    int64_t last = k_uptime_ticks();
    while (got < n) {
        uint32_t more = read_some((uint8_t *)dst + got, n - got);
        got += more;
        if (more)
            last = k_uptime_ticks();
        else if (timeout_us && k_ticks_to_us_floor64((uint64_t)(k_uptime_ticks() - last)) > timeout_us)
            break;
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    const uint8_t *from = src;
    if (!by_interrupt) {
        while (n--)
            uart_poll_out(line, *from++);
        return;
    }
    uint32_t left = n;
    int64_t last = k_uptime_get();
    sending = from;
    to_send = n;
    uart_irq_tx_enable(line);
    while (to_send && k_uptime_get() - last < SILENT_MS) {
        if (to_send != left) {
            left = to_send;
            last = k_uptime_get();
        }
        k_yield();
    }
    uart_irq_tx_disable(line);
    to_send = 0; /* what nobody took is lost, as on a wire */
}

/* The first 8 bytes of the chip's number; zeros: this chip's driver has none. */
void port_board_id(uint8_t id[8])
{
    memset(id, 0, 8);
    if (hwinfo_get_device_id(id, 8) < 0)
        memset(id, 0, 8);
}

/* The bootloader is west's affair. */
_Noreturn void port_reboot(int mode)
{
    (void)mode;
    k_msleep(LEAVES_MS);
    sys_reboot(SYS_REBOOT_COLD);
    for (;;) {}
}

void port_watchdog_start(uint32_t us)
{
    (void)us;
}

void port_watchdog_stop(void)
{
}

const port_fault *port_last_fault(void)
{
    return 0;
}

uint8_t *port_stack_limit(void)
{
    return (uint8_t *)((k_current_get()->stack_info.start + 3) & ~(uintptr_t)3);
}

int main(void)
{
    app_main(); /* never returns */
    return 0;
}
