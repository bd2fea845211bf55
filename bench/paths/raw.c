// SPDX-License-Identifier: MIT
/*
 * What is no USB at all, but what a path cannot be faster than: a copy of the same bytes in one thread, a
 * wake-up of another process and back, a cache line that goes to another processor and back.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/paths/paths.h"
#include "bench/process.h"
#include "process/loop.h"

/* ---- memcpy ---- */

#define PIECE_BYTES 4096u
#define URB_PIECES  15u
#define SOURCE_URBS 136u /* what work_read.c walks through */
#define TARGET_URBS 64u /* as many as our own paths have under way */
#define URB_BYTES   (PIECE_BYTES * URB_PIECES)

static uint64_t copy_for(uint8_t *target, const uint8_t *source, uint64_t ns)
{
    uint64_t end = loop_now_ns() + ns, urbs = 0;
    do {
        const uint8_t *from = source + urbs % SOURCE_URBS * URB_BYTES;
        uint8_t *to = target + urbs % TARGET_URBS * URB_BYTES;
        for (unsigned int i = 0; i < URB_PIECES; i++)
            memcpy(to + i * PIECE_BYTES, from + i * PIECE_BYTES, PIECE_BYTES);
        __asm__ volatile("" : : "r"(to) : "memory"); /* somebody may look at it */
        urbs++;
    } while (loop_now_ns() < end);
    return urbs;
}

static int measure_memcpy(enum bench_raw_profile profile, const struct bench_setup *setup, uint64_t ns,
                          struct bench_raw *out)
{
    (void)setup;
    if (profile != BENCH_RAW_BULK)
        return -ENOTSUP;
    uint8_t *source = malloc((size_t)SOURCE_URBS * URB_BYTES);
    uint8_t *target = malloc((size_t)TARGET_URBS * URB_BYTES);
    int rc = source && target ? 0 : -ENOMEM;
    if (!rc) {
        memset(source, 0x5a, (size_t)SOURCE_URBS * URB_BYTES); /* pages of its own, not the one of zeros */
        memset(target, 0, (size_t)TARGET_URBS * URB_BYTES);
        (void)copy_for(target, source, ns / 10);
        uint64_t cpu = bench_cpu_ns(NULL), begin = loop_now_ns();
        out->operations = copy_for(target, source, ns);
        out->elapsed_ns = loop_now_ns() - begin;
        out->cpu_ns = bench_cpu_ns(NULL) - cpu;
        out->bytes = out->operations * URB_BYTES;
    }
    free(source);
    free(target);
    return rc;
}

/* ---- there and back ---- */

struct line {
    _Atomic uint32_t ping, pong; /* one cache line, as the indexes of a Xen ring are */
};

/* What both sides of a ping-pong share. */
struct pair {
    int ping, pong; /* eventfds */
    struct line *line;
    pid_t pid;
};

#define STOP      2u           /* is not a ping */
#define TURNS_MAX (1ull << 32) /* of spinning, about a minute: the other one is gone */

static void echo_events(const struct pair *pair)
{
    eventfd_t value;
    while (eventfd_read(pair->ping, &value) == 0 && value < STOP) {
        if (eventfd_write(pair->pong, 1))
            return;
    }
}

static int ping_event(const struct pair *pair)
{
    eventfd_t value;
    return eventfd_write(pair->ping, 1) || eventfd_read(pair->pong, &value) ? -errno : 0;
}

static void stop_events(const struct pair *pair)
{
    (void)eventfd_write(pair->ping, STOP);
}

static void echo_line(const struct pair *pair)
{
    uint32_t seen = 0, now;
    while ((now = atomic_load_explicit(&pair->line->ping, memory_order_acquire)) != UINT32_MAX) {
        if (now != seen)
            atomic_store_explicit(&pair->line->pong, now, memory_order_release);
        else
            bench_relax();
        seen = now;
    }
}

static int ping_line(const struct pair *pair)
{
    uint32_t next = atomic_load_explicit(&pair->line->ping, memory_order_relaxed) + 1;
    atomic_store_explicit(&pair->line->ping, next, memory_order_release);
    for (uint64_t turns = 0; atomic_load_explicit(&pair->line->pong, memory_order_acquire) != next; turns++) {
        if (turns > TURNS_MAX)
            return -ETIMEDOUT;
        bench_relax();
    }
    return 0;
}

static void stop_line(const struct pair *pair)
{
    atomic_store(&pair->line->ping, UINT32_MAX);
}

struct ping_pong {
    void (*echo)(const struct pair *pair);
    int (*ping)(const struct pair *pair);
    void (*stop)(const struct pair *pair);
};

static int play(const struct ping_pong *way, const struct pair *pair, uint64_t ns, struct bench_raw *out)
{
    struct bench_session session = {.process = {pair->pid}, .nr_processes = 1};
    uint64_t warm = loop_now_ns() + ns / 10;
    int rc = 0;
    while (!rc && loop_now_ns() < warm)
        rc = way->ping(pair);
    uint64_t cpu = bench_cpu_ns(&session), begin = loop_now_ns(), last = begin;
    while (!rc && last - begin < ns) {
        rc = way->ping(pair);
        uint64_t now = loop_now_ns();
        if (out->nr_latencies < out->latency_max)
            out->latency_ns[out->nr_latencies++] = now - last;
        last = now;
        out->operations++;
    }
    out->elapsed_ns = last - begin;
    out->cpu_ns = bench_cpu_ns(&session) - cpu;
    return rc;
}

static int open_pair(struct pair *pair)
{
    *pair = (struct pair){.ping = eventfd(0, EFD_CLOEXEC), .pong = eventfd(0, EFD_CLOEXEC)};
    pair->line = mmap(NULL, sizeof(*pair->line), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return pair->ping < 0 || pair->pong < 0 || pair->line == MAP_FAILED ? -errno : 0;
}

static void close_pair(const struct pair *pair)
{
    if (pair->ping >= 0)
        close(pair->ping);
    if (pair->pong >= 0)
        close(pair->pong);
    if (pair->line != MAP_FAILED)
        munmap(pair->line, sizeof(*pair->line));
}

static int ping_pong(const struct ping_pong *way, const struct bench_setup *setup, uint64_t ns,
                     struct bench_raw *out)
{
    struct pair pair;
    int rc = open_pair(&pair);
    if (!rc) {
        pid_t parent = getpid();
        pair.pid = fork();
        if (pair.pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            bench_become_device_side(setup);
            if (getppid() == parent)
                way->echo(&pair);
            _exit(0);
        }
        rc = pair.pid < 0 ? -errno : play(way, &pair, ns, out);
        if (pair.pid > 0) {
            way->stop(&pair);
            while (waitpid(pair.pid, NULL, 0) < 0 && errno == EINTR)
                ;
        }
    }
    close_pair(&pair);
    return rc;
}

static int measure_eventfd(enum bench_raw_profile profile, const struct bench_setup *setup, uint64_t ns,
                           struct bench_raw *out)
{
    static const struct ping_pong way = {.echo = echo_events, .ping = ping_event, .stop = stop_events};
    return profile == BENCH_RAW_ROUND_TRIP ? ping_pong(&way, setup, ns, out) : -ENOTSUP;
}

static int measure_line(enum bench_raw_profile profile, const struct bench_setup *setup, uint64_t ns,
                        struct bench_raw *out)
{
    static const struct ping_pong way = {.echo = echo_line, .ping = ping_line, .stop = stop_line};
    return profile == BENCH_RAW_ROUND_TRIP ? ping_pong(&way, setup, ns, out) : -ENOTSUP;
}

const struct bench_path bench_memcpy = {
    .name = "memcpy",
    .what = "one thread that copies the same bytes to as many places, without any USB",
    .measure = measure_memcpy,
};

const struct bench_path bench_eventfd = {
    .name = "eventfd",
    .what = "two processes that wake each other in turn, without any USB",
    .measure = measure_eventfd,
};

const struct bench_path bench_cacheline = {
    .name = "cacheline",
    .what = "two processes that spin on one cache line in turn, without any USB",
    .spins = true,
    .measure = measure_line,
};
