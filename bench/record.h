/* SPDX-License-Identifier: MIT */
/* From a sample to metrics. */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include "bench/result.h"
#include "bench/work.h"

/* Which quantities a measurement has. */
enum bench_quantity {
    BENCH_Q_RATE = 1u << 0,     /* mib_per_s, urbs_per_s, and the sums urbs, bytes, elapsed_s */
    BENCH_Q_LATENCY = 1u << 1,  /* p50_us p90_us p99_us p999_us max_us */
    BENCH_Q_COST = 1u << 2,     /* cpu_us_per_mib, cpu_us_per_urb */
    BENCH_Q_COUNTERS = 1u << 3, /* notifications, maps, registers per URB, copies per byte */
    BENCH_Q_LOAD = 1u << 4,     /* wakeups_per_s, cpu_percent (of one CPU) */
    BENCH_Q_LOSS = 1u << 5,     /* lost_percent, errors */
};

/* prefix is what comes before the '.' of a metric's name. Sorts sample's latencies. 0 or -ENOMEM. */
int bench_record(struct bench_results *results, const char *path, const char *prefix, unsigned int round,
                 unsigned int quantities, struct bench_sample *sample);

#endif
