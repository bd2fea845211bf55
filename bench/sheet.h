/* SPDX-License-Identifier: MIT */
/* The tables, the same in text, Markdown and HTML: which metrics stand beside each other. */
#ifndef BENCH_SHEET_H
#define BENCH_SHEET_H

#include "bench/result.h"

#define BENCH_COLUMNS_MAX     12u
#define BENCH_CELL_MAX        64u
#define BENCH_SHEET_PATHS_MAX 64u

struct bench_sheet {
    const char *title;
    bool main; /* in short reports, too */
    struct bench_column {
        const char *heading;
        const char *metric;
        bool spread;              /* "median (min-max)" */
    } columns[BENCH_COLUMNS_MAX]; /* a path without the first one has no row; ends with a NULL heading */
};

extern const struct bench_sheet bench_sheets[];
extern const unsigned int bench_nr_sheets;

/* The paths in the order of their first value; returns how many, at most max. */
unsigned int bench_sheet_paths(const struct bench_results *results, const char **out, unsigned int max);
bool bench_sheet_has(const struct bench_results *results, const struct bench_sheet *sheet, const char *path);
void bench_sheet_cell(const struct bench_results *results, const struct bench_column *column,
                      const char *path, char out[BENCH_CELL_MAX]);
/* The name of a path for a row: that of a model says so. */
void bench_sheet_label(const char *path, char out[BENCH_CELL_MAX]);

#endif
