// SPDX-License-Identifier: MIT
#include "bench/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static cpu_set_t allowed; /* when the program began */
static bool have_allowed;

static void remember_allowed(void)
{
    if (!have_allowed)
        have_allowed = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
}

void bench_choose_cpus(struct bench_setup *setup, enum bench_cpus which, bool spins)
{
    bool same = which == BENCH_CPUS_ONE || (which == BENCH_CPUS_BEST && !spins);
    int cpus[2] = {-1, -1};
    unsigned int n = 0;
    remember_allowed();
    for (int cpu = 0; have_allowed && cpu < CPU_SETSIZE && n < 2; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed))
            cpus[n++] = cpu;
    }
    setup->guest_cpu = cpus[0];
    setup->device_cpu = same || n < 2 ? cpus[0] : cpus[1];
}

static void settle(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        (void)sched_setaffinity(0, sizeof(set), &set); /* where that is forbidden, anywhere has to do */
    }
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

void bench_become_device_side(const struct bench_setup *setup)
{
    settle(setup->device_cpu);
}

void bench_become_guest_side(const struct bench_setup *setup)
{
    remember_allowed();
    settle(setup->guest_cpu);
}

void bench_leave_cpu(void)
{
    if (have_allowed)
        (void)sched_setaffinity(0, sizeof(allowed), &allowed);
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) ? 0 : (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t bench_cpu_ns(const struct bench_session *session)
{
    uint64_t sum = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned int i = 0; session && i < session->nr_processes; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(session->process[i], &clock) == 0)
            sum += read_clock(clock);
    }
    return sum;
}

static uint64_t thread_sleeps(pid_t pid, const char *thread)
{
    char path[96], line[160];
    uint64_t sleeps = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &sleeps) == 1)
            break;
    }
    fclose(file);
    return sleeps;
}

static uint64_t process_sleeps(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    struct dirent *entry;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            sum += thread_sleeps(pid, entry->d_name);
    }
    closedir(dir);
    return sum;
}

uint64_t bench_sleeps(const struct bench_session *session)
{
    uint64_t sum = process_sleeps(getpid());
    for (unsigned int i = 0; session && i < session->nr_processes; i++)
        sum += process_sleeps(session->process[i]);
    return sum;
}
