/* memory.c: see memory.h. */
#include "memory.h"

#include <string.h>

#define NO_LINE 0xFFFFFFFFu
#define FALL_LAG 0x10000 /* cycles that the bus may be idle in a state that is kept */

static int in_flash(const struct memory *m, uint32_t address)
{
    return address - m->system.flash_start < m->system.flash_bytes;
}

void memory_reset(struct memory *m, int cached)
{
    uint32_t ways = cached ? m->system.ways : 1;
    uint32_t bytes = cached ? m->system.cache_bytes : m->system.line_bytes;
    m->cached = cached;
    m->ways = ways;
    m->set_mask = bytes / m->system.line_bytes / ways - 1;
    m->next = m->missed = NO_LINE;
    memset(m->tags, 0xFF, sizeof m->tags);
    memset(m->data, 0xFF, sizeof m->data);
}

void memory_init(struct memory *m, const struct memory_system *system)
{
    memset(m, 0, sizeof *m);
    m->system = *system;
    m->line_shift = (uint32_t)__builtin_ctz(system->line_bytes);
    memory_reset(m, 0);
}

void memory_moved(struct memory *m, const struct memory *of, const struct memory_layout *layout)
{
    *m = *of;
    m->layout = *layout;
    memory_reset(m, of->cached);
}

/* The lines of the cache that may hold `line`, which is in the flash. */
static uint32_t *set_of(struct memory *m, uint32_t line)
{
    return m->tags + ((line + m->moved) & m->set_mask) * m->ways;
}

/* Whether `line` is among the `count` in `lines`; it is the first of them afterwards. */
static int touch(uint32_t *lines, uint32_t count, uint32_t line)
{
    uint32_t at = 0;
    if (lines[0] == line)
        return 1;
    while (at < count && lines[at] != line)
        at++;
    int found = at < count;
    for (at = found ? at : count - 1; at; at--)
        lines[at] = lines[at - 1];
    lines[0] = line;
    return found;
}

static uint32_t fetch_wait(struct memory *m, uint32_t address)
{
    uint32_t line = address >> m->line_shift;
    if (!in_flash(m, address))
        return 0;
    if (touch(set_of(m, line), m->ways, line)) {
        m->hits++;
        return 0;
    }
    uint32_t wait = line == m->missed + 1 ? m->system.miss_next : m->system.miss;
    m->missed = line;
    m->misses++;
    return wait;
}

/* One word a cycle, as soon as the queue has room. */
static void fetch(struct memory *m)
{
    uint32_t word = m->next / 4;
    uint64_t room = m->taken[(word - m->system.queue) % MEMORY_WORDS];
    uint64_t start = m->bus > room ? m->bus : room;
    m->ready[word % MEMORY_WORDS] = start + fetch_wait(m, m->next);
    m->bus = m->ready[word % MEMORY_WORDS] + 1;
    m->next += 4;
}

static void jump(struct memory *m, uint32_t address)
{
    m->next = address & ~3u;
    if (m->bus < m->now)
        m->bus = m->now;
    memset(m->taken, 0, sizeof m->taken);
}

static void execute(struct memory *m, const struct memory_code *code)
{
    const struct memory_step *step = code->steps;
    uint32_t at = code->address;
    for (uint32_t k = code->count; k; k--, step++) {
        uint32_t last = (at + step->bytes - 1) & ~3u;
        while ((int32_t)(last - m->next) >= 0)
            fetch(m);
        if (m->now < m->ready[last / 4 % MEMORY_WORDS])
            m->now = m->ready[last / 4 % MEMORY_WORDS];
        m->taken[at / 4 % MEMORY_WORDS] = m->taken[last / 4 % MEMORY_WORDS] = m->now;
        m->now += step->cycles;
        at += step->bytes;
        uint32_t end = (at & ~3u) + 4 * m->system.queue;
        while ((int32_t)(end - m->next) > 0 && m->bus < m->now)
            fetch(m);
    }
}

/* Runs the code on a memory that never waits. */
static void work_out(const struct memory_code *code, uint32_t queue)
{
    struct memory_pass *pass = code->pass;
    struct memory ideal = {.system = {.queue = queue}};
    jump(&ideal, code->address);
    execute(&ideal, code);
    pass->queue = queue;
    pass->words = (ideal.next - (code->address & ~3u)) / 4;
    pass->cycles = (uint32_t)ideal.now;
    pass->bus = (uint32_t)ideal.bus;
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        pass->ready[i] = (uint32_t)ideal.ready[i];
        pass->taken[i] = (uint32_t)ideal.taken[i];
    }
}

/* Whether each of `words` words is in the cache, and its line the one used last in its set. */
static int all_cached(struct memory *m, uint32_t first, uint32_t words)
{
    uint32_t last = first + 4 * words - 4;
    if (!in_flash(m, first) || !in_flash(m, last))
        return 0;
    for (uint32_t line = first >> m->line_shift; line <= last >> m->line_shift; line++) {
        if (*set_of(m, line) != line)
            return 0;
    }
    return 1;
}

static void apply(struct memory *m, uint32_t address, const struct memory_pass *pass)
{
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        m->ready[i] = m->now + pass->ready[i];
        m->taken[i] = m->now + pass->taken[i];
    }
    m->bus = m->now + pass->bus;
    m->now += pass->cycles;
    m->next = (address & ~3u) + 4 * pass->words;
    m->hits += pass->words;
}

static struct memory_state state_of(const struct memory *m, uint32_t address)
{
    struct memory_state s = {.bus = (int32_t)(m->bus - m->now), .next = m->next - address, .queue = m->system.queue};
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        s.ready[i] = m->ready[i] > m->now ? (uint32_t)(m->ready[i] - m->now) : 0;
        s.taken[i] = m->taken[i] > m->bus ? (uint32_t)(m->taken[i] - m->bus) : 0;
    }
    return s;
}

/* One bit for each word's place from `first` up to `end`, exclusive. */
static uint32_t places(uint32_t first, uint32_t end)
{
    uint32_t bits = 0;
    for (uint32_t k = first; k != end && k - first < MEMORY_WORDS; k++)
        bits |= 1u << k % MEMORY_WORDS;
    return bits;
}

/* Runs the code on a memory that never waits, from state `before`. */
static void work_out_fall(struct memory_fall *f, const struct memory_code *code, const struct memory_state *before)
{
    const uint64_t now = 1ull << 40;
    struct memory ideal = {.system = {.queue = before->queue}, .now = now, .bus = now + (uint64_t)(int64_t)before->bus};
    uint32_t end = code->address;
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        ideal.ready[i] = now + before->ready[i];
        ideal.taken[i] = ideal.bus + before->taken[i];
    }
    ideal.next = code->address + before->next;
    const uint32_t next = ideal.next;
    execute(&ideal, code);
    for (uint32_t k = 0; k < code->count; k++)
        end += code->steps[k].bytes;
    *f = (struct memory_fall){.before = *before, .words = (ideal.next - next) / 4, .cycles = (uint32_t)(ideal.now - now), .bus = (int32_t)(ideal.bus - now)};
    f->fetched = places(next / 4, ideal.next / 4);
    f->executed = places(code->address / 4, (end - 1) / 4 + 1);
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        f->ready[i] = (int32_t)(ideal.ready[i] - now);
        f->taken[i] = (int32_t)(ideal.taken[i] - now);
    }
}

/* `by` cycles after `time`, or before it. */
static uint64_t later(uint64_t time, int32_t by)
{
    return time + (uint64_t)(int64_t)by;
}

static void apply_fall(struct memory *m, const struct memory_fall *f)
{
    for (uint32_t i = 0; i < MEMORY_WORDS; i++) {
        m->ready[i] = f->fetched >> i & 1 ? later(m->now, f->ready[i]) : m->ready[i];
        m->taken[i] = f->executed >> i & 1 ? later(m->now, f->taken[i]) : m->taken[i];
    }
    m->bus = later(m->now, f->bus);
    m->now += f->cycles;
    m->next += 4 * f->words;
    m->hits += f->words;
}

/* What the code costs from where fetching stands, when nothing waits. */
static const struct memory_fall *fall_of(const struct memory *m, const struct memory_code *code)
{
    struct memory_falls *falls = code->falls;
    const struct memory_state state = state_of(m, code->address);
    uint32_t known = falls->count < MEMORY_FALLS ? falls->count : MEMORY_FALLS;
    for (uint32_t k = 0; k < known; k++)
        if (!memcmp(&falls->all[k].before, &state, sizeof state))
            return &falls->all[k];
    struct memory_fall *new = &falls->all[falls->count++ % MEMORY_FALLS];
    work_out_fall(new, code, &state);
    return new;
}

/* Arriving at half a word, a wide instruction needs two fetches; nothing else can be late. */
static uint32_t without_waits(const struct memory_code *code, int jumped)
{
    return code->cycles + (jumped && code->count && code->steps->bytes == 4 && (code->address & 2) != 0);
}

void memory_block(struct memory *m, const struct memory_code *code, int extra, int jumped)
{
    m->now += (uint64_t)(int64_t)extra;
    if (m->layout.order && in_flash(m, code->address)) /* what is fetched ahead beyond its end would be padding */
        m->moved = m->layout.order[(code->address - m->system.flash_start) / 4] * m->layout.stride;
    if (!m->system.miss && !m->system.miss_next) {
        m->now += without_waits(code, jumped);
        return;
    }
    if (jumped && m->bus <= m->now && code->count) {
        if (!code->pass->words || code->pass->queue != m->system.queue)
            work_out(code, m->system.queue);
        if (all_cached(m, code->address & ~3u, code->pass->words)) {
            apply(m, code->address, code->pass);
            return;
        }
    }
    if (!jumped && code->falls && code->count && m->bus + FALL_LAG > m->now) {
        const struct memory_fall *fall = fall_of(m, code);
        if (!fall->words || all_cached(m, m->next, fall->words)) {
            apply_fall(m, fall);
            return;
        }
    }
    if (jumped)
        jump(m, code->address);
    execute(m, code);
}

void memory_read(struct memory *m, uint32_t address)
{
    if (in_flash(m, address))
        m->now += touch(m->data, m->system.data_lines, address >> m->line_shift) ? m->system.data_again : m->system.data_line;
}
