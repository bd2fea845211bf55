// SPDX-License-Identifier: MIT
#include "bench/sheet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/output.h"
#include "bench/path.h"

const struct bench_sheet bench_sheets[] = {
    {"Sequential reads: bulk-only storage, 60 KiB commands, three URBs in sequence (seq-read)",
     true,
     {{"MiB/s", "seq-read.mib_per_s", true},
      {"command p50 us", "seq-read.p50_us", false},
      {"p99 us", "seq-read.p99_us", false},
      {"CPU us/MiB", "seq-read.cpu_us_per_mib", true},
      {"CPU us/URB", "seq-read.cpu_us_per_urb", false},
      {"notify/URB", "seq-read.notifications_per_urb", false},
      {"copies", "seq-read.copies_per_byte", false},
      {"maps/URB", "seq-read.maps_per_urb", false},
      {"reg/URB", "seq-read.registers_per_urb", false}}},
    {"Bulk with the queue full, 60 KiB URBs (full-queue-bulk)",
     true,
     {{"MiB/s", "full-queue-bulk.mib_per_s", true},
      {"URB/s", "full-queue-bulk.urbs_per_s", false},
      {"CPU us/MiB", "full-queue-bulk.cpu_us_per_mib", true},
      {"CPU us/URB", "full-queue-bulk.cpu_us_per_urb", false},
      {"notify/URB", "full-queue-bulk.notifications_per_urb", false},
      {"copies", "full-queue-bulk.copies_per_byte", false},
      {"maps/URB", "full-queue-bulk.maps_per_urb", false},
      {"reg/URB", "full-queue-bulk.registers_per_urb", false}}},
    {"URBs of 512 bytes with the queue full (small-urb)",
     false,
     {{"URB/s", "small-urb.urbs_per_s", true},
      {"MiB/s", "small-urb.mib_per_s", false},
      {"CPU us/URB", "small-urb.cpu_us_per_urb", true},
      {"notify/URB", "small-urb.notifications_per_urb", false},
      {"copies", "small-urb.copies_per_byte", false},
      {"maps/URB", "small-urb.maps_per_urb", false},
      {"reg/URB", "small-urb.registers_per_urb", false}}},
    {"Control round trip, microseconds (ctrl-rtt)",
     true,
     {{"p50", "ctrl-rtt.p50_us", true},
      {"p90", "ctrl-rtt.p90_us", false},
      {"p99", "ctrl-rtt.p99_us", false},
      {"p99.9", "ctrl-rtt.p999_us", false},
      {"max", "ctrl-rtt.max_us", false},
      {"CPU us/URB", "ctrl-rtt.cpu_us_per_urb", true},
      {"notify/URB", "ctrl-rtt.notifications_per_urb", false},
      {"maps/URB", "ctrl-rtt.maps_per_urb", false},
      {"reg/URB", "ctrl-rtt.registers_per_urb", false}}},
    {"How late an interrupt is heard, microseconds (int-lat, open loop)",
     false,
     {{"p50", "int-lat.p50_us", true},
      {"p90", "int-lat.p90_us", false},
      {"p99", "int-lat.p99_us", false},
      {"p99.9", "int-lat.p999_us", false},
      {"max", "int-lat.max_us", false},
      {"CPU %", "int-lat.cpu_percent", false},
      {"wake-ups/s", "int-lat.wakeups_per_s", false}}},
    {"Full duplex sound at 48 kHz (iso-loss)",
     false,
     {{"lost %", "iso-loss.lost_percent", true},
      {"packets with errors", "iso-loss.errors", false},
      {"URB/s", "iso-loss.urbs_per_s", false},
      {"CPU %", "iso-loss.cpu_percent", false},
      {"wake-ups/s", "iso-loss.wakeups_per_s", false}}},
    {"Devices that nobody uses (idle-cpu)",
     true,
     {{"wake-ups/s", "idle-cpu.wakeups_per_s", true},
      {"devices", "idle-cpu.devices", false},
      {"CPU %", "idle-cpu.cpu_percent", true}}},
    {"Guests x devices, all reading at once, MiB/s together (scale)",
     false,
     {{"1x1", "scale-1x1.mib_per_s", false},
      {"1x4", "scale-1x4.mib_per_s", false},
      {"1x16", "scale-1x16.mib_per_s", false},
      {"1x31", "scale-1x31.mib_per_s", false},
      {"4x1", "scale-4x1.mib_per_s", false},
      {"16x1", "scale-16x1.mib_per_s", false},
      {"us/URB of 1, alone", "scale-idle-1x1.cpu_us_per_urb", false},
      {"beside 30 idle", "scale-idle-1x31.cpu_us_per_urb", false}}},
};

const unsigned int bench_nr_sheets = sizeof(bench_sheets) / sizeof(bench_sheets[0]);

unsigned int bench_sheet_paths(const struct bench_results *results, const char **out, unsigned int max)
{
    unsigned int n = 0;
    for (unsigned int i = 0; i < results->nr_series; i++) {
        unsigned int seen = 0;
        while (seen < n && strcmp(out[seen], results->series[i].path) != 0)
            seen++;
        if (seen == n && n < max)
            out[n++] = results->series[i].path;
    }
    return n;
}

bool bench_sheet_has(const struct bench_results *results, const struct bench_sheet *sheet, const char *path)
{
    return bench_results_find(results, path, sheet->columns[0].metric) != NULL;
}

void bench_sheet_cell(const struct bench_results *results, const struct bench_column *column,
                      const char *path, char out[BENCH_CELL_MAX])
{
    struct bench_spread spread =
        bench_spread(bench_results_find(results, path, column->metric), results->rounds);
    char median[16], min[16], max[16];
    bench_format(spread.median, median);
    bench_format(spread.min, min);
    bench_format(spread.max, max);
    if (column->spread && spread.n > 1)
        snprintf(out, BENCH_CELL_MAX, "%s (%s-%s)", median, min, max);
    else
        snprintf(out, BENCH_CELL_MAX, "%s", median);
}

bool bench_is_model(const char *path)
{
    for (unsigned int i = 0; bench_paths[i]; i++) {
        if (strcmp(bench_paths[i]->name, path) == 0)
            return bench_paths[i]->model;
    }
    return false;
}

void bench_sheet_label(const char *path, char out[BENCH_CELL_MAX])
{
    snprintf(out, BENCH_CELL_MAX, "%s%s", path, bench_is_model(path) ? " (model)" : "");
}

void bench_format(double value, char out[16])
{
    double size = fabs(value);
    if (isnan(value))
        snprintf(out, 16, "-");
    else if (size == 0 || size >= 100)
        snprintf(out, 16, "%.0f", value);
    else if (size >= 10)
        snprintf(out, 16, "%.1f", value);
    else if (size >= 1)
        snprintf(out, 16, "%.2f", value);
    else if (size >= 0.001)
        snprintf(out, 16, "%.3f", value);
    else
        snprintf(out, 16, "%.1e", value);
}
