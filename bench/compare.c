// SPDX-License-Identifier: MIT
#include "bench/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/output.h"
#include "bench/ratio.h"
#include "bench/sheet.h"

#define RESAMPLES  4000u
#define ROUNDS_MIN 5u /* below, p cannot become small */
#define P_MAX      0.01

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned int pick(uint64_t *state, unsigned int n)
{
    return (unsigned int)(next_random(state) % n);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static unsigned int keep_numbers(const double *values, unsigned int n, double *out)
{
    unsigned int kept = 0;
    for (unsigned int i = 0; i < n && i < BENCH_ROUNDS_MAX; i++) {
        if (isfinite(values[i]))
            out[kept++] = values[i];
    }
    return kept;
}

/* ---- the interval ---- */

static double resampled_median(const double *values, unsigned int n, uint64_t *state)
{
    double drawn[BENCH_ROUNDS_MAX];
    for (unsigned int i = 0; i < n; i++)
        drawn[i] = values[pick(state, n)];
    return bench_spread(drawn, n).median;
}

static double part_of(double after, double before)
{
    return before > 0 ? after / before - 1 : after > 0 ? INFINITY : 0;
}

static void find_interval(const double *a, unsigned int na, const double *b, unsigned int nb, uint64_t *state,
                          struct bench_change *out)
{
    static double changes[RESAMPLES];
    for (unsigned int i = 0; i < RESAMPLES; i++) {
        double before = resampled_median(a, na, state);
        changes[i] = part_of(resampled_median(b, nb, state), before);
    }
    qsort(changes, RESAMPLES, sizeof(changes[0]), compare_doubles);
    out->low = changes[RESAMPLES / 40];
    out->high = changes[RESAMPLES - 1 - RESAMPLES / 40];
}

/* ---- p ---- */

/* Twice Mann-Whitney's U, so that ties stay whole: how often b is larger. */
static int64_t double_u(const double *all, unsigned int na, unsigned int nb)
{
    int64_t u = 0;
    for (unsigned int i = 0; i < na; i++) {
        for (unsigned int j = na; j < na + nb; j++)
            u += all[j] > all[i] ? 2 : all[j] == all[i] ? 1 : 0;
    }
    return u;
}

static double permutation_p(const double *a, unsigned int na, const double *b, unsigned int nb,
                            uint64_t *state)
{
    double all[2 * BENCH_ROUNDS_MAX];
    unsigned int n = na + nb, extreme = 1; /* what was seen is one of the permutations */
    memcpy(all, a, na * sizeof(*a));
    memcpy(all + na, b, nb * sizeof(*b));
    int64_t centre = (int64_t)na * nb;
    int64_t seen = llabs(double_u(all, na, nb) - centre);
    for (unsigned int r = 0; r < RESAMPLES; r++) {
        for (unsigned int i = n; i > 1; i--) {
            unsigned int j = pick(state, i);
            double swap = all[i - 1];
            all[i - 1] = all[j];
            all[j] = swap;
        }
        extreme += llabs(double_u(all, na, nb) - centre) >= seen;
    }
    return (double)extreme / (RESAMPLES + 1);
}

struct bench_change bench_compare_values(const double *a, unsigned int na, const double *b, unsigned int nb,
                                         bool more_is_better, uint64_t seed)
{
    double va[BENCH_ROUNDS_MAX], vb[BENCH_ROUNDS_MAX];
    struct bench_change change = {.p = 1};
    na = keep_numbers(a, na, va);
    nb = keep_numbers(b, nb, vb);
    change.before = bench_spread(va, na).median;
    change.after = bench_spread(vb, nb).median;
    change.change = part_of(change.after, change.before);
    change.verdict = BENCH_TOO_FEW;
    if (na < ROUNDS_MIN || nb < ROUNDS_MIN)
        return change;
    find_interval(va, na, vb, nb, &seed, &change);
    change.p = permutation_p(va, na, vb, nb, &seed);
    bool differs = change.p < P_MAX && (change.low > 0 || change.high < 0);
    bool more = change.change > 0;
    change.verdict = !differs ? BENCH_SAME : more == more_is_better ? BENCH_BETTER : BENCH_WORSE;
    return change;
}

/* ---- all there is ---- */

static bool more_is_better(const char *metric)
{
    return strstr(metric, "_per_s") && !strstr(metric, "wakeups");
}

struct tally {
    FILE *out;
    uint64_t seed;
    unsigned int nr, better, worse, too_few;
};

static void tell(struct tally *tally, const char *name, const char *path, const struct bench_change *change)
{
    static const char *const words[] = {"no significant difference", "better", "WORSE",
                                        "too few rounds to tell"};
    char before[16], after[16];
    bench_format(change->before, before);
    bench_format(change->after, after);
    fprintf(tally->out, "  %-52s %-14s %8s -> %-8s %+7.1f %%", name, path, before, after,
            100 * change->change);
    if (change->verdict != BENCH_TOO_FEW)
        fprintf(tally->out, "  (%+.1f to %+.1f, p %.4f)", 100 * change->low, 100 * change->high, change->p);
    fprintf(tally->out, "  %s\n", words[change->verdict]);
    tally->nr++;
    tally->better += change->verdict == BENCH_BETTER;
    tally->worse += change->verdict == BENCH_WORSE;
    tally->too_few += change->verdict == BENCH_TOO_FEW;
}

static void compare_gates(struct tally *tally, const struct bench_results *a, const struct bench_results *b)
{
    fputs("Ratios within rounds\n", tally->out);
    for (unsigned int i = 0; i < bench_nr_gates; i++) {
        const struct bench_gate *gate = &bench_gates[i];
        double va[BENCH_ROUNDS_MAX], vb[BENCH_ROUNDS_MAX];
        char name[160];
        if (!gate->profile || bench_ratio_values(a, gate->metric, gate->over, gate->under, va) ||
            bench_ratio_values(b, gate->metric, gate->over, gate->under, vb))
            continue;
        struct bench_change change =
            bench_compare_values(va, a->rounds, vb, b->rounds, !gate->at_most, tally->seed);
        bench_gate_name(gate, name, sizeof(name));
        tell(tally, name, "", &change);
    }
}

static void compare_sheet(struct tally *tally, const struct bench_results *a, const struct bench_results *b,
                          const struct bench_sheet *sheet)
{
    const char *paths[BENCH_SHEET_PATHS_MAX];
    unsigned int nr = bench_sheet_paths(a, paths, BENCH_SHEET_PATHS_MAX);
    for (unsigned int c = 0; sheet->columns[c].heading; c++) {
        const char *metric = sheet->columns[c].metric;
        for (unsigned int p = 0; p < nr && sheet->columns[c].spread; p++) {
            const double *va = bench_results_find(a, paths[p], metric);
            const double *vb = bench_results_find(b, paths[p], metric);
            if (!va || !vb)
                continue;
            struct bench_change change =
                bench_compare_values(va, a->rounds, vb, b->rounds, more_is_better(metric), tally->seed);
            tell(tally, metric, paths[p], &change);
        }
    }
}

static void warn_of_machines(FILE *out, const struct bench_results *a, const struct bench_results *b)
{
    static const char *const facts[] = {"cpu", "cpus", "kernel", "compiler", "build", "wire", "millis", "device_cpu"};
    for (unsigned int i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        const char *x = bench_results_fact_of(a, facts[i]), *y = bench_results_fact_of(b, facts[i]);
        if (strcmp(x, y) != 0)
            fprintf(out, "Note: %s is not the same: \"%s\" and \"%s\"\n", facts[i], x, y);
    }
}

unsigned int bench_compare(FILE *out, const struct bench_results *a, const struct bench_results *b,
                           uint64_t seed)
{
    struct tally tally = {.out = out, .seed = seed};
    warn_of_machines(out, a, b);
    compare_gates(&tally, a, b);
    fputs("Figures\n", out);
    for (unsigned int i = 0; i < bench_nr_sheets; i++)
        compare_sheet(&tally, a, b, &bench_sheets[i]);
    fprintf(
        out,
        "%u compared over %u and %u rounds: %u better, %u worse, %u too few rounds to tell; the others: no "
        "significant difference (95 %% intervals, p below %g; seed %" PRIu64 ")\n",
        tally.nr, a->rounds, b->rounds, tally.better, tally.worse, tally.too_few, P_MAX, seed);
    return tally.worse;
}
