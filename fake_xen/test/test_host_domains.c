// SPDX-License-Identifier: MIT
/* What the host tells of its domains: who lives, and that somebody died. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine.h"

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* fakexen.h fakexen_client_machine_domains(): the living ones, ascending, also when there are many. */
static void test_list_of_domains(void **state)
{
    enum { MANY = 150 };
    struct test_machine *test = *state;
    const struct xen_machine_ops *ops = test->machine->ops;
    domid_t found[MANY + 10];
    assert_int_equal(fakexen_client_machine_domains(test->machine, 0, MANY, found), 3);
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], GUEST);
    assert_int_equal(found[2], OTHER);
    assert_int_equal(fakexen_client_machine_domains(test->machine, GUEST + 1, MANY, found), 1);
    assert_int_equal(found[0], OTHER);
    assert_int_equal(fakexen_client_machine_domains(test->machine, 0, 2, found), 2);
    for (unsigned int i = 0; i < MANY; i++)
        assert_int_equal(ops->domain_create(test->machine, (domid_t)(1000 - i)), 0);
    assert_int_equal(ops->domain_destroy(test->machine, 900), 0);
    assert_int_equal(fakexen_client_machine_domains(test->machine, 8, MANY + 10, found), MANY - 1);
    for (unsigned int i = 0; i < MANY - 1; i++)
        assert_int_equal(found[i], 851 + i + (i >= 49));
    for (unsigned int i = 0; i < MANY - 1; i++)
        assert_int_equal(ops->domain_destroy(test->machine, found[i]), 0);
    assert_int_equal(fakexen_client_machine_domains(test->machine, 8, MANY, found), 0);
}

/* fakexen.h 4: VIRQ_DOM_EXC is raised when a domain is destroyed, for domain 0 and for nobody else. */
static void test_virq(void **state)
{
    struct test_machine *test = *state;
    evtchn_port_t port;
    evtchn_port_t guest_port;
    evtchn_port_t pending;
    bool bound = false;
    struct xen *second = machine_open(test, 0);
    assert_int_equal(fakexen_client_evtchn_virq(test->dom0, NR_VIRQS, &port), -EINVAL);
    assert_int_equal(fakexen_client_evtchn_virq(test->dom0, VIRQ_DOM_EXC, &port), 0);
    assert_int_equal(fakexen_client_evtchn_virq(second, VIRQ_DOM_EXC, &port), -EEXIST);
    assert_int_equal(fakexen_client_evtchn_virq(second, VIRQ_DEBUG, &guest_port), 0);
    assert_int_equal(fakexen_client_evtchn_virq(test->guest, VIRQ_DOM_EXC, &guest_port), 0);
    assert_int_equal(CALL(test->dom0, evtchn_status, port, &bound), 0);
    assert_true(bound);
    /* Nobody can make himself the other end of it. */
    assert_int_equal(CALL(test->guest, evtchn_bind, 0, port, &guest_port), -EINVAL);
    assert_int_equal(CALL(test->dom0, evtchn_pending, &pending), -EAGAIN);
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), 0);
    assert_int_equal(CALL(test->dom0, evtchn_pending, &pending), -EAGAIN);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 9), 0);
    assert_true(readable(test->dom0->ops->fd(test->dom0)));
    assert_int_equal(CALL(test->dom0, evtchn_pending, &pending), 0);
    assert_int_equal(pending, port);
    assert_int_equal(CALL(test->guest, evtchn_pending, &pending), -EAGAIN);
    assert_int_equal(CALL(second, evtchn_pending, &pending), -EAGAIN);
    /* Closed, it can be bound again. */
    assert_int_equal(CALL(test->dom0, evtchn_close, port), 0);
    assert_int_equal(fakexen_client_evtchn_virq(second, VIRQ_DOM_EXC, &port), 0);
    xen_close(second);
}

int main(void)
{
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        HOST_TEST(test_list_of_domains),
        HOST_TEST(test_virq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
