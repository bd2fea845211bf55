// SPDX-License-Identifier: MIT
/* Event channels: who may bind, what is pending when, and what closing does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "machine.h"

static evtchn_port_t allocated(struct xen *xen, domid_t remote)
{
    evtchn_port_t port = 0;
    assert_int_equal(CALL(xen, evtchn_alloc, remote, &port), 0);
    assert_int_not_equal(port, 0);
    return port;
}

static evtchn_port_t bound(struct xen *xen, domid_t remote, evtchn_port_t remote_port)
{
    evtchn_port_t port = 0;
    assert_int_equal(CALL(xen, evtchn_bind, remote, remote_port, &port), 0);
    return port;
}

static void expect_pending(struct xen *xen, evtchn_port_t expected)
{
    evtchn_port_t port = 0;
    assert_int_equal(CALL(xen, evtchn_pending, &port), 0);
    assert_int_equal(port, expected);
}

static void expect_quiet(struct xen *xen)
{
    evtchn_port_t port = 0;
    assert_int_equal(CALL(xen, evtchn_pending, &port), -EAGAIN);
}

/* xen_ops.h evtchn_bind: one event is pending at once, at the binding end only. */
static void test_bind_is_pending_at_once(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    expect_pending(test->dom0, back);
    expect_quiet(test->dom0);
    expect_quiet(test->guest);
}

/* xen_ops.h evtchn_bind: -EINVAL for another domain's port, a bound one, and none. */
static void test_bind_refused(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t port = 4711;
    assert_int_equal(CALL(test->other, evtchn_bind, GUEST, front, &port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_bind, OTHER, front, &port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_bind, GUEST, front + 1, &port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_bind, GUEST, 0, &port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_bind, GUEST, UINT32_MAX, &port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_bind, 99, front, &port), -EINVAL);
    assert_int_equal(port, 4711);
    bound(test->dom0, GUEST, front);
    assert_int_equal(CALL(test->dom0, evtchn_bind, GUEST, front, &port), -EINVAL);
    assert_int_equal(CALL(test->guest, evtchn_alloc, DOMID_SELF, &port), -EINVAL);
}

/* xen_ops.h evtchn_pending: taking masks; notifications while masked are one event after unmasking. */
static void test_mask_collects(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    expect_pending(test->dom0, back);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    expect_quiet(test->dom0);
    assert_int_equal(CALL(test->dom0, evtchn_unmask, back), 0);
    expect_pending(test->dom0, back);
    expect_quiet(test->dom0);
    assert_int_equal(CALL(test->dom0, evtchn_unmask, back), 0);
    expect_quiet(test->dom0);
    /* The other direction. */
    assert_int_equal(CALL(test->dom0, evtchn_notify, back), 0);
    expect_pending(test->guest, front);
}

/* xen_ops.h evtchn_pending: ports take turns, however often one of them is notified. */
static void test_ports_take_turns(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front[3];
    evtchn_port_t back[3];
    for (int i = 0; i < 3; i++) {
        front[i] = allocated(test->guest, 0);
        back[i] = bound(test->dom0, GUEST, front[i]);
    }
    unsigned int served[3] = {0};
    for (int round = 0; round < 9; round++) {
        evtchn_port_t port = 0;
        assert_int_equal(CALL(test->dom0, evtchn_pending, &port), 0);
        for (int i = 0; i < 3; i++) {
            if (port != back[i])
                continue;
            served[i]++;
            assert_int_equal(CALL(test->guest, evtchn_notify, front[i]), 0);
        }
        assert_int_equal(CALL(test->dom0, evtchn_unmask, port), 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(served[i], 3);
}

/* xen_ops.h evtchn_notify: lost, not an error, while the other end is unbound or closed. */
static void test_notify_unbound_is_lost(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    expect_pending(test->dom0, back);
    assert_int_equal(CALL(test->dom0, evtchn_close, back), 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    expect_quiet(test->dom0);
    assert_int_equal(CALL(test->dom0, evtchn_notify, back), -EINVAL);
}

/* xen_ops.h evtchn_close: the other end is unbound, may be bound again; numbers are new (fakexen.h 4). */
static void test_close_and_bind_again(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    assert_int_equal(CALL(test->dom0, evtchn_close, back), 0);
    assert_int_equal(CALL(test->dom0, evtchn_close, back), -EINVAL);
    expect_quiet(test->dom0);
    evtchn_port_t again = bound(test->dom0, GUEST, front);
    assert_int_not_equal(again, back);
    expect_pending(test->dom0, again);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), 0);
    assert_int_equal(CALL(test->dom0, evtchn_unmask, again), 0);
    expect_pending(test->dom0, again);
}

static bool is_bound(struct xen *xen, evtchn_port_t port)
{
    bool is = false;
    assert_int_equal(CALL(xen, evtchn_status, port, &is), 0);
    return is;
}

/* xen_ops.h evtchn_status: follows the other end, whoever closes. */
static void test_status(void **state)
{
    struct test_machine *test = *state;
    bool is = true;
    evtchn_port_t front = allocated(test->guest, 0);
    assert_false(is_bound(test->guest, front));
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    assert_true(is_bound(test->guest, front));
    assert_true(is_bound(test->dom0, back));
    assert_int_equal(CALL(test->dom0, evtchn_close, back), 0);
    assert_false(is_bound(test->guest, front));
    is = true;
    assert_int_equal(CALL(test->dom0, evtchn_status, back, &is), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_status, front, &is), -EINVAL);
    assert_true(is);
    back = bound(test->dom0, GUEST, front);
    assert_true(is_bound(test->guest, front));
    assert_int_equal(CALL(test->guest, evtchn_close, front), 0);
    assert_false(is_bound(test->dom0, back));
}

/* xen_ops.h evtchn_status: another port's end changes nothing for the ones that are left. */
static void test_status_of_many(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front[4];
    evtchn_port_t back[4];
    for (int i = 0; i < 4; i++) {
        front[i] = allocated(test->guest, 0);
        back[i] = bound(test->dom0, GUEST, front[i]);
        assert_true(is_bound(test->guest, front[i]));
    }
    for (int closed = 0; closed < 4; closed++) {
        assert_int_equal(CALL(test->dom0, evtchn_close, back[closed]), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(is_bound(test->guest, front[i]), i > closed);
    }
}

/* fakexen.h 11: the end that is left gets one event, once, also when nobody ever notified it. */
static void test_close_tells_the_other_end(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    assert_int_equal(CALL(test->dom0, evtchn_close, back), 0);
    expect_pending(test->guest, front);
    assert_int_equal(CALL(test->guest, evtchn_unmask, front), 0);
    expect_quiet(test->guest);
    /* While masked it waits, like any other. */
    back = bound(test->dom0, GUEST, front);
    expect_pending(test->dom0, back);
    assert_int_equal(CALL(test->guest, evtchn_close, front), 0);
    expect_quiet(test->dom0);
    assert_int_equal(CALL(test->dom0, evtchn_unmask, back), 0);
    expect_pending(test->dom0, back);
    /* An unbound port has nobody to tell. */
    front = allocated(test->guest, 0);
    assert_int_equal(CALL(test->guest, evtchn_close, front), 0);
    expect_quiet(test->dom0);
    expect_quiet(test->guest);
}

/* xen_ops.h close, domain_destroy: when the event of the end comes, the maps have ended. */
static void test_end_comes_after_the_maps(void **state)
{
    struct test_machine *test = *state;
    for (int destroy = 0; destroy < 2; destroy++) {
        struct xen *peer = machine_open(test, OTHER);
        void *page = NULL;
        void *map = NULL;
        grant_ref_t ref = 0;
        assert_int_equal(CALL(test->guest, pages_alloc, 1, &page), 0);
        assert_int_equal(CALL(test->guest, grant, OTHER, page, false, &ref), 0);
        evtchn_port_t front = allocated(test->guest, OTHER);
        bound(peer, GUEST, front);
        assert_int_equal(CALL(peer, grant_map, GUEST, 1, &ref, true, &map), 0);
        assert_true(is_bound(test->guest, front));
        assert_int_equal(CALL(test->guest, grant_end, ref), -EBUSY);
        if (destroy)
            assert_int_equal(test->machine->ops->domain_destroy(test->machine, OTHER), 0);
        else
            xen_close(peer);
        expect_pending(test->guest, front);
        assert_false(is_bound(test->guest, front));
        assert_int_equal(CALL(test->guest, grant_end, ref), 0);
        CALL(test->guest, pages_free, page, 1);
        if (destroy)
            xen_close(peer);
    }
}

/* xen_ops.h: ports bound through a handle are reported to and used by that handle only. */
static void test_ports_belong_to_a_handle(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, 0);
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    expect_quiet(second);
    assert_int_equal(CALL(second, evtchn_notify, back), -EINVAL);
    assert_int_equal(CALL(second, evtchn_close, back), -EINVAL);
    assert_int_equal(CALL(second, evtchn_unmask, back), -EINVAL);
    xen_close(second);
    expect_pending(test->dom0, back);
}

/* xen_ops.h close, domain_destroy: ports close; the survivor notifies into nothing. */
static void test_domain_destroy_closes_ports(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t front = allocated(test->guest, 0);
    evtchn_port_t back = bound(test->dom0, GUEST, front);
    evtchn_port_t port = 0;
    assert_int_equal(machine_balance(test).ports, 2);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(machine_balance(test).ports, 1);
    assert_int_equal(CALL(test->dom0, evtchn_notify, back), 0);
    assert_int_equal(CALL(test->guest, evtchn_notify, front), -EPIPE);
    assert_int_equal(CALL(test->guest, evtchn_pending, &port), -EPIPE);
    assert_int_equal(CALL(test->guest, evtchn_alloc, 0, &port), -EPIPE);
    bool is = true;
    assert_int_equal(CALL(test->guest, evtchn_status, front, &is), -EPIPE);
    assert_false(is_bound(test->dom0, back));
    /* A new domain of this number is another one. */
    assert_int_equal(test->machine->ops->domain_create(test->machine, GUEST), 0);
    assert_int_equal(CALL(test->guest, evtchn_alloc, 0, &port), -EPIPE);
    struct xen *fresh = machine_open(test, GUEST);
    assert_int_not_equal(allocated(fresh, 0), front);
    xen_close(fresh);
}

/* xen_ops.h struct xen_machine_ops: -ENXIO, -EEXIST, -EINVAL. */
static void test_domain_errors(void **state)
{
    struct test_machine *test = *state;
    struct xen *xen = NULL;
    assert_int_equal(test->machine->ops->open(test->machine, 99, &xen), -ENXIO);
    assert_null(xen);
    assert_int_equal(test->machine->ops->domain_create(test->machine, GUEST), -EEXIST);
    assert_int_equal(test->machine->ops->domain_create(test->machine, 0), -EEXIST);
    assert_int_equal(test->machine->ops->domain_create(test->machine, DOMID_SELF), -EINVAL);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 99), -ENXIO);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 0), -EINVAL);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), -ENXIO);
    assert_int_equal(test->machine->ops->open(test->machine, GUEST, &xen), -ENXIO);
}

int main(void)
{
#define EVTCHN_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        EVTCHN_TEST(test_bind_is_pending_at_once),
        EVTCHN_TEST(test_bind_refused),
        EVTCHN_TEST(test_mask_collects),
        EVTCHN_TEST(test_ports_take_turns),
        EVTCHN_TEST(test_notify_unbound_is_lost),
        EVTCHN_TEST(test_close_and_bind_again),
        EVTCHN_TEST(test_status),
        EVTCHN_TEST(test_status_of_many),
        EVTCHN_TEST(test_close_tells_the_other_end),
        EVTCHN_TEST(test_end_comes_after_the_maps),
        EVTCHN_TEST(test_ports_belong_to_a_handle),
        EVTCHN_TEST(test_domain_destroy_closes_ports),
        EVTCHN_TEST(test_domain_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
