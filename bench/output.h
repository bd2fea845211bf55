/* SPDX-License-Identifier: MIT */
/* Results as text, Markdown, JSON and HTML, and JSON read again. */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/result.h"

/* Ratios first, and unless they are all that is wanted what the paths did, then what is missing and why. */
void bench_print(FILE *out, const struct bench_results *results, bool ratios_only);
/* The machine in a sentence and the main tables as Markdown, for pages that want them. */
void bench_print_markdown(FILE *out, const struct bench_results *results, bool ratios_only);

#define BENCH_ERROR_MAX 512u

/* Schema pvusb-bench/1. -errno, with a line in error. */
int bench_json_write(const char *path, const struct bench_results *results, char error[BENCH_ERROR_MAX]);
/* -EINVAL when it is not such a file. results is to be freed after success only. */
int bench_json_read(const char *path, struct bench_results *results, char error[BENCH_ERROR_MAX]);

/* Makes the folder if it is missing, and index.html in it, which needs nothing else. As above. */
int bench_report_write(const char *dir, const struct bench_results *results, char error[BENCH_ERROR_MAX]);

/* Three significant digits, at most 15 bytes: "0.0123", "12.3", "1230", "-" for NAN. */
void bench_format(double value, char out[16]);

/* Whether the path is a model; such rows say so. */
bool bench_is_model(const char *path);

#endif
