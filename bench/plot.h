/* SPDX-License-Identifier: MIT */
/* Plots as inline SVG: sharp at any size, and black on white when printed. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdio.h>

#include "bench/result.h"

/* Text with what HTML would take for its own replaced. */
void bench_plot_text(FILE *out, const char *text);

/* For each path that has the metric: median as a dot, minimum to maximum as a line; logarithmic. */
void bench_plot_dots(FILE *out, const struct bench_results *results, const char *metric, const char *unit);
/* For each path that has them: p50 to the maximum of one kind of latency, medians over the rounds;
 * logarithmic. */
void bench_plot_latencies(FILE *out, const struct bench_results *results, const char *prefix);
/* MiB/s over the number of devices of one guest, or of guests with one device. */
void bench_plot_scale(FILE *out, const struct bench_results *results, bool guests);
/* The legend of the colours. */
void bench_plot_legend(FILE *out);

#endif
