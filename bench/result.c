// SPDX-License-Identifier: MIT
#include "bench/result.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more element; the arrays are small. */
static void *grow(void *array, unsigned int n, size_t size)
{
    return realloc(array, (n + 1) * size);
}

static struct bench_series *find(const struct bench_results *results, const char *path, const char *metric)
{
    for (unsigned int i = 0; i < results->nr_series; i++) {
        struct bench_series *series = &results->series[i];
        if (strcmp(series->metric, metric) == 0 && strcmp(series->path, path) == 0)
            return series;
    }
    return NULL;
}

static struct bench_series *add_series(struct bench_results *results, const char *path, const char *metric)
{
    double *values = calloc(results->rounds, sizeof(double));
    struct bench_series *array = grow(results->series, results->nr_series, sizeof(*array));
    if (array)
        results->series = array;
    if (!array || !values) {
        free(values);
        return NULL;
    }
    struct bench_series *series = &array[results->nr_series++];
    *series = (struct bench_series){.values = values};
    snprintf(series->path, sizeof(series->path), "%s", path);
    snprintf(series->metric, sizeof(series->metric), "%s", metric);
    for (unsigned int r = 0; r < results->rounds; r++)
        values[r] = NAN;
    return series;
}

int bench_results_add(struct bench_results *results, const char *path, const char *metric, unsigned int round,
                      double value)
{
    struct bench_series *series = find(results, path, metric);
    if (!series)
        series = add_series(results, path, metric);
    if (!series)
        return -ENOMEM;
    series->values[round] = value;
    return 0;
}

int bench_results_absent(struct bench_results *results, const char *path, const char *profile,
                         const char *why, bool failed)
{
    for (unsigned int i = 0; i < results->nr_absences; i++) {
        struct bench_absence *absence = &results->absences[i];
        if (strcmp(absence->path, path) == 0 && strcmp(absence->profile, profile) == 0)
            return 0; /* the first reason is the one */
    }
    struct bench_absence *array = grow(results->absences, results->nr_absences, sizeof(*array));
    if (!array)
        return -ENOMEM;
    results->absences = array;
    struct bench_absence *absence = &array[results->nr_absences++];
    *absence = (struct bench_absence){.failed = failed};
    snprintf(absence->path, sizeof(absence->path), "%s", path);
    snprintf(absence->profile, sizeof(absence->profile), "%s", profile);
    snprintf(absence->why, sizeof(absence->why), "%s", why);
    return 0;
}

int bench_results_fact(struct bench_results *results, const char *name, const char *format, ...)
{
    va_list args;
    struct bench_fact *array = grow(results->facts, results->nr_facts, sizeof(*array));
    if (!array)
        return -ENOMEM;
    results->facts = array;
    struct bench_fact *fact = &array[results->nr_facts++];
    snprintf(fact->name, sizeof(fact->name), "%s", name);
    va_start(args, format);
    vsnprintf(fact->value, sizeof(fact->value), format, args);
    va_end(args);
    return 0;
}

void bench_results_free(struct bench_results *results)
{
    for (unsigned int i = 0; i < results->nr_series; i++)
        free(results->series[i].values);
    free(results->series);
    free(results->absences);
    free(results->facts);
    *results = (struct bench_results){0};
}

const double *bench_results_find(const struct bench_results *results, const char *path, const char *metric)
{
    const struct bench_series *series = find(results, path, metric);
    return series ? series->values : NULL;
}

const char *bench_results_fact_of(const struct bench_results *results, const char *name)
{
    for (unsigned int i = 0; i < results->nr_facts; i++) {
        if (strcmp(results->facts[i].name, name) == 0)
            return results->facts[i].value;
    }
    return "";
}

/* ---- statistics ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct bench_spread bench_spread(const double *values, unsigned int n)
{
    struct bench_spread spread = {.min = NAN, .median = NAN, .max = NAN};
    double sorted[BENCH_ROUNDS_MAX];
    for (unsigned int i = 0; values && i < n && i < BENCH_ROUNDS_MAX; i++) {
        if (!isnan(values[i]))
            sorted[spread.n++] = values[i];
    }
    if (spread.n == 0)
        return spread;
    qsort(sorted, spread.n, sizeof(sorted[0]), compare_doubles);
    spread.min = sorted[0];
    spread.max = sorted[spread.n - 1];
    spread.median = (sorted[(spread.n - 1) / 2] + sorted[spread.n / 2]) / 2;
    return spread;
}

uint64_t bench_percentile(uint64_t *values, unsigned int n, double p)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof(values[0]), compare_u64);
    double rank = ceil(p * n);
    unsigned int at = rank < 1 ? 0 : (unsigned int)rank - 1;
    return values[at < n ? at : n - 1];
}
