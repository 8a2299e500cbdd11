/* line.c: see line.h. Takes the place of the operating system below port/host/port.c (port.c says how). */
#include "line.h"

#include <poll.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "../app/main.h"
#include "../tests/check.h"

enum { ROOM = 1 << 20, OVER = 1, RESET = 2, TICK_NS = 50 };

/* The board's variables. build.py renames the sections of its object files, so the linker defines where they begin and end. */
extern uint64_t __start_board_data[] __attribute__((weak)), __stop_board_data[] __attribute__((weak));
extern uint64_t __start_board_bss[] __attribute__((weak)), __stop_board_bss[] __attribute__((weak));

static struct {
    line_source source;
    line_burst burst;
    uint32_t at;
    int told; /* the board has noticed the silence after this burst */
    uint8_t sent[ROOM];
    uint32_t sent_bytes;
} line;

static jmp_buf out;
static uint32_t resets;
static uint64_t now_ns;

/* Word by word, because the sanitizers keep red zones between these variables and guard memcpy. */
__attribute__((no_sanitize("address", "undefined"))) static void copy(volatile uint64_t *to, const uint64_t *end,
                                                                      const uint64_t *from)
{
    while (to < end)
        *to++ = from ? *from++ : 0;
}

__attribute__((no_sanitize("address", "undefined"))) static void power_up(void)
{
    static uint64_t *initial;
    size_t bytes = (uintptr_t)__stop_board_data - (uintptr_t)__start_board_data;
    if (!initial && bytes) {
        initial = malloc(bytes + sizeof *initial);
        copy(initial, initial + bytes / sizeof *initial, __start_board_data);
    }
    copy(__start_board_data, __stop_board_data, initial);
    copy(__start_board_bss, __stop_board_bss, 0);
}

void line_run(line_source source)
{
    line.source = source;
    line.burst = (line_burst){0, 0};
    line.at = line.sent_bytes = 0;
    line.told = 1;
    now_ns = 0;
    if (setjmp(out) == OVER)
        return;
    power_up();
    app_main();
}

uint32_t line_resets(void)
{
    return resets;
}

static void next_burst(void)
{
    line.burst = line.source(line.sent, line.sent_bytes);
    line.sent_bytes = line.at = 0;
    line.told = 0;
    if (!line.burst.bytes)
        longjmp(out, OVER);
}

int line_poll(struct pollfd *files, nfds_t count, int timeout_ms)
{
    (void)files, (void)count;
    if (line.at == line.burst.n && timeout_ms >= 0 && !line.told) {
        line.told = 1;
        return 0;
    }
    while (line.at == line.burst.n)
        next_burst();
    return 1;
}

ssize_t line_read(int file, void *to, size_t n)
{
    (void)file;
    size_t left = line.burst.n - line.at;
    n = n < left ? n : left;
    memcpy(to, line.burst.bytes + line.at, n);
    line.at += (uint32_t)n;
    return (ssize_t)n;
}

ssize_t line_write(int file, const void *from, size_t n)
{
    (void)file;
    CHECK(n <= ROOM - line.sent_bytes);
    memcpy(line.sent + line.sent_bytes, from, n);
    line.sent_bytes += (uint32_t)n;
    return (ssize_t)n;
}

int line_clock(clockid_t clock, struct timespec *now)
{
    (void)clock;
    now_ns += TICK_NS + now_ns % 13; /* uneven, so that no two inferences look the same */
    now->tv_sec = (time_t)(now_ns / 1000000000u);
    now->tv_nsec = (long)(now_ns % 1000000000u);
    return 0;
}

int line_execv(const char *program, char *const arguments[])
{
    (void)program, (void)arguments;
    resets++;
    longjmp(out, RESET);
}

/* Only a reset into the bootloader comes here, since line_read never fails; the bootloader starts the application again. */
_Noreturn void line_exit(int status)
{
    (void)status;
    resets++;
    longjmp(out, RESET);
}
