/* port.c: the firmware as a POSIX process, for tests and for engines that are measured on the host.
 * The line is stdin and stdout (give it both ends of a pty or socket); the counter is the monotonic clock in ns. */
#define _XOPEN_SOURCE 700
#include "../port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 128 * 1024 /* how far below port_init's frame the stack may be painted */ };

#ifndef PORT_CLOCK_HZ /* another one is a lie, for tests of the host's clock check */
#define PORT_CLOCK_HZ 1000000000u
#endif
const uint32_t port_clock_hz = PORT_CLOCK_HZ;

static char hung_variable[] = "TINYRIG_PORT_HUNG=1"; /* in the environment of the program that follows a hung one */

static uint8_t *stack_limit;
static port_fault last_fault;

static void restart_hung(int signal_number)
{
    char *arguments[] = {(char *)"/proc/self/exe", NULL}, *environment[] = {hung_variable, NULL};
    (void)signal_number;
    execve(arguments[0], arguments, environment);
    _exit(1);
}

/* The signal's handler never returned, so the new program inherits the signal blocked. */
static void collect_fault(void)
{
    sigset_t watchdog;
    sigemptyset(&watchdog);
    sigaddset(&watchdog, SIGPROF);
    sigprocmask(SIG_UNBLOCK, &watchdog, NULL);
    signal(SIGPROF, restart_hung);
    last_fault.kind = getenv("TINYRIG_PORT_HUNG") ? PORT_FAULT_HANG : 0;
    unsetenv("TINYRIG_PORT_HUNG");
}

void port_init(void)
{
    collect_fault();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    stack_limit = (uint8_t *)((here - STACK_BYTES) & ~(uintptr_t)7);
}

const char *port_name(void)
{
    return "host";
}

/* A process does not survive a fault, so there is none to tell apart. */
void port_started(void)
{
}

/* Returns 0 when the line stays silent. */
static int wait_readable(uint32_t timeout_us)
{
    struct pollfd line = {STDIN_FILENO, POLLIN, 0};
    int ready;
    do {
        ready = poll(&line, 1, timeout_us ? (int)((timeout_us + 999) / 1000) : -1);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

uint32_t port_read(void *dst, uint32_t n, uint32_t timeout_us)
{
    uint32_t got = 0;
    while (got < n && wait_readable(timeout_us)) {
        ssize_t amount = read(STDIN_FILENO, (uint8_t *)dst + got, n - got);
        if (amount <= 0)
            exit(0); /* the other end is gone */
        got += (uint32_t)amount;
    }
    return got;
}

void port_write(const void *src, uint32_t n)
{
    const uint8_t *from = src;
    while (n) {
        ssize_t amount = write(STDOUT_FILENO, from, n);
        if (amount <= 0)
            exit(0);
        from += amount;
        n -= (uint32_t)amount;
    }
}

uint32_t port_cycles(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

void port_board_id(uint8_t id[8])
{
    memcpy(id, "HOSTPORT", 8);
}

/* Mode 0 starts the same program again on the same line; a bootloader does not exist here, so mode 1 ends it. */
_Noreturn void port_reboot(int mode)
{
    char *arguments[] = {(char *)"/proc/self/exe", NULL};
    if (mode == 0)
        execv(arguments[0], arguments);
    exit(mode == 0);
}

/* Time of the processor, so that a host that sleeps or is busy does not count as hung. */
void port_watchdog_start(uint32_t us)
{
    struct itimerval once = {{0, 0}, {us / 1000000, us % 1000000}};
    setitimer(ITIMER_PROF, &once, NULL);
}

void port_watchdog_stop(void)
{
    struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &off, NULL);
}

const port_fault *port_last_fault(void)
{
    return last_fault.kind ? &last_fault : NULL;
}

uint8_t *port_stack_limit(void)
{
    return stack_limit;
}

/* A pipe named in the environment stands for the pin: '1' and '0' go into it. */
void port_trigger(int on)
{
    static int pipe_end = -1;
    const char *name = getenv("TINYRIG_PORT_MARK");
    if (pipe_end < 0 && name)
        pipe_end = open(name, O_WRONLY | O_CLOEXEC);
    if (pipe_end >= 0 && write(pipe_end, on ? "1" : "0", 1) != 1)
        exit(1);
}
