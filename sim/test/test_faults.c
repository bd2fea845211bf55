// SPDX-License-Identifier: MIT
/*
 * Goal: whatever single call of Xen or single allocation fails in a whole session, the session ends,
 * as without the fault or with a failure that has a name; no byte that was reported good is wrong, and
 * nothing leaks.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fault_check.h"

static unsigned int stride;

static void test_faults_none(void **state)
{
    struct fault_result result = fault_run_plain();
    (void)state;
    printf("a session: %" PRIu64 " calls of Xen, %" PRIu64 " requests, %u steps\n", result.faults.calls,
           result.requests, result.steps);
    for (unsigned int i = 0; fakexen_faults_op(i); i++)
        printf("  %-16s %" PRIu64 "\n", fakexen_faults_op(i)->name, result.calls[i]);
    assert_true(result.requests > 30);
    assert_int_equal(result.faults.failed, 0);
}

/* ---- calls ---- */

/*
 * What must not be noticed at all. The first nine grants and two maps are the rings, without which there is no
 * connection; the others are transfers: one of them fails, and the guest's driver tries again.
 */
static const struct {
    const char *call;
    int error; /* 0: all but EPIPE */
    uint64_t from;
} unhurt[] = {
    {"evtchn_pending", EAGAIN, 1}, /* a poll that came too early */
    {"xs_watch_read", 0, 1},
    {"xs_end", EAGAIN, 1}, /* a conflict: again */
    {"xs_read", ENOMEM, 1}, /* it passes */
    {"xs_write", ENOMEM, 1},
    {"xs_directory", ENOMEM, 1},
    {"xs_mkdir", ENOMEM, 3}, /* the first two are the toolstack's */
    {"grant", 0, 10},
    {"grant_map", 0, 3},
    {"open", ENOMEM, 4}, /* the backend's handle for the connector; earlier ones are the programs' own */
    {"open", EMFILE, 4},
    {"xs_watch", ENOMEM, 6}, /* likewise; and the frontend's on the backend */
    {"xs_watch", ENOSPC, 6},
    {"grant_map_limit", ENOMEM, 1},
};

/* Answers that deny what is there; who believes them waits in vain, and cannot know better. */
static bool denies(const char *call, int error)
{
    bool store = strncmp(call, "xs_", 3) == 0;
    return (store &&
            (error == ENOENT || error == EACCES || error == E2BIG || error == EEXIST || error == ENOSPC)) ||
           error == ENXIO;
}

static enum fault_mercy mercy_for(const char *call, uint64_t k, int error)
{
    for (size_t i = 0; i < sizeof(unhurt) / sizeof(unhurt[0]); i++) {
        if (strcmp(unhurt[i].call, call) == 0 && k >= unhurt[i].from &&
            (unhurt[i].error ? unhurt[i].error == error : error != EPIPE))
            return FAULT_UNHURT;
    }
    return denies(call, error) ? FAULT_LATE : FAULT_NAMED;
}

static void fail_call(const char *name, uint64_t k, int error, struct fault_tally *tally)
{
    char plan[96];
    struct fault_result result;
    snprintf(plan, sizeof(plan), "%s:%" PRIu64 "=%s", name, k, strerrorname_np(error));
    fault_run(&(struct fault_session_config){.plan = plan, .front_first = k & 1}, plan,
              mercy_for(name, k, error), 0, false, &result, tally);
    if (result.faults.failed != 1)
        fail_msg("%s: %" PRIu64 " calls failed", plan, result.faults.failed);
}

/* Every call of the session, with every errno that the call may give. */
static void test_faults_every_call(void **state)
{
    struct fault_result plain = fault_run_plain();
    struct fault_tally tally = {0};
    uint64_t calls = 0;
    (void)state;
    for (unsigned int i = 0; fakexen_faults_op(i); i++) {
        const struct fakexen_faults_op *op = fakexen_faults_op(i);
        for (uint64_t k = 1; op->errors[0] && k <= plain.calls[i]; k++) {
            if (++calls % stride)
                continue;
            for (unsigned int e = 0; op->errors[e]; e++)
                fail_call(op->name, k, op->errors[e], &tally);
        }
    }
    printf("%" PRIu64
           " calls failed once each with every errno: %u sessions, %u unhurt, %u given up by patience\n",
           calls / stride, tally.runs, tally.unhurt, tally.late);
}

/* A poll that never says what is there, though it is, keeps whoever waits for it in a loop. */
static bool is_poll(const char *call)
{
    return strcmp(call, "evtchn_pending") == 0 || strcmp(call, "xs_watch_read") == 0;
}

/* From some call on nothing of its kind works any more. */
static void test_faults_for_ever(void **state)
{
    struct fault_result plain = fault_run_plain();
    struct fault_tally tally = {0};
    struct fault_result result;
    char plan[96];
    (void)state;
    for (unsigned int i = 0; fakexen_faults_op(i); i++) {
        const struct fakexen_faults_op *op = fakexen_faults_op(i);
        for (uint64_t k = 1; op->errors[0] && !is_poll(op->name) && k <= plain.calls[i];
             k += 1 + (k / 4) * stride) {
            snprintf(plan, sizeof(plan), "%s:from=%" PRIu64 "=%s", op->name, k,
                     strerrorname_np(op->errors[0]));
            fault_run(&(struct fault_session_config){.plan = plan, .front_first = k & 1}, plan, FAULT_LATE, 0,
                      false, &result, &tally);
        }
    }
    printf("calls that fail for ever: %u sessions, %u unhurt, %u given up by patience\n", tally.runs,
           tally.unhurt, tally.late);
}

/* ---- memory ---- */

static void fail_allocations(bool for_ever)
{
    struct fault_tally tally = {0};
    struct fault_result result;
    char what[64];
    uint64_t n = fault_count_allocations();
    unsigned int step = for_ever ? 3 * stride : stride; /* neighbours end alike when nothing works after them */
    for (uint64_t k = 1; k <= n; k += step) {
        snprintf(what, sizeof(what), "allocation %" PRIu64 "%s", k, for_ever ? " and all after it" : "");
        fault_run(&(struct fault_session_config){.front_first = k & 1}, what,
                  for_ever ? FAULT_LATE : FAULT_NAMED, k, for_ever, &result, &tally);
    }
    printf("%" PRIu64 " allocations failed %s: %u sessions, %u unhurt, %u given up by patience\n", n / step,
           for_ever ? "with all after them" : "once each", tally.runs, tally.unhurt, tally.late);
}

static void test_faults_every_allocation(void **state)
{
    (void)state;
    fail_allocations(false);
}

static void test_faults_no_memory_left(void **state)
{
    (void)state;
    fail_allocations(true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_none),           cmocka_unit_test(test_faults_every_call),
        cmocka_unit_test(test_faults_for_ever),       cmocka_unit_test(test_faults_every_allocation),
        cmocka_unit_test(test_faults_no_memory_left),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    stride = fault_stride(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
