// SPDX-License-Identifier: MIT
/*
 * Goal: what Xen may do to events, watches and commits is not noticed by a session; grants revoked while
 * mapped, little memory and a frozen domain leave the other half sane.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fault_check.h"

#define SECOND UINT64_C(1000000000)
#define DOM0   0
#define GUEST  1

static unsigned int stride;

static void run_plan(const char *plan, enum fault_mercy mercy, struct fault_result *result,
                     struct fault_tally *tally)
{
    fault_run(&(struct fault_session_config){.plan = plan}, plan, mercy, 0, false, result, tally);
}

static void report(const char *what, const struct fault_tally *tally)
{
    printf("%s: %u sessions, %u unhurt, %u given up by patience\n", what, tally->runs, tally->unhurt,
           tally->late);
}

/* Each event, each watch event and each commit of the session once; and all of them. */
static const struct {
    const char *knob;
    const char *tail;
    enum fault_mercy mercy;
    bool all_too; /* also for every occasion at once */
} knobs[] = {
    {"event-delay", "@0", FAULT_UNHURT, true},  {"event-delay", "@1", FAULT_UNHURT, true},
    {"event-delay", "@20", FAULT_UNHURT, true}, {"event-drop", "", FAULT_UNHURT, true},
    {"event-lose", "", FAULT_LATE, true}, /* what Xen never does */
    {"watch-delay", "@1", FAULT_UNHURT, true},  {"watch-delay", "@9", FAULT_UNHURT, true},
    {"xs-conflict", "", FAULT_UNHURT, false},   {"revoke", "", FAULT_UNHURT, false},
};

static bool had_effect(const struct fault_result *result)
{
    return result->faults.failed + result->faults.withheld + result->faults.lost + result->faults.revoked > 0;
}

static void test_faults_knobs_each_occasion(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
        struct fault_tally tally = {0};
        struct fault_result result;
        char plan[96];
        bool any = false;
        unsigned int k = 0;
        do {
            snprintf(plan, sizeof(plan), "%s:nth=%u%s", knobs[i].knob, ++k, knobs[i].tail);
            run_plan(plan, knobs[i].mercy, &result, &tally);
            any = any || had_effect(&result);
            k += stride - 1;
        } while (had_effect(&result));
        assert_true(any);
        if (knobs[i].all_too) {
            snprintf(plan, sizeof(plan), "%s:every%s", knobs[i].knob, knobs[i].tail);
            run_plan(plan, knobs[i].mercy, &result, &tally);
            assert_true(had_effect(&result));
        }
        report(plan, &tally);
    }
}

/* A commit that never gets through ends in an error, soon. */
static void test_faults_knobs_conflict_for_ever(void **state)
{
    struct fault_tally tally = {0};
    struct fault_result result;
    (void)state;
    run_plan("xs-conflict:every", FAULT_NAMED, &result, &tally);
    assert_string_equal(result.failure, "the toolstack: Resource temporarily unavailable");
    run_plan("xs-conflict:from=2", FAULT_NAMED, &result, &tally);
    assert_string_equal(result.failure, "the frontend gave up: Input/output error");
    assert_true(result.faults.failed < 100);
    run_plan("xs_end:every=EAGAIN", FAULT_NAMED, &result, &tally);
    assert_true(result.faults.failed < 100);
}

/* From no page at all to as many as are needed. */
static void test_faults_knobs_memory(void **state)
{
    struct fault_tally tally = {0};
    struct fault_result result;
    char plan[32];
    unsigned int pages = 0;
    (void)state;
    do {
        snprintf(plan, sizeof(plan), "memory:%u", pages);
        run_plan(plan, FAULT_NAMED, &result, &tally);
        pages += stride;
    } while (result.failure[0]);
    assert_true(pages > 128 && pages < 512 + stride); /* the buffer alone has 128 */
    report("memory", &tally);
}

/* MAL-14: what is mapped stays so: the transfer completes and its page can be used again. */
static void test_faults_knobs_revoke_all(void **state)
{
    struct fault_tally tally = {0};
    struct fault_result result;
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        fault_run(&(struct fault_session_config){.plan = "revoke:every", .buffers = plain ? BACK_BUFFERS_MAP : BACK_BUFFERS_BEST},
                  "revoke:every", FAULT_UNHURT, 0,
                  false, &result, &tally);
        assert_true(result.faults.revoked > (plain ? 100 : 10)); /* what stays mapped is mapped once */
    }
}

/* ---- frozen domains ---- */

struct freeze {
    domid_t domid;
    unsigned int at; /* step */
    uint64_t for_ns;
    unsigned int steps;
    uint64_t thaw_ns;
};

static void freeze_and_thaw(void *context, struct xen_machine *machine, uint64_t now_ns, bool reading)
{
    struct freeze *freeze = context;
    (void)reading;
    if (++freeze->steps == freeze->at) {
        assert_int_equal(fakexen_faults_freeze(machine, freeze->domid), 0);
        freeze->thaw_ns = now_ns + freeze->for_ns;
    }
    if (freeze->steps > freeze->at && now_ns >= freeze->thaw_ns)
        fakexen_faults_thaw(machine, freeze->domid);
}

static const struct {
    domid_t domid;
    uint64_t for_ns;
    enum fault_mercy mercy;
    const char *what;
} freezes[] = {
    {GUEST, 0, FAULT_UNHURT, "the guest for a moment"},
    {GUEST, 3 * SECOND, FAULT_UNHURT, "the guest for 3 s"},
    {DOM0, 0, FAULT_UNHURT, "the backend for a moment"},
    {DOM0, 3 * SECOND, FAULT_UNHURT, "the backend for 3 s"},
    /* Longer than any timeout of the other: it gives up transfers and closes without an answer. */
    {GUEST, 60 * SECOND, FAULT_NAMED, "the guest for 60 s"},
    {DOM0, 60 * SECOND, FAULT_NAMED, "the backend for 60 s"},
    {GUEST, 10000 * SECOND, FAULT_LATE, "the guest for good"},
    {DOM0, 10000 * SECOND, FAULT_LATE, "the backend for good"},
};

static void test_faults_knobs_freeze(void **state)
{
    struct fault_result plain = fault_run_plain();
    (void)state;
    for (size_t i = 0; i < sizeof(freezes) / sizeof(freezes[0]); i++) {
        struct fault_tally tally = {0};
        for (unsigned int at = 1; at < plain.steps; at += stride) {
            struct freeze freeze = {.domid = freezes[i].domid, .at = at, .for_ns = freezes[i].for_ns};
            struct fault_result result;
            char what[64];
            snprintf(what, sizeof(what), "%s at step %u", freezes[i].what, at);
            fault_run(&(struct fault_session_config){.stepped = freeze_and_thaw, .context = &freeze}, what,
                      freezes[i].mercy, 0, false, &result, &tally);
        }
        report(freezes[i].what, &tally);
    }
}

/* By plan: at any call of the session the guest freezes, and thaws 40 calls later. */
static void test_faults_knobs_freeze_by_plan(void **state)
{
    struct fault_result plain = fault_run_plain();
    struct fault_tally tally = {0};
    (void)state;
    for (uint64_t at = 1; at < plain.faults.calls; at += stride) {
        struct fault_result result;
        char plan[96];
        unsigned int domid = at % 2;
        snprintf(plan, sizeof(plan), "freeze:domid=%u@%" PRIu64 ",thaw:domid=%u@%" PRIu64, domid, at, domid,
                 at + 40);
        run_plan(plan, FAULT_LATE, &result, &tally);
    }
    report("frozen for 40 calls", &tally);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_knobs_each_occasion),
        cmocka_unit_test(test_faults_knobs_conflict_for_ever),
        cmocka_unit_test(test_faults_knobs_memory),
        cmocka_unit_test(test_faults_knobs_revoke_all),
        cmocka_unit_test(test_faults_knobs_freeze),
        cmocka_unit_test(test_faults_knobs_freeze_by_plan),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    stride = fault_stride(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
