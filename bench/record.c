// SPDX-License-Identifier: MIT
#include "bench/record.h"

#include <stdio.h>

#define MIB 1048576.0

struct recorder {
    struct bench_results *results;
    const char *path, *prefix;
    unsigned int round;
    int rc;
};

static void put(struct recorder *recorder, const char *quantity, double value)
{
    char metric[BENCH_METRIC_MAX];
    snprintf(metric, sizeof(metric), "%s.%s", recorder->prefix, quantity);
    if (!recorder->rc)
        recorder->rc = bench_results_add(recorder->results, recorder->path, metric, recorder->round, value);
}

/* Of nothing there is no share. */
static void put_share(struct recorder *recorder, const char *quantity, double value, double of)
{
    if (of > 0)
        put(recorder, quantity, value / of);
}

static void put_count(struct recorder *recorder, const char *quantity, uint64_t count, double of)
{
    if (count != BENCH_UNKNOWN)
        put_share(recorder, quantity, (double)count, of);
}

static void put_latencies(struct recorder *recorder, struct bench_sample *sample)
{
    static const struct {
        const char *quantity;
        double p;
    } points[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"max_us", 1}};
    for (unsigned int i = 0; i < sizeof(points) / sizeof(points[0]) && sample->nr_latencies; i++)
        put(recorder, points[i].quantity,
            (double)bench_percentile(sample->latency_ns, sample->nr_latencies, points[i].p) / 1e3);
}

int bench_record(struct bench_results *results, const char *path, const char *prefix, unsigned int round,
                 unsigned int quantities, struct bench_sample *sample)
{
    struct recorder recorder = {results, path, prefix, round, 0};
    double seconds = (double)sample->elapsed_ns / 1e9, urbs = (double)sample->urbs;
    double mib = (double)sample->bytes / MIB, cpu_us = (double)sample->cpu_ns / 1e3;
    if (quantities & BENCH_Q_RATE) {
        put_share(&recorder, "mib_per_s", mib, seconds);
        put_share(&recorder, "urbs_per_s", urbs, seconds);
        put(&recorder, "urbs", urbs);
        put(&recorder, "bytes", (double)sample->bytes);
        put(&recorder, "elapsed_s", seconds);
    }
    if (quantities & BENCH_Q_LATENCY)
        put_latencies(&recorder, sample);
    if (quantities & BENCH_Q_COST) {
        put_share(&recorder, "cpu_us_per_mib", cpu_us, mib);
        put_share(&recorder, "cpu_us_per_urb", cpu_us, urbs);
    }
    if (quantities & BENCH_Q_COUNTERS) {
        put_count(&recorder, "notifications_per_urb", sample->counters.notifications, urbs);
        put_count(&recorder, "maps_per_urb", sample->counters.maps, urbs);
        put_count(&recorder, "registers_per_urb", sample->counters.registers, urbs);
        put_count(&recorder, "copies_per_byte", sample->counters.copied, (double)sample->bytes);
    }
    if (quantities & BENCH_Q_LOAD) {
        put_share(&recorder, "wakeups_per_s", (double)sample->sleeps, seconds);
        put_share(&recorder, "cpu_percent", cpu_us / 1e4, seconds);
    }
    if (quantities & BENCH_Q_LOSS) {
        put_share(&recorder, "lost_percent", 100.0 * (double)sample->lost, (double)sample->expected);
        put(&recorder, "errors", (double)sample->operations);
    }
    return recorder.rc;
}
