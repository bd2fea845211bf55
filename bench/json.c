// SPDX-License-Identifier: MIT
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/output.h"
#include "bench/ratio.h"

#define SCHEMA "pvusb-bench/1"

/* ---- writing ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *environment(const struct bench_results *results)
{
    json_t *object = json_object();
    for (unsigned int i = 0; i < results->nr_facts; i++)
        json_object_set_new(object, results->facts[i].name, json_string(results->facts[i].value));
    return object;
}

static json_t *paths(const struct bench_results *results)
{
    json_t *object = json_object();
    for (unsigned int i = 0; i < results->nr_series; i++) {
        const struct bench_series *series = &results->series[i];
        json_t *path = json_object_get(object, series->path), *values = json_array();
        if (!path) {
            path = json_object();
            json_object_set_new(object, series->path, path);
        }
        for (unsigned int r = 0; r < results->rounds; r++)
            json_array_append_new(values, number(series->values[r]));
        json_object_set_new(path, series->metric, values);
    }
    return object;
}

static json_t *ratios(const struct bench_results *results)
{
    struct bench_ratio *list = NULL;
    unsigned int nr = 0;
    json_t *object = json_object();
    if (bench_ratios(results, &list, &nr))
        return object;
    for (unsigned int i = 0; i < nr; i++)
        json_object_set_new(object, list[i].key,
                            json_pack("{s:o, s:o, s:o}", "min", number(list[i].spread.min), "median",
                                      number(list[i].spread.median), "max", number(list[i].spread.max)));
    free(list);
    return object;
}

static json_t *absences(const struct bench_results *results)
{
    json_t *array = json_array();
    for (unsigned int i = 0; i < results->nr_absences; i++) {
        const struct bench_absence *absence = &results->absences[i];
        json_array_append_new(array,
                              json_pack("{s:s, s:s, s:s, s:b}", "path", absence->path, "profile",
                                        absence->profile, "reason", absence->why, "failed", absence->failed));
    }
    return array;
}

int bench_json_write(const char *path, const struct bench_results *results, char error[BENCH_ERROR_MAX])
{
    json_t *root = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "schema", SCHEMA, "rounds",
                             (int)results->rounds, "environment", environment(results), "paths",
                             paths(results), "ratios", ratios(results), "not_measured", absences(results));
    errno = 0;
    int rc = root ? json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : -1;
    if (rc) {
        rc = errno ? -errno : -ENOMEM;
        snprintf(error, BENCH_ERROR_MAX, "%s: %s", path, strerror(-rc));
    }
    json_decref(root);
    return rc;
}

/* ---- reading ---- */

static int add_values(struct bench_results *results, const char *path, const char *metric,
                      const json_t *values)
{
    size_t i;
    const json_t *value;
    if (json_array_size(values) != results->rounds || strlen(path) >= BENCH_NAME_MAX ||
        strlen(metric) >= BENCH_METRIC_MAX)
        return -EINVAL;
    json_array_foreach(values, i, value)
    {
        if (!json_is_number(value) && !json_is_null(value))
            return -EINVAL;
        int rc = bench_results_add(results, path, metric, (unsigned int)i,
                                   json_is_null(value) ? NAN : json_number_value(value));
        if (rc)
            return rc;
    }
    return 0;
}

static int read_paths(json_t *root, struct bench_results *results)
{
    const char *path, *metric, *fact;
    json_t *metrics, *values, *value;
    json_t *list = json_object_get(root, "paths");
    if (!json_is_object(list))
        return -EINVAL;
    json_object_foreach(list, path, metrics)
    {
        if (!json_is_object(metrics))
            return -EINVAL;
        json_object_foreach(metrics, metric, values)
        {
            int rc = add_values(results, path, metric, values);
            if (rc)
                return rc;
        }
    }
    json_object_foreach(json_object_get(root, "environment"), fact, value)
    {
        if (json_is_string(value) && bench_results_fact(results, fact, "%s", json_string_value(value)))
            return -ENOMEM;
    }
    return 0;
}

static int read_absences(json_t *root, struct bench_results *results)
{
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(root, "not_measured"), i, value)
    {
        const char *path, *profile, *why;
        int failed;
        if (json_unpack(value, "{s:s, s:s, s:s, s:b}", "path", &path, "profile", &profile, "reason", &why,
                        "failed", &failed))
            return -EINVAL;
        if (bench_results_absent(results, path, profile, why, failed))
            return -ENOMEM;
    }
    return 0;
}

int bench_json_read(const char *path, struct bench_results *results, char error[BENCH_ERROR_MAX])
{
    json_error_t at;
    json_t *root = json_load_file(path, 0, &at);
    if (!root) {
        if (at.line > 0)
            snprintf(error, BENCH_ERROR_MAX, "%s: line %d: %s", path, at.line, at.text);
        else
            snprintf(error, BENCH_ERROR_MAX, "%s", at.text); /* names the file by itself */
        return -EINVAL;
    }
    const char *schema = json_string_value(json_object_get(root, "schema"));
    json_int_t rounds = json_integer_value(json_object_get(root, "rounds"));
    int rc = schema && strcmp(schema, SCHEMA) == 0 && rounds > 0 && rounds <= BENCH_ROUNDS_MAX ? 0 : -EINVAL;
    if (rc) {
        snprintf(error, BENCH_ERROR_MAX, "%s: not of schema " SCHEMA, path);
    } else {
        *results = (struct bench_results){.rounds = (unsigned int)rounds};
        rc = read_paths(root, results);
        if (!rc)
            rc = read_absences(root, results);
        if (rc) {
            snprintf(error, BENCH_ERROR_MAX, "%s: its numbers are not one for each of %u rounds", path,
                     results->rounds);
            bench_results_free(results);
        }
    }
    json_decref(root);
    return rc;
}
