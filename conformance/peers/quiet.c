// SPDX-License-Identifier: MIT
#include "quiet.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/loop.h"

#define AGAIN_NS   UINT64_C(100000)
#define SLICE_NS   UINT64_C(5000000) /* what counts of who is seen asleep */
#define FAMILY_NS  UINT64_C(50000000)
#define AWAKE_NS   UINT64_C(1000000000)
#define HANGING_NS UINT64_C(10000000000)

struct watched {
    pid_t pids[QUIET_MAX];
    unsigned int count;
    uint64_t cpu_ns; /* of them all, when the wait began */
    uint64_t end_ns;
};

static void sleep_for(uint64_t ns)
{
    struct loop none;
    loop_clear(&none);
    (void)loop_wait(&none, loop_now_ns() + ns);
}

/* A file of /proc as a string; empty when the process has ended. */
static void read_file(const char *path, char text[4096])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 4095);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
}

/* How often a thread has been switched, or -1 while it runs or waits for a CPU. */
static int64_t switches(const char *path)
{
    char text[4096];
    read_file(path, text);
    if (!*text)
        return 0; /* it has ended */
    const char *state = strstr(text, "\nState:\t");
    const char *own = strstr(text, "\nvoluntary_ctxt_switches:\t");
    const char *taken = strstr(text, "\nnonvoluntary_ctxt_switches:\t");
    if (!state || strchr("RD", state[8]) || !own || !taken)
        return -1;
    return strtol(strchr(own, '\t'), NULL, 10) + strtol(strchr(taken, '\t'), NULL, 10);
}

/* The sum over a process's threads; -1 when one runs. */
static int64_t look(pid_t pid)
{
    char path[64];
    int64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (sum >= 0 && dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid, entry->d_name);
        int64_t n = switches(path);
        sum = n < 0 ? -1 : sum + n;
    }
    if (dir)
        closedir(dir);
    return sum;
}

/* Asleep at the first look and at the second, and not awake between: so all were asleep when the first look
 * ended. */
static bool all_sleep(const struct watched *w)
{
    int64_t first[QUIET_MAX];
    for (unsigned int i = 0; i < w->count; i++) {
        first[i] = look(w->pids[i]);
        if (first[i] < 0)
            return false;
    }
    for (unsigned int i = 0; i < w->count; i++) {
        if (look(w->pids[i]) != first[i])
            return false;
    }
    return true;
}

static uint64_t cpu_time(const struct watched *w)
{
    uint64_t sum = 0;
    for (unsigned int i = 0; i < w->count; i++) {
        struct timespec t;
        clockid_t clock;
        if (clock_getcpuclockid(w->pids[i], &clock) == 0 && clock_gettime(clock, &t) == 0)
            sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    return sum;
}

static void begin(struct watched *w)
{
    w->cpu_ns = cpu_time(w);
    w->end_ns = loop_now_ns() + HANGING_NS;
}

/* It never sleeps, or hangs in a way that looks as if it worked. */
static bool hopeless(const struct watched *w)
{
    uint64_t cpu_ns = cpu_time(w);
    return (cpu_ns > w->cpu_ns && cpu_ns - w->cpu_ns > AWAKE_NS) || loop_now_ns() >= w->end_ns;
}

void quiet_wait(const pid_t pids[], unsigned int count)
{
    struct watched w = {.count = count < QUIET_MAX ? count : QUIET_MAX};
    memcpy(w.pids, pids, w.count * sizeof(*pids));
    begin(&w);
    while (!all_sleep(&w) && !hopeless(&w))
        sleep_for(AGAIN_NS);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[4096];
    int parent;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    read_file(path, text);
    const char *name_end = strrchr(text, ')'); /* a name may have anything in it */
    return name_end && sscanf(name_end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_among(const struct watched *w, pid_t pid)
{
    for (unsigned int i = 0; i < w->count; i++) {
        if (w->pids[i] == pid)
            return true;
    }
    return false;
}

/* Adds what descends from those that are there. Whether there was any. */
static bool add_children(struct watched *w)
{
    unsigned int before = w->count;
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    while (dir && w->count < QUIET_MAX && (entry = readdir(dir))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && !is_among(w, pid) && is_among(w, parent_of(pid)))
            w->pids[w->count++] = pid;
    }
    if (dir)
        closedir(dir);
    return w->count > before;
}

void quiet_wait_family(pid_t root, pid_t machine)
{
    struct watched w = {.pids = {root}, .count = 1};
    uint64_t slept = 0;
    while (add_children(&w))
        ;
    if (machine > 0 && w.count < QUIET_MAX)
        w.pids[w.count++] = machine;
    begin(&w);
    while (!hopeless(&w)) {
        if (!all_sleep(&w)) {
            sleep_for(AGAIN_NS);
            continue;
        }
        if (slept < FAMILY_NS) {
            sleep_for(SLICE_NS);
            slept += SLICE_NS;
            continue;
        }
        if (!add_children(&w))
            return;
        slept = 0; /* it has started one that has to sleep, too */
    }
}
