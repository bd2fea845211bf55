/* SPDX-License-Identifier: MIT */
/*
 * Two results side by side: which differences are more than chance. For each figure the change of the median,
 * its 95 % interval by bootstrap, and p of a permutation test on ranks (Mann-Whitney's U). A difference is
 * called one when the interval has no 0 in it and p is below 0.01; with fewer than 5 rounds on a side nothing
 * can be.
 *
 * Ratios within rounds come first: what a machine is like today is in both of their sides.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdio.h>

#include "bench/result.h"

enum bench_verdict { BENCH_SAME, BENCH_BETTER, BENCH_WORSE, BENCH_TOO_FEW };

struct bench_change {
    double before, after;     /* medians */
    double change, low, high; /* of the median, as parts: 0.1 is 10 % more */
    double p;
    enum bench_verdict verdict;
};

/* NAN among the values are left out. more_is_better says which way better is. */
struct bench_change bench_compare_values(const double *a, unsigned int na, const double *b, unsigned int nb,
                                         bool more_is_better, uint64_t seed);
/* Prints all that both have. Returns how many are worse. The same seed, the same numbers. */
unsigned int bench_compare(FILE *out, const struct bench_results *a, const struct bench_results *b,
                           uint64_t seed);

#endif
