// SPDX-License-Identifier: MIT
/* The arithmetic of the benchmark, with answers worked out by hand; and that JSON brings back what was written. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/compare.h"
#include "bench/output.h"
#include "bench/ratio.h"
#include "bench/record.h"
#include "bench/work.h"

static void assert_close(double value, double expected)
{
    assert_true(fabs(value - expected) <= 1e-9 * (1 + fabs(expected)));
}

static void spread_is_of_the_values_that_are_there(void **state)
{
    (void)state;
    const double odd[] = {5, NAN, 1, 3};
    const double even[] = {4, 1, 3, 2};
    struct bench_spread spread = bench_spread(odd, 4);
    assert_int_equal(spread.n, 3);
    assert_close(spread.min, 1);
    assert_close(spread.median, 3);
    assert_close(spread.max, 5);
    assert_close(bench_spread(even, 4).median, 2.5);
    assert_int_equal(bench_spread(NULL, 4).n, 0);
    assert_true(isnan(bench_spread((const double[]){NAN}, 1).median));
}

/* Nearest rank: of 1 to 100, p50 is 50 and p99.9 the largest. */
static void percentile_is_by_nearest_rank(void **state)
{
    uint64_t values[100];
    (void)state;
    for (unsigned int i = 0; i < 100; i++)
        values[i] = 100 - i;
    assert_int_equal(bench_percentile(values, 100, 0.5), 50);
    assert_int_equal(bench_percentile(values, 100, 0.9), 90);
    assert_int_equal(bench_percentile(values, 100, 0.999), 100);
    assert_int_equal(bench_percentile(values, 100, 1), 100);
    assert_int_equal(bench_percentile(values, 1, 0.5), 1);
    assert_int_equal(bench_percentile(values, 0, 0.5), 0);
}

static void sample_becomes_metrics(void **state)
{
    uint64_t latencies[] = {3000, 1000, 2000};
    struct bench_results results = {.rounds = 2};
    struct bench_sample sample = {.urbs = 30,
                                  .bytes = 10 * 61440,
                                  .elapsed_ns = 500000000,
                                  .cpu_ns = 600000,
                                  .counters = {.notifications = 60, .maps = 15, .copied = BENCH_UNKNOWN},
                                  .latency_ns = latencies,
                                  .nr_latencies = 3};
    (void)state;
    unsigned int all = BENCH_Q_RATE | BENCH_Q_LATENCY | BENCH_Q_COST | BENCH_Q_COUNTERS;
    assert_int_equal(bench_record(&results, "p", "seq-read", 1, all, &sample), 0);
    static const struct {
        const char *metric;
        double value;
    } expected[] = {
        {"seq-read.mib_per_s", 614400 / 1048576.0 / 0.5},
        {"seq-read.urbs_per_s", 60},
        {"seq-read.bytes", 614400},
        {"seq-read.p50_us", 2},
        {"seq-read.max_us", 3},
        {"seq-read.cpu_us_per_urb", 20},
        {"seq-read.cpu_us_per_mib", 600 / (614400 / 1048576.0)},
        {"seq-read.notifications_per_urb", 2},
        {"seq-read.maps_per_urb", 0.5},
        {"seq-read.registers_per_urb", 0},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const double *values = bench_results_find(&results, "p", expected[i].metric);
        assert_non_null(values);
        assert_true(isnan(values[0])); /* the round that had none */
        assert_close(values[1], expected[i].value);
    }
    assert_null(bench_results_find(&results, "p", "seq-read.copies_per_byte")); /* nobody counted */
    bench_results_free(&results);
}

/* A session that has counted `counted`, and the URBs of one measurement of it: 10 of 1000 bytes. */
struct counting {
    struct bench_session session; /* first */
    struct bench_counters counted;
};

static void tell_counters(struct bench_session *session, struct bench_counters *out)
{
    *out = ((struct counting *)session)->counted;
}

static struct bench_counters measure(struct counting *counting, bool control, struct bench_counters after)
{
    static const struct bench_session_ops ops = {.counters = tell_counters};
    struct bench_guests guests = {.session = &counting->session};
    struct bench_sample sample = {0};
    struct bench_meter meter = {.guests = &guests, .sample = &sample, .control = control};
    counting->session.ops = &ops;
    bench_meter_begin(&meter);
    for (unsigned int i = 0; i < 10; i++)
        bench_meter_urb(&meter, 1000);
    counting->counted = after;
    bench_meter_end(&meter);
    assert_int_equal(sample.urbs, 10);
    return sample.counters;
}

/* path.h: what was counted meanwhile; copies by construction come on top, one kind more for control transfers. */
static void counters_are_of_the_time_between(void **state)
{
    const struct bench_counters before = {100, 50, 7, 3}, after = {130, 250, 27, 3};
    const struct bench_counters unknown = {
        .notifications = BENCH_UNKNOWN, .maps = BENCH_UNKNOWN, .copied = BENCH_UNKNOWN};
    struct counting counting = {.counted = before};
    (void)state;
    struct bench_counters result = measure(&counting, false, after);
    assert_int_equal(result.notifications, 30);
    assert_int_equal(result.copied, 200);
    assert_int_equal(result.maps, 20);
    assert_int_equal(result.registers, 0);
    counting = (struct counting){.session = {.copies = 4, .control_copies = 1}, .counted = before};
    assert_int_equal(measure(&counting, false, after).copied, 4 * 10000 + 200);
    counting.counted = before;
    assert_int_equal(measure(&counting, true, after).copied, 5 * 10000 + 200);
    counting.counted = before;
    result = measure(&counting, true, unknown);
    assert_true(result.notifications == BENCH_UNKNOWN && result.maps == BENCH_UNKNOWN);
    assert_int_equal(result.copied, 5 * 10000);
    counting = (struct counting){.counted = before};
    assert_true(measure(&counting, true, unknown).copied == BENCH_UNKNOWN);
}

static void add(struct bench_results *results, const char *path, const char *metric, double a, double b, double c)
{
    const double values[] = {a, b, c};
    for (unsigned int r = 0; r < 3; r++)
        assert_int_equal(bench_results_add(results, path, metric, r, values[r]), 0);
}

static const struct bench_ratio *ratio_of(const struct bench_ratio *ratios, unsigned int nr, const char *key)
{
    for (unsigned int i = 0; i < nr; i++) {
        if (strcmp(ratios[i].key, key) == 0)
            return &ratios[i];
    }
    return NULL;
}

/* 10/5, 30/10 and 90/90: the median of the ratios is 2, not the ratio of the medians (3). */
static void ratios_are_taken_within_rounds(void **state)
{
    struct bench_results results = {.rounds = 3};
    struct bench_ratio *ratios;
    unsigned int nr;
    (void)state;
    add(&results, "pvusb-block", "seq-read.mib_per_s", 10, 30, 90);
    add(&results, "qemu-uhci", "seq-read.mib_per_s", 5, 10, 90);
    add(&results, "pvusb-block", "seq-read.cpu_us_per_mib", 1, 2, 4);
    add(&results, "qemu-uhci", "seq-read.cpu_us_per_mib", 50, 80, 400);
    assert_int_equal(bench_ratios(&results, &ratios, &nr), 0);
    assert_int_equal(nr, 2);
    const struct bench_ratio *ratio = ratio_of(ratios, nr, "seq-read:pvusb-block/qemu-uhci");
    assert_non_null(ratio);
    assert_close(ratio->spread.min, 1);
    assert_close(ratio->spread.median, 2);
    assert_close(ratio->spread.max, 3);
    ratio = ratio_of(ratios, nr, "cpu-per-mib:qemu-uhci/pvusb-block");
    assert_non_null(ratio);
    assert_close(ratio->spread.median, 50);
    for (unsigned int i = 0; i < bench_nr_gates; i++) {
        const struct bench_gate *gate = &bench_gates[i];
        struct bench_spread value = bench_gate_value(&results, gate);
        if (value.n) /* CPU per MiB at least 40, reached; reads at least 300, not */
            assert_true(bench_gate_reached(gate, &value) == (strcmp(gate->profile, "cpu-per-mib") == 0));
    }
    free(ratios);
    bench_results_free(&results);
}

static void json_brings_back_what_was_written(void **state)
{
    char path[] = "/tmp/pvusb-bench-XXXXXX", error[BENCH_ERROR_MAX];
    struct bench_results results = {.rounds = 3}, back;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    add(&results, "a", "seq-read.mib_per_s", 0.125, NAN, 3);
    assert_int_equal(bench_results_fact(&results, "cpu", "a \"b\" %d", 7), 0);
    assert_int_equal(bench_results_absent(&results, "b", "iso-loss", "no <reason>", true), 0);
    assert_int_equal(bench_json_write(path, &results, error), 0);
    assert_int_equal(bench_json_read(path, &back, error), 0);
    assert_int_equal(back.rounds, 3);
    const double *values = bench_results_find(&back, "a", "seq-read.mib_per_s");
    assert_non_null(values);
    assert_close(values[0], 0.125);
    assert_true(isnan(values[1]));
    assert_close(values[2], 3);
    assert_string_equal(bench_results_fact_of(&back, "cpu"), "a \"b\" 7");
    assert_int_equal(back.nr_absences, 1);
    assert_string_equal(back.absences[0].why, "no <reason>");
    assert_true(back.absences[0].failed);
    bench_results_free(&results);
    bench_results_free(&back);
    unlink(path);
}

static void json_that_is_something_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"schema\":\"pvusb-bench/2\",\"rounds\":1,\"paths\":{}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":0,\"paths\":{}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":100000,\"paths\":{}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":1}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":1,\"paths\":{\"a\":{\"m\":[1,2]}}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":1,\"paths\":{\"a\":{\"m\":[\"1\"]}}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":1,\"paths\":{\"a\":7}}",
        "{\"schema\":\"pvusb-bench/1\",\"rounds\":1,\"paths\":{},\"not_measured\":[{}]}",
    };
    char path[] = "/tmp/pvusb-bench-XXXXXX", error[BENCH_ERROR_MAX];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bench_results results;
        error[0] = '\0';
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
        if (bench_json_read(path, &results, error) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_non_null(strstr(error, path));
    }
    close(fd);
    unlink(path);
}

/* Ten rounds twice as fast are a difference; the same ten in another order are none; three are too few. */
static void compare_knows_chance(void **state)
{
    const double a[] = {100, 101, 99, 102, 98, 100, 103, 97, 100, 101};
    const double b[] = {200, 202, 198, 204, 196, 200, 206, 194, 200, 202};
    const double shuffled[] = {101, 100, 97, 103, 100, 98, 102, 99, 101, 100};
    struct bench_change change;
    (void)state;
    change = bench_compare_values(a, 10, b, 10, true, 1);
    assert_int_equal(change.verdict, BENCH_BETTER);
    assert_close(change.change, 1);
    assert_true(change.low > 0.9 && change.high < 1.1 && change.p < 0.001);
    assert_int_equal(bench_compare_values(a, 10, b, 10, false, 1).verdict, BENCH_WORSE);
    assert_int_equal(bench_compare_values(b, 10, a, 10, true, 1).verdict, BENCH_WORSE);
    change = bench_compare_values(a, 10, shuffled, 10, true, 1);
    assert_int_equal(change.verdict, BENCH_SAME);
    assert_true(change.low <= 0 && change.high >= 0 && change.p > 0.5);
    assert_int_equal(bench_compare_values(a, 3, b, 3, true, 1).verdict, BENCH_TOO_FEW);
    const double missing[] = {100, NAN, NAN, NAN, 98, 100, 103};
    assert_int_equal(bench_compare_values(missing, 7, b, 10, true, 1).verdict, BENCH_TOO_FEW);
}

/* Of 200 pairs of samples from the same distribution hardly one is called different. */
static void compare_is_seldom_wrong(void **state)
{
    unsigned int wrong = 0;
    uint64_t random = 12345;
    (void)state;
    printf("seed %llu\n", (unsigned long long)random);
    for (unsigned int i = 0; i < 200; i++) {
        double values[14];
        for (unsigned int k = 0; k < 14; k++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            values[k] = 100 + (double)(random >> 40) / 65536.0;
        }
        wrong += bench_compare_values(values, 7, values + 7, 7, true, i).verdict != BENCH_SAME;
    }
    assert_in_range(wrong, 0, 5);
}

static void numbers_have_three_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},         {1234.5, "1234"},   {99.94, "99.9"},  {1.005e6, "1005000"},
                {5.678, "5.68"},  {0.01234, "0.012"}, {1e-5, "1.0e-05"}, {NAN, "-"}};
    char text[16];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bench_format(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_is_of_the_values_that_are_there),
        cmocka_unit_test(percentile_is_by_nearest_rank),
        cmocka_unit_test(sample_becomes_metrics),
        cmocka_unit_test(counters_are_of_the_time_between),
        cmocka_unit_test(ratios_are_taken_within_rounds),
        cmocka_unit_test(json_brings_back_what_was_written),
        cmocka_unit_test(json_that_is_something_else_is_refused),
        cmocka_unit_test(compare_knows_chance),
        cmocka_unit_test(compare_is_seldom_wrong),
        cmocka_unit_test(numbers_have_three_digits),
    };
    return cmocka_run_group_tests_name("bench: results", tests, NULL, NULL);
}
