// SPDX-License-Identifier: MIT
/*
 * Goal: any mixture of faults leaves nothing behind. A seed makes a plan of a few faults, each with a
 * probability, and the plan makes the session: the seed repeats it. `test_faults_seeds FIRST COUNT` runs
 * others than the usual ones.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_check.h"

#define PLAN_MAX 512u
/* After so many it says how far it is. */
#define TELL_SEEDS 10000u

static uint64_t first = 1;
static uint64_t count = 300;

/* splitmix64. */
static uint64_t draw(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static const char *const probabilities[] = {"0.0005", "0.002", "0.01", "0.05", "0.3"};

__attribute__((format(printf, 2, 3))) static void append(char *plan, const char *format, ...)
{
    size_t at = strlen(plan);
    va_list args;
    va_start(args, format);
    vsnprintf(plan + at, PLAN_MAX - at, format, args);
    va_end(args);
}

static void append_call(char *plan, uint64_t *random, const char *p)
{
    unsigned int n = 0;
    unsigned int errors = 0;
    while (fakexen_faults_op(n))
        n++;
    const struct fakexen_faults_op *op;
    do
        op = fakexen_faults_op((unsigned int)(draw(random) % n));
    while (!op->errors[0]);
    while (op->errors[errors])
        errors++;
    append(plan, ",%s:p=%s=%s", op->name, p, strerrorname_np(op->errors[draw(random) % errors]));
}

static void append_freeze(char *plan, uint64_t *random)
{
    unsigned int domid = draw(random) % 2;
    uint64_t at = draw(random) % 900 + 1;
    append(plan, ",freeze:domid=%u@%" PRIu64 ",thaw:domid=%u@%" PRIu64, domid, at, domid,
           at + draw(random) % 200 + 1);
}

/* One to six faults; the other kinds are left out altogether, so that each gets its chance. */
static void make_plan(char *plan, uint64_t seed)
{
    static const char *const knobs[] = {"event-delay", "event-drop", "watch-delay", "xs-conflict", "revoke"};
    uint64_t random = seed;
    unsigned int items = (unsigned int)(draw(&random) % 6 + 1);
    plan[0] = '\0';
    append(plan, "seed=%" PRIu64, seed);
    for (unsigned int i = 0; i < items; i++) {
        const char *p = probabilities[draw(&random) % 5];
        switch (draw(&random) % 8) {
        case 0:
        case 1:
            append(plan, ",%s:p=%s", knobs[draw(&random) % 5], p);
            break;
        case 2:
            append_freeze(plan, &random);
            break;
        case 3:
            append(plan, ",memory:%" PRIu64, 128 + draw(&random) % 300);
            break;
        default:
            append_call(plan, &random, p);
            break;
        }
    }
}

static void test_faults_seeds(void **state)
{
    struct fault_tally tally = {0};
    uint64_t failed = 0;
    (void)state;
    printf("seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct fault_result result;
        char plan[PLAN_MAX];
        make_plan(plan, seed);
        fault_run(&(struct fault_session_config){.plan = plan, .front_first = seed & 1, .plain = seed & 2, .buffers = seed % 3}, plan, FAULT_LATE, 0,
                  false, &result, &tally);
        failed += result.faults.failed;
        if ((seed - first + 1) % TELL_SEEDS == 0) {
            printf("%" PRIu64 " of %" PRIu64 " seeds\n", seed - first + 1, count);
            fflush(stdout);
        }
    }
    printf("%u sessions, %" PRIu64 " calls failed, %u unhurt, %u given up by patience\n", tally.runs, failed,
           tally.unhurt, tally.late);
    assert_true(failed > 0 && tally.unhurt > 0 && tally.unhurt < tally.runs);
}

/* The same seed is the same session. */
static void test_faults_seeds_repeat(void **state)
{
    struct fault_tally tally = {0};
    (void)state;
    for (uint64_t seed = first; seed < first + 5; seed++) {
        struct fault_result a, b;
        char plan[PLAN_MAX];
        make_plan(plan, seed);
        fault_run(&(struct fault_session_config){.plan = plan}, plan, FAULT_LATE, 0, false, &a, &tally);
        fault_run(&(struct fault_session_config){.plan = plan}, plan, FAULT_LATE, 0, false, &b, &tally);
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_seeds),
        cmocka_unit_test(test_faults_seeds_repeat),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2) {
        first = strtoull(argv[1], NULL, 10);
        count = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
