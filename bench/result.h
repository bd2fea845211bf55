/* SPDX-License-Identifier: MIT */
/*
 * What was measured: for each path and metric one value per round. Metrics are named PROFILE.QUANTITY_UNIT,
 * such as "seq-read.mib_per_s". A round without a value has NAN.
 */
#ifndef BENCH_RESULT_H
#define BENCH_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_NAME_MAX   32u
#define BENCH_METRIC_MAX 64u
#define BENCH_ROUNDS_MAX 1000u

struct bench_series {
    char path[BENCH_NAME_MAX];
    char metric[BENCH_METRIC_MAX];
    double *values; /* one for each round */
};

/* A path that was not measured, or not in everything, and why. */
struct bench_absence {
    char path[BENCH_NAME_MAX];
    char profile[BENCH_NAME_MAX];
    char why[160];
    bool failed; /* it should have worked */
};

struct bench_results {
    unsigned int rounds;
    struct bench_series *series; /* in the order in which they came */
    unsigned int nr_series;
    struct bench_absence *absences; /* each path and profile once */
    unsigned int nr_absences;
    struct bench_fact {
        char name[BENCH_NAME_MAX];
        char value[160];
    } * facts; /* the environment */
    unsigned int nr_facts;
};

struct bench_spread {
    double min, median, max;
    unsigned int n; /* values that are there; 0: the others are NAN */
};

/* All of them return -ENOMEM or 0. Names that are too long are cut. */
int bench_results_add(struct bench_results *results, const char *path, const char *metric, unsigned int round,
                      double value);
int bench_results_absent(struct bench_results *results, const char *path, const char *profile,
                         const char *why, bool failed);
int bench_results_fact(struct bench_results *results, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void bench_results_free(struct bench_results *results);
/* The values of a metric, NULL for none. */
const double *bench_results_find(const struct bench_results *results, const char *path, const char *metric);
/* "" when there is no such fact. */
const char *bench_results_fact_of(const struct bench_results *results, const char *name);

struct bench_spread bench_spread(const double *values, unsigned int n);
/* Sorts what it gets. The p-th part of all, 0..1, is at most what is returned (nearest rank); 0 of none. */
uint64_t bench_percentile(uint64_t *values, unsigned int n, double p);

#endif
