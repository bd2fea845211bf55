// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/process.h"
#include "bench/work.h"

static int list(void)
{
    for (unsigned int i = 0; bench_paths[i]; i++)
        printf("%-14s %s%s\n", bench_paths[i]->name, bench_paths[i]->what,
               bench_paths[i]->model ? " (a model)" : "");
    return 0;
}

static void show(const char *path, const char *profile, const struct bench_sample *sample)
{
    double seconds = (double)sample->elapsed_ns / 1e9;
    printf("%-14s %-16s %8.1f MiB/s %10.0f ops/s %10.1f us CPU per op\n", path, profile,
           (double)sample->bytes / 1048576.0 / seconds, (double)sample->operations / seconds,
           (double)sample->cpu_ns / 1e3 / (double)(sample->operations ? sample->operations : 1));
}

static int run(const struct bench_path *path, const struct bench_setup *setup)
{
    struct bench_session *session;
    struct bench_guests guests;
    struct bench_sample sample;
    char why[BENCH_WHY_MAX] = "";
    int rc = path->open(setup, &session, why);
    if (rc) {
        printf("%-14s not here: %s\n", path->name, why);
        return 0;
    }
    const struct bench_read sequential = {.targets = 1, .urb_bytes = 61440, .command_urbs = 1, .queue = 1};
    const struct bench_read full = {.targets = 1, .urb_bytes = 61440, .queue = session->queue};
    const uint64_t ns = 100000000;
    rc = bench_sample_create(&sample);
    if (!rc)
        rc = bench_guests_open(session, setup, &guests, why);
    if (!rc) {
        rc = bench_work_read(&guests, &sequential, ns, &sample);
        show(path->name, "seq-read", &sample);
        if (!rc)
            rc = bench_work_read(&guests, &full, ns, &sample);
        show(path->name, "full-queue-bulk", &sample);
        if (!rc)
            rc = bench_work_control(&guests, ns, &sample);
        show(path->name, "ctrl-rtt", &sample);
        (void)bench_guests_close(&guests);
    }
    if (rc)
        fprintf(stderr, "pvusb-bench: %s: %s %s\n", path->name, why, sample.error);
    bench_sample_destroy(&sample);
    session->ops->close(session);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct bench_setup setup = {.device = BENCH_DISK, .guests = 1, .devices = 1};
    int code = 0;
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list();
    bench_choose_cpus(&setup, false);
    bench_become_guest_side(&setup);
    for (unsigned int i = 0; bench_paths[i]; i++) {
        if (bench_paths[i]->open && (argc < 2 || strcmp(argv[1], bench_paths[i]->name) == 0))
            code |= run(bench_paths[i], &setup);
    }
    return code;
}
