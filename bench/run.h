/* SPDX-License-Identifier: MIT */
/* The measurement: rounds, in each of which every path has its turn. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "bench/path.h"
#include "bench/result.h"

enum bench_profile {
    BENCH_BULK_BW = 1u << 0,
    BENCH_CTRL_LAT = 1u << 1,
    BENCH_INT_LAT = 1u << 2,
    BENCH_ISO_LOSS = 1u << 3,
    BENCH_SMALL_URB = 1u << 4,
    BENCH_IDLE_CPU = 1u << 5,
    BENCH_SCALE = 1u << 6,
};

struct bench_profile_name {
    const char *name;
    enum bench_profile profile;
    const char *what;
};

/* Ends with a NULL name. */
extern const struct bench_profile_name bench_profiles[];

#define BENCH_PATHS_MAX 32u

struct bench_plan {
    unsigned int profiles; /* enum bench_profile, or-ed */
    const struct bench_path *paths[BENCH_PATHS_MAX + 1];
    unsigned int rounds;
    unsigned int millis; /* for one path and one thing that is measured */
    enum bench_wire wire;
    enum bench_cpus cpus;
    /* What is being done, for a terminal; NULL for nothing. */
    void (*progress)(unsigned int round, const char *path, const char *what);
};

/*
 * Measures. A path that fails, or is not there, is left out with its reason, and the others go on. 0, or
 * -ENOMEM.
 */
int bench_run(const struct bench_plan *plan, struct bench_results *results);

/* What the machine is; facts of the results. */
int bench_environment(const struct bench_plan *plan, struct bench_results *results);

#endif
