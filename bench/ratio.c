// SPDX-License-Identifier: MIT
#include "bench/ratio.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *profile, *metric;
    bool turned; /* the other path over ours */
} kinds[] = {
    {"seq-read", "seq-read.mib_per_s", false},        {"full-queue-bulk", "full-queue-bulk.mib_per_s", false},
    {"small-urb", "small-urb.urbs_per_s", false},     {"ctrl-rtt", "ctrl-rtt.p50_us", false},
    {"cpu-per-mib", "seq-read.cpu_us_per_mib", true},
};

/* METHOD.md says where they come from. Reached by the median. */
const struct bench_gate bench_gates[] = {
    {"bulk at full queue, over a copy of the same bytes", "full-queue-bulk", "full-queue-bulk.mib_per_s",
     "pvusb-block", "memcpy", false, 0.40, 0.70},
    {"control round trip blocking, over a bare wake-up and back", "ctrl-rtt", "ctrl-rtt.p50_us",
     "pvusb-block", "eventfd", true, 1.2, 0.8},
    {"control round trip spinning, over a cache line there and back", "ctrl-rtt", "ctrl-rtt.p50_us",
     "pvusb-spin", "cacheline", true, 3, NAN},
    {"reads, blocking, over QEMU's UHCI", "seq-read", "seq-read.mib_per_s", "pvusb-block", "qemu-uhci", false,
     300, NAN},
    {"reads, spinning, over QEMU's UHCI", "seq-read", "seq-read.mib_per_s", "pvusb-spin", "qemu-uhci", false,
     2000, NAN},
    {"reads, blocking, over QEMU's EHCI", "seq-read", "seq-read.mib_per_s", "pvusb-block", "qemu-ehci", false,
     25, NAN},
    {"reads, spinning, over QEMU's EHCI", "seq-read", "seq-read.mib_per_s", "pvusb-spin", "qemu-ehci", false,
     150, NAN},
    {"reads, blocking, over QEMU's xHCI by interrupt", "seq-read", "seq-read.mib_per_s", "pvusb-block",
     "qemu-xhci", false, 2, NAN},
    {"reads, spinning, over QEMU's xHCI by interrupt", "seq-read", "seq-read.mib_per_s", "pvusb-spin",
     "qemu-xhci", false, 9, NAN},
    {"reads, blocking, over USB/IP by TCP", "seq-read", "seq-read.mib_per_s", "pvusb-block", "usbip-tcp",
     false, 1.3, NAN},
    {"reads, spinning, over USB/IP by TCP", "seq-read", "seq-read.mib_per_s", "pvusb-spin", "usbip-tcp",
     false, 8, NAN},
    {"reads, blocking, over QEMU's PVUSB backend", "seq-read", "seq-read.mib_per_s", "pvusb-block",
     "qemu-pvusb", false, 3, NAN},
    {"CPU per MiB of QEMU's UHCI over ours", "cpu-per-mib", "seq-read.cpu_us_per_mib", "qemu-uhci",
     "pvusb-block", false, 40, NAN},
    {"CPU per MiB of QEMU's EHCI over ours", "cpu-per-mib", "seq-read.cpu_us_per_mib", "qemu-ehci",
     "pvusb-block", false, 8, NAN},
    {"CPU per MiB of QEMU's xHCI by interrupt over ours", "cpu-per-mib", "seq-read.cpu_us_per_mib",
     "qemu-xhci", "pvusb-block", false, 3, NAN},
    {"CPU per MiB of usbredir over ours", "cpu-per-mib", "seq-read.cpu_us_per_mib", "usbredir", "pvusb-block",
     false, 10, NAN},
    {"notifications per URB at full queue", NULL, "full-queue-bulk.notifications_per_urb", "pvusb-block",
     NULL, true, 0.05, 0.005},
    {"wake-ups per second, idle", NULL, "idle-cpu.wakeups_per_s", "pvusb-block", NULL, true, 0, NAN},
};

const unsigned int bench_nr_gates = sizeof(bench_gates) / sizeof(bench_gates[0]);

int bench_ratio_values(const struct bench_results *results, const char *metric, const char *over,
                       const char *under, double *values)
{
    const double *a = bench_results_find(results, over, metric);
    const double *b = bench_results_find(results, under, metric);
    if (!a || !b)
        return -ENOENT;
    for (unsigned int r = 0; r < results->rounds; r++)
        values[r] = b[r] > 0 ? a[r] / b[r] : NAN;
    return 0;
}

static struct bench_spread bench_ratio(const struct bench_results *results, const char *metric,
                                       const char *over, const char *under)
{
    double values[BENCH_ROUNDS_MAX];
    bool there = bench_ratio_values(results, metric, over, under, values) == 0;
    return bench_spread(values, there ? results->rounds : 0);
}

static bool ours(const char *path)
{
    return strncmp(path, "pvusb-", 6) == 0;
}

struct list {
    struct bench_ratio *ratios;
    unsigned int nr;
    bool failed;
};

static void add(struct list *list, const struct bench_results *results, unsigned int kind, const char *one,
                const char *other)
{
    const char *over = kinds[kind].turned ? other : one, *under = kinds[kind].turned ? one : other;
    struct bench_spread spread = bench_ratio(results, kinds[kind].metric, over, under);
    if (spread.n == 0 || list->failed)
        return;
    struct bench_ratio *ratios = realloc(list->ratios, (list->nr + 1) * sizeof(*ratios));
    list->failed = !ratios;
    if (!ratios)
        return;
    list->ratios = ratios;
    struct bench_ratio *ratio = &ratios[list->nr++];
    ratio->spread = spread;
    snprintf(ratio->key, sizeof(ratio->key), "%.31s:%.31s/%.31s", kinds[kind].profile, over, under);
}

int bench_ratios(const struct bench_results *results, struct bench_ratio **out, unsigned int *nr)
{
    struct list list = {0};
    for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (unsigned int i = 0; i < results->nr_series; i++) {
            const struct bench_series *one = &results->series[i];
            if (!ours(one->path) || strcmp(one->metric, kinds[k].metric) != 0)
                continue;
            for (unsigned int j = 0; j < results->nr_series; j++) {
                const struct bench_series *other = &results->series[j];
                if (i != j && strcmp(other->metric, one->metric) == 0)
                    add(&list, results, k, one->path, other->path);
            }
        }
    }
    if (list.failed) {
        free(list.ratios);
        return -ENOMEM;
    }
    *out = list.ratios;
    *nr = list.nr;
    return 0;
}

struct bench_spread bench_gate_value(const struct bench_results *results, const struct bench_gate *gate)
{
    if (gate->profile)
        return bench_ratio(results, gate->metric, gate->over, gate->under);
    return bench_spread(bench_results_find(results, gate->over, gate->metric), results->rounds);
}

bool bench_gate_reached(const struct bench_gate *gate, const struct bench_spread *value)
{
    return gate->at_most ? value->median <= gate->target : value->median >= gate->target;
}

void bench_gate_name(const struct bench_gate *gate, char *out, size_t size)
{
    if (gate->profile)
        snprintf(out, size, "%s:%s/%s", gate->profile, gate->over, gate->under);
    else
        snprintf(out, size, "%s of %s", gate->metric, gate->over);
}
