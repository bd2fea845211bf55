// SPDX-License-Identifier: MIT
/* The machine a measurement was made on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/process.h"
#include "bench/run.h"

/* The value of the first line that begins with key, in a file of "key : value" lines; "" for none. */
static void read_line(const char *path, const char *key, char *out, size_t size)
{
    char line[256];
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *value = strchr(line, ':');
        value = value ? value + 1 + strspn(value + 1, " \t") : line;
        snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (file)
        fclose(file);
}

/* What a program says of itself in its first line; nothing when it is not there. */
static void ask_version(struct bench_results *results, const char *name, const char *command)
{
    char line[128] = "";
    FILE *pipe = popen(command, "re");
    if (!pipe)
        return;
    if (fgets(line, sizeof(line), pipe)) {
        line[strcspn(line, "\n")] = '\0';
        (void)bench_results_fact(results, name, "%s", line);
    }
    while (fgets(line, sizeof(line), pipe))
        continue; /* so that nobody is killed by a closed pipe */
    pclose(pipe);
}

static const char *const wires[] = {"none", "full speed", "high speed"};

static int note_cpus(const struct bench_plan *plan, struct bench_results *results)
{
    struct bench_setup blocking = {0}, spinning = {0};
    bench_choose_cpus(&blocking, plan->cpus, false);
    bench_choose_cpus(&spinning, plan->cpus, true);
    int rc = bench_results_fact(results, "guest_cpu", "%d", blocking.guest_cpu);
    if (!rc)
        rc = bench_results_fact(results, "device_cpu", "%d", blocking.device_cpu);
    return rc ? rc : bench_results_fact(results, "device_cpu_spinning", "%d", spinning.device_cpu);
}

int bench_environment(const struct bench_plan *plan, struct bench_results *results)
{
    char cpu[128], now[32] = "";
    struct utsname system;
    double load = 0;
    time_t seconds = time(NULL);
    struct tm date;
    read_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
    if (gmtime_r(&seconds, &date))
        strftime(now, sizeof(now), "%Y-%m-%d %H:%M UTC", &date);
    (void)getloadavg(&load, 1);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    int rc = bench_results_fact(results, "cpu", "%s", cpu[0] ? cpu : "unknown");
    if (!rc)
        rc = bench_results_fact(results, "cpus", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    if (!rc)
        rc = bench_results_fact(results, "memory_gib", "%.1f", memory / (1 << 30));
    if (!rc && uname(&system) == 0)
        rc = bench_results_fact(results, "kernel", "%.20s %.100s", system.sysname, system.release);
    if (!rc)
        rc = bench_results_fact(results, "compiler", "%.140s", __VERSION__);
    if (!rc)
        rc = bench_results_fact(results, "build", "%s", BENCH_BUILD_TYPE);
    if (!rc)
        rc = bench_results_fact(results, "date", "%s", now);
    if (!rc)
        rc = bench_results_fact(results, "load_average", "%.2f", load);
    if (!rc)
        rc = bench_results_fact(results, "wire", "%s", wires[plan->wire]);
    if (!rc)
        rc = bench_results_fact(results, "millis", "%u", plan->millis);
    if (!rc)
        rc = note_cpus(plan, results);
    ask_version(results, "qemu", "qemu-system-x86_64 --version 2>/dev/null");
    ask_version(results, "qemu_xen", "/usr/libexec/xen-qemu-system-i386 --version 2>/dev/null");
    return rc;
}
