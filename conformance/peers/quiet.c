// SPDX-License-Identifier: MIT
#include "quiet.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/loop.h"

#define AGAIN_NS UINT64_C(100000)

/* How often it has been switched, or -1 while it runs. */
static int64_t switches(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0; /* it has ended */
    text[n] = '\0';
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

/* Asleep at the first look and at the second, and not awake between: so all were asleep when the first look ended. */
static bool all_sleep(const pid_t pids[], unsigned int count)
{
    int64_t first[8];
    for (unsigned int i = 0; i < count && i < 8; i++) {
        first[i] = look(pids[i]);
        if (first[i] < 0)
            return false;
    }
    for (unsigned int i = 0; i < count && i < 8; i++) {
        if (look(pids[i]) != first[i])
            return false;
    }
    return true;
}

void quiet_wait(const pid_t pids[], unsigned int count, uint64_t until_ns)
{
    while (!all_sleep(pids, count)) {
        struct loop none;
        uint64_t now = loop_now_ns();
        if (now >= until_ns)
            return;
        loop_clear(&none);
        (void)loop_wait(&none, now + AGAIN_NS);
    }
}
