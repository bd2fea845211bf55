// SPDX-License-Identifier: MIT
/*
 * Goal: what test_faults.c shows of the local machine holds for the host as a process and its clients too:
 * allocations fail in the clients' library, calls by plan. Order and number of calls vary from run to run
 * here, as two processes run.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../fake_xen/test/machine_host.h"
#include "failing_memory.h"
#include "fault_check.h"

static unsigned int stride;
static unsigned int runs;

/* The host serves one request after another: with the answer to the second it is done with what came before.
 */
static void settle(void *context)
{
    struct xen *observer = context;
    char value[8];
    for (unsigned int i = 0; i < 2; i++)
        (void)observer->ops->xs_read(observer, XEN_XBT_NIL, "/local/domain/0/none", value, sizeof(value));
}

static int balance(struct xen_machine *inner, struct fakexen_balance *out)
{
    int rc = fakexen_client_machine_balance(inner, out);
    out->handles -= rc == 0; /* the observer's */
    return rc;
}

static void run(const char *plan, const char *what, uint64_t memory, struct fault_result *result,
                struct fault_tally *tally)
{
    struct test_machine test = {0};
    struct xen *observer;
    machine_begin(&test);
    assert_int_equal(test.machine->ops->open(test.machine, 0, &observer), 0);
    const struct fault_session_config config = {.plan = plan,
                                                .front_first = ++runs & 1,
                                                .context = observer,
                                                .inner = test.machine,
                                                .balance = balance,
                                                .settle = settle};
    fault_run(&config, what, memory || plan ? FAULT_LATE : FAULT_UNHURT, memory, false, result, tally);
    xen_close(observer);
    machine_finish(&test);
}

static void report(const char *what, const struct fault_tally *tally)
{
    printf("%s: %u sessions, %u unhurt, %u given up by patience\n", what, tally->runs, tally->unhurt,
           tally->late);
}

static void test_faults_host_allocations(void **state)
{
    struct fault_tally tally = {0};
    struct fault_result result;
    char what[64];
    (void)state;
    failing_memory_arm(0, false);
    run(NULL, "no fault", 0, &result, &tally);
    uint64_t n = failing_memory_disarm();
    for (uint64_t k = 1; k <= n; k += stride) {
        snprintf(what, sizeof(what), "allocation %" PRIu64, k);
        run(NULL, what, k, &result, &tally);
    }
    report("allocations of the clients", &tally);
    assert_true(n > 50);
}

/* The first few of every call, as there are too many sessions otherwise. */
static void test_faults_host_calls(void **state)
{
    struct fault_tally tally = {0};
    struct fault_result plain, result;
    char plan[64];
    (void)state;
    run(NULL, "no fault", 0, &plain, &tally);
    for (unsigned int i = 0; fakexen_faults_op(i); i++) {
        const struct fakexen_faults_op *op = fakexen_faults_op(i);
        for (unsigned int e = 0; op->errors[e]; e++) {
            for (uint64_t k = 1; k <= plain.calls[i]; k += 3 * k * stride) {
                snprintf(plan, sizeof(plan), "%s:%" PRIu64 "=%s", op->name, k,
                         strerrorname_np(op->errors[e]));
                run(plan, plan, 0, &result, &tally);
            }
        }
    }
    report("calls by plan", &tally);
}

static void test_faults_host_knobs(void **state)
{
    static const char *const plans[] = {"event-delay:every@3", "event-drop:p=0.3",
                                        "watch-delay:every@2", "revoke:every",
                                        "xs-conflict:p=0.5",   "freeze:domid=1@200,thaw:domid=1@300",
                                        "memory:100"};
    struct fault_tally tally = {0};
    struct fault_result result;
    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        run(plans[i], plans[i], 0, &result, &tally);
        if (i < 6)
            assert_string_equal(result.failure, "");
    }
    report("knobs", &tally);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_host_allocations),
        cmocka_unit_test(test_faults_host_calls),
        cmocka_unit_test(test_faults_host_knobs),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    stride = fault_stride(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
