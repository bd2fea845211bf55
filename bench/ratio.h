/* SPDX-License-Identifier: MIT */
/* Ratios of two paths within one round, and the gates they are held to. */
#ifndef BENCH_RATIO_H
#define BENCH_RATIO_H

#include "bench/result.h"

#define BENCH_KEY_MAX (3 * BENCH_NAME_MAX)

struct bench_ratio {
    char key[BENCH_KEY_MAX]; /* "seq-read:pvusb-block/qemu-uhci" */
    struct bench_spread spread;
};

/*
 * All ratios there are: each of our PVUSB paths against each other path; of what is used up ("cpu-per-mib")
 * the other way round, so that more is better for us. An array for free(), NULL when there are none. -ENOMEM.
 */
int bench_ratios(const struct bench_results *results, struct bench_ratio **out, unsigned int *nr);

/* The same with the value of each round, results->rounds of them. -ENOENT without both paths. */
int bench_ratio_values(const struct bench_results *results, const char *metric, const char *over,
                       const char *under, double *values);

struct bench_gate {
    const char *what;
    const char *profile; /* of a ratio; NULL: a metric of `over` itself */
    const char *metric, *over, *under;
    bool at_most; /* else at least */
    double target;
    double aim; /* NAN without one */
};

extern const struct bench_gate bench_gates[];
extern const unsigned int bench_nr_gates;

struct bench_spread bench_gate_value(const struct bench_results *results, const struct bench_gate *gate);
/* By the median. */
bool bench_gate_reached(const struct bench_gate *gate, const struct bench_spread *value);
/* "seq-read:pvusb-block/qemu-uhci", or "full-queue-bulk.notifications_per_urb of pvusb-block". */
void bench_gate_name(const struct bench_gate *gate, char *out, size_t size);

#endif
