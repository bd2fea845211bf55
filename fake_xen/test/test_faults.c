// SPDX-License-Identifier: MIT
/* Goal: calls fail as fakexen/faults.h says, and leave nothing behind; around both forms of the machine. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "faults_lab.h"

/* ---- which calls fail ---- */

/* What ten calls do under a plan: '.' went well, 'x' failed with the errno of the plan, which is ENOMEM. */
static const struct {
    const char *plan;
    const char *calls;
} whens[] = {
    {"xs_begin:5=EPERM", ".........."}, /* another call */
    {"grant_map_limit:1=ENOMEM", "x........."},
    {"grant_map_limit:nth=4=12", "...x......"},
    {"grant_map_limit:from=8=ENOMEM", ".......xxx"},
    {"grant_map_limit:every=ENOMEM", "xxxxxxxxxx"},
    {"grant_map_limit:p=1=ENOMEM", "xxxxxxxxxx"},
    {"grant_map_limit:p=0=ENOMEM", ".........."},
    {"grant_map_limit:2=ENOMEM,grant_map_limit:3=ENOMEM", ".xx......."},
    {"any:3=ENOMEM", "..x......."},
    {"grant_map_limit:3=ENOMEM@5", "..x......."}, /* the guest's third */
    {"grant_map_limit:every=ENOMEM@0", ".........."},
    {"seed=9", ".........."},
    {"", ".........."},
};

static void test_faults_when(void **state)
{
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof(whens) / sizeof(whens[0]); i++) {
        uint64_t failed = fakexen_faults_stats(lab->faults).failed;
        char seen[11] = "";
        faults_plan(lab, whens[i].plan);
        for (unsigned int k = 0; k < 10; k++) {
            int rc = CALL(lab->guest, grant_map_limit, 100);
            assert_true(rc == 0 || rc == -ENOMEM);
            seen[k] = rc ? 'x' : '.';
            failed += rc != 0;
        }
        assert_string_equal(seen, whens[i].calls);
        assert_int_equal(fakexen_faults_stats(lab->faults).failed, failed);
        fakexen_faults_clear(lab->faults);
    }
}

static unsigned int pattern(struct lab *lab, const char *text)
{
    unsigned int bits = 0;
    faults_plan(lab, text);
    for (unsigned int k = 0; k < 32; k++)
        bits |= (unsigned int)(CALL(lab->guest, grant_map_limit, 100) != 0) << k;
    fakexen_faults_clear(lab->faults);
    return bits;
}

static void test_faults_seed(void **state)
{
    struct lab *lab = *state;
    unsigned int one = pattern(lab, "seed=1,grant_map_limit:p=0.5=ENOMEM");
    assert_int_equal(pattern(lab, "grant_map_limit:p=0.5=ENOMEM"), one); /* the default */
    assert_int_equal(pattern(lab, "grant_map_limit:p=0.5=ENOMEM,seed=1"), one);
    assert_int_not_equal(pattern(lab, "seed=2,grant_map_limit:p=0.5=ENOMEM"), one);
    assert_true(one != 0 && one != UINT32_MAX);
    unsigned int failed = 0;
    faults_plan(lab, "seed=77,grant_map_limit:p=0.25=ENOMEM");
    for (unsigned int k = 0; k < 4000; k++)
        failed += CALL(lab->guest, grant_map_limit, 100) != 0;
    assert_true(failed > 850 && failed < 1150);
    assert_int_equal(fakexen_faults_seed(lab->faults), 77);
}

/* Every call is counted, by its name, also those that fail and those that cannot. */
static void test_faults_counts(void **state)
{
    struct lab *lab = *state;
    void *page;
    uint64_t before = fakexen_faults_stats(lab->faults).calls;
    faults_plan(lab, "pages_alloc:2=ENOMEM");
    assert_int_equal(CALL(lab->guest, pages_alloc, 1, &page), 0);
    void *other = lab;
    assert_int_equal(CALL(lab->guest, pages_alloc, 1, &other), -ENOMEM);
    assert_ptr_equal(other, lab); /* left alone */
    CALL(lab->guest, pages_free, page, 1);
    assert_int_equal(fakexen_faults_calls(lab->faults, "pages_alloc"), 2);
    assert_int_equal(fakexen_faults_calls(lab->faults, "pages_free"), 1);
    assert_int_equal(fakexen_faults_calls(lab->faults, "open"), 2);
    assert_int_equal(fakexen_faults_calls(lab->faults, "evtchn_unmask"), 1);
    assert_int_equal(fakexen_faults_calls(lab->faults, "nonsense"), 0);
    assert_int_equal(fakexen_faults_stats(lab->faults).calls, before + 3);
    unsigned int n = 0;
    uint64_t sum = 0;
    for (const struct fakexen_faults_op *op; (op = fakexen_faults_op(n)); n++)
        sum += fakexen_faults_calls(lab->faults, op->name);
    assert_int_equal(n, 33);
    assert_int_equal(sum, before + 3);
}

static void test_faults_machine(void **state)
{
    struct lab *lab = *state;
    struct xen *xen;
    faults_plan(lab, "open:every=EMFILE,domain_create:every=ENOMEM,domain_destroy:1=ENXIO");
    assert_int_equal(lab->faults->ops->open(lab->faults, 0, &xen), -EMFILE);
    assert_int_equal(lab->faults->ops->domain_create(lab->faults, OTHER), -ENOMEM);
    assert_int_equal(lab->faults->ops->domain_destroy(lab->faults, GUEST), -ENXIO);
    fakexen_faults_clear(lab->faults);
    assert_int_equal(lab->faults->ops->domain_create(lab->faults, OTHER), 0);
    assert_int_equal(lab->faults->ops->domain_destroy(lab->faults, OTHER), 0);
}

/* ---- what a failed call leaves behind ---- */

static void test_faults_no_effect(void **state)
{
    struct lab *lab = *state;
    char value[16];
    evtchn_port_t port = 4711;
    grant_ref_t ref = 4711;
    void *page, *map = NULL;
    struct fakexen_balance before = machine_balance(&lab->test);
    faults_plan(
        lab,
        "xs_write:1=ENOSPC,evtchn_alloc:1=ENOSPC,xs_watch:1=ENOMEM,evtchn_notify:1=EINVAL,xs_rm:1=EACCES");
    assert_int_equal(CALL(lab->guest, xs_write, 0, "data/x", "1", 1), -ENOSPC);
    assert_int_equal(CALL(lab->guest, xs_read, 0, "data/x", value, sizeof(value)), -ENOENT);
    assert_int_equal(CALL(lab->guest, xs_write, 0, "data/x", "1", 1), 0);
    assert_int_equal(CALL(lab->guest, xs_rm, 0, "data/x"), -EACCES);
    assert_int_equal(CALL(lab->guest, xs_read, 0, "data/x", value, sizeof(value)), 1);
    assert_int_equal(CALL(lab->guest, evtchn_alloc, 0, &port), -ENOSPC);
    assert_int_equal(port, 4711);
    assert_int_equal(CALL(lab->guest, xs_watch, "data", "w"), -ENOMEM);
    assert_int_equal(CALL(lab->back, evtchn_notify, lab->bport), -EINVAL);
    assert_int_equal(faults_poll(lab->guest), 0);
    struct fakexen_balance after = machine_balance(&lab->test);
    assert_memory_equal(&before, &after, sizeof(before));

    faults_plan(lab, "grant:1=ENOSPC,grant_map:1=ENOMEM,grant_unmap:1=EINVAL,grant_end:2=EBUSY");
    assert_int_equal(CALL(lab->guest, pages_alloc, 1, &page), 0);
    assert_int_equal(CALL(lab->guest, grant, 0, page, false, &ref), -ENOSPC);
    assert_int_equal(ref, 4711);
    assert_int_equal(CALL(lab->guest, grant, 0, page, false, &ref), 0);
    assert_int_equal(CALL(lab->back, grant_map, GUEST, 1, &ref, true, &map), -ENOMEM);
    assert_null(map);
    assert_int_equal(CALL(lab->back, grant_map, GUEST, 1, &ref, true, &map), 0);
    assert_int_equal(CALL(lab->back, grant_unmap, map, 1), -EINVAL);
    *(volatile uint8_t *)map = 1;
    assert_int_equal(CALL(lab->guest, grant_end, ref), -EBUSY); /* the genuine one */
    assert_int_equal(CALL(lab->back, grant_unmap, map, 1), 0);
    assert_int_equal(CALL(lab->guest, grant_end, ref), -EBUSY); /* by plan */
    assert_int_equal(CALL(lab->guest, grant_end, ref), 0);
    CALL(lab->guest, pages_free, page, 1);
}

/* A transaction that could not be ended is over, and nothing of it is done. */
static void test_faults_transaction(void **state)
{
    static const char *const plans[] = {"xs_end:1=EAGAIN", "xs_end:1=ENOSPC", "xs-conflict:1"};
    struct lab *lab = *state;
    char value[16];
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        xen_transaction t;
        faults_plan(lab, plans[i]);
        assert_int_equal(CALL(lab->guest, xs_begin, &t), 0);
        assert_int_equal(CALL(lab->guest, xs_write, t, "data/t", "1", 1), 0);
        assert_int_equal(CALL(lab->guest, xs_end, t, false), i == 1 ? -ENOSPC : -EAGAIN);
        assert_int_equal(machine_balance(&lab->test).transactions, 0);
        assert_int_equal(CALL(lab->guest, xs_read, 0, "data/t", value, sizeof(value)), -ENOENT);
        assert_true(CALL(lab->guest, xs_end, t, false) < 0);
        fakexen_faults_clear(lab->faults);
    }
    /* Giving up conflicts with nobody, and does not count. */
    xen_transaction t;
    faults_plan(lab, "xs-conflict:1");
    assert_int_equal(CALL(lab->guest, xs_begin, &t), 0);
    assert_int_equal(CALL(lab->guest, xs_end, t, true), 0);
    assert_int_equal(CALL(lab->guest, xs_begin, &t), 0);
    assert_int_equal(CALL(lab->guest, xs_end, t, false), -EAGAIN);
}

/* After EPIPE a handle answers nothing else; the others live. */
static void test_faults_epipe(void **state)
{
    struct lab *lab = *state;
    char path[XEN_XS_PATH_MAX + 1], token[XEN_XS_TOKEN_MAX + 1];
    evtchn_port_t port;
    void *page;
    assert_int_equal(CALL(lab->guest, pages_alloc, 1, &page), 0);
    assert_false(faults_pending(lab));
    faults_plan(lab, "grant_map_limit:1=EPIPE");
    assert_int_equal(CALL(lab->guest, grant_map_limit, 1), -EPIPE);
    assert_true(faults_pending(lab)); /* its driver has to be told */
    assert_int_equal(CALL(lab->guest, xs_read, 0, "data", path, sizeof(path)), -EPIPE);
    CALL(lab->guest, pages_free, page, 1);
    assert_int_equal(machine_balance(&lab->test).pages, 1);
    assert_int_equal(CALL(lab->guest, evtchn_pending, &port), -EPIPE);
    assert_false(faults_pending(lab));
    assert_int_equal(CALL(lab->guest, xs_watch_read, path, token), -EPIPE);
    assert_int_equal(CALL(lab->back, evtchn_notify, lab->bport), 0);
    assert_int_equal(CALL(lab->back, xs_write, 0, "/x", "1", 1), 0);
}

/* ---- memory and grants ---- */

static void test_faults_memory(void **state)
{
    struct lab *lab = *state;
    struct xen *second;
    void *a, *b;
    assert_int_equal(lab->faults->ops->open(lab->faults, GUEST, &second), 0);
    faults_plan(lab, "memory:5");
    assert_int_equal(CALL(lab->guest, pages_alloc, 3, &a), 0);
    assert_int_equal(CALL(second, pages_alloc, 3, &b), -ENOMEM); /* all handles of a domain together */
    assert_int_equal(CALL(second, pages_alloc, 2, &b), 0);
    assert_int_equal(CALL(lab->guest, pages_alloc, 1, &b), -ENOMEM);
    CALL(lab->guest, pages_free, a, 3);
    assert_int_equal(CALL(lab->guest, pages_alloc, 3, &a), 0);
    assert_int_equal(CALL(lab->back, pages_alloc, 5, &b), 0); /* another domain */
    xen_close(second);
    assert_int_equal(CALL(lab->guest, pages_alloc, 2, &b), 0);
}

/* MAL-14. */
static void test_faults_revoke(void **state)
{
    struct lab *lab = *state;
    grant_ref_t refs[2];
    uint8_t *pages;
    void *map, *again;
    assert_int_equal(CALL(lab->guest, pages_alloc, 2, (void **)&pages), 0);
    for (unsigned int i = 0; i < 2; i++)
        assert_int_equal(CALL(lab->guest, grant, 0, pages + i * XEN_PAGE_SIZE_BYTES, false, &refs[i]), 0);
    faults_plan(lab, "revoke:2");
    assert_int_equal(CALL(lab->back, grant_map, GUEST, 1, refs, true, &map), 0);
    assert_int_equal(CALL(lab->back, grant_unmap, map, 1), 0);
    assert_int_equal(fakexen_faults_stats(lab->faults).revoked, 0);
    assert_int_equal(CALL(lab->back, grant_map, GUEST, 2, refs, true, &map), 0);
    assert_int_equal(fakexen_faults_stats(lab->faults).revoked, 2);
    ((volatile uint8_t *)map)[XEN_PAGE_SIZE_BYTES] = 7; /* what is mapped stays so */
    assert_int_equal(pages[XEN_PAGE_SIZE_BYTES], 7);
    assert_int_equal(CALL(lab->back, grant_map, GUEST, 1, &refs[1], true, &again), -EACCES);
    assert_int_equal(CALL(lab->guest, grant_end, refs[1]), -EBUSY);
    assert_int_equal(CALL(lab->back, grant_unmap, map, 2), 0);
    for (unsigned int i = 0; i < 2; i++)
        assert_int_equal(CALL(lab->guest, grant_end, refs[i]), 0);
    CALL(lab->guest, pages_free, pages, 2);
}

/* ---- plans that are none ---- */

static const struct {
    const char *plan;
    const char *error;
} bad_plans[] = {
    {"grant_mop:1=ENOMEM", "grant_mop: no such call or knob"},
    {"grant_map", "grant_map: neither NAME:WHEN nor seed=N"},
    {"grant_map:3", "grant_map: no errno: "},
    {"grant_map:3=ENONSENSE", "grant_map: no errno: ENONSENSE"},
    {"grant_map:3=0", "grant_map: no errno: 0"},
    {"grant_map:3=4096", "grant_map: no errno: 4096"},
    {"grant_map:0=ENOMEM", "grant_map: no number, every, from=N or p=X: 0"},
    {"grant_map:x=ENOMEM", "grant_map: no number, every, from=N or p=X: x"},
    {"grant_map:-1=ENOMEM", "grant_map: no number, every, from=N or p=X: -1"},
    {"grant_map:p=1.5=ENOMEM", "grant_map: no number, every, from=N or p=X: p=1.5"},
    {"grant_map:p=-0.1=ENOMEM", "grant_map: no number, every, from=N or p=X: p=-0.1"},
    {"grant_map:p=nan=ENOMEM", "grant_map: no number, every, from=N or p=X: p=nan"},
    {"grant_map:p==ENOMEM", "grant_map: no number, every, from=N or p=X: p="},
    {"grant_map:99999999999999999999=ENOMEM",
     "grant_map: no number, every, from=N or p=X: 99999999999999999999"},
    {"grant_map:1=ENOMEM@x", "grant_map: no domain: x"},
    {"grant_map:1=ENOMEM@40000", "grant_map: no domain: 40000"},
    {"pages_free:1=ENOMEM", "pages_free cannot fail"},
    {"close:1=EPIPE", "close cannot fail"},
    {"event-drop:", "event-drop: no number, every, from=N or p=X: "},
    {"event-delay:1@x", "event-delay: no number of polls: x"},
    {"event-drop:1@3", "event-drop: no number, every, from=N or p=X: 1@3"},
    {"memory:x", "memory: no number of pages: x"},
    {"freeze:1@2", "freeze: not domid=DOMID@CALL"},
    {"freeze:domid=1", "freeze: not domid=DOMID@CALL"},
    {"thaw:domid=x@2", "thaw: not domid=DOMID@CALL"},
    {"seed=x", "seed: no number: x"},
    {",", "an item is empty or longer than 63 bytes"},
    {"seed=1,", "an item is empty or longer than 63 bytes"},
    {"seed=0000000000000000000000000000000000000000000000000000000007", NULL},
    {"seed=00000000000000000000000000000000000000000000000000000000001",
     "an item is empty or longer than 63 bytes"},
};

static void test_faults_bad_plans(void **state)
{
    struct lab *lab = *state;
    for (size_t i = 0; i < sizeof(bad_plans) / sizeof(bad_plans[0]); i++) {
        char text[160];
        char error[FAKEXEN_FAULTS_ERROR_MAX] = "";
        snprintf(text, sizeof(text), "seed=5,grant_map_limit:every=ENOMEM,%s", bad_plans[i].plan);
        int rc = fakexen_faults_parse(lab->faults, text, error);
        assert_int_equal(rc, bad_plans[i].error ? -EINVAL : 0);
        assert_string_equal(error, bad_plans[i].error ? bad_plans[i].error : "");
        assert_int_equal(fakexen_faults_parse(lab->faults, text, NULL), rc);
        /* Nothing of it is taken. */
        assert_int_equal(fakexen_faults_seed(lab->faults) == 1, rc != 0);
        assert_int_equal(CALL(lab->guest, grant_map_limit, 9), rc ? 0 : -ENOMEM);
        fakexen_faults_clear(lab->faults);
    }
    for (unsigned int i = 0; i < FAKEXEN_FAULTS_ITEMS_MAX; i++)
        faults_plan(lab, "grant_map_limit:2=ENOMEM");
    assert_int_equal(fakexen_faults_parse(lab->faults, "grant_map_limit:1=ENOMEM", NULL), -ENOSPC);
    assert_int_equal(CALL(lab->guest, grant_map_limit, 9), 0);
    assert_int_equal(CALL(lab->guest, grant_map_limit, 9), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTS_TEST(test_faults_when),      FAULTS_TEST(test_faults_seed),
        FAULTS_TEST(test_faults_counts),    FAULTS_TEST(test_faults_machine),
        FAULTS_TEST(test_faults_no_effect), FAULTS_TEST(test_faults_transaction),
        FAULTS_TEST(test_faults_epipe),     FAULTS_TEST(test_faults_memory),
        FAULTS_TEST(test_faults_revoke),    FAULTS_TEST(test_faults_bad_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
