// SPDX-License-Identifier: MIT
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct xen *machine_open(struct test_machine *test, domid_t domid)
{
    struct xen *xen = NULL;
    assert_int_equal(test->machine->ops->open(test->machine, domid, &xen), 0);
    assert_int_equal(xen->domid, domid);
    if (test->opened)
        test->opened(test, xen);
    return xen;
}

int machine_setup(void **state)
{
    struct test_machine *test = calloc(1, sizeof(*test));
    assert_non_null(test);
    machine_begin(test);
    assert_int_equal(test->machine->ops->domain_create(test->machine, GUEST), 0);
    assert_int_equal(test->machine->ops->domain_create(test->machine, OTHER), 0);
    test->dom0 = machine_open(test, 0);
    test->guest = machine_open(test, GUEST);
    test->other = machine_open(test, OTHER);
    *state = test;
    return 0;
}

int machine_teardown(void **state)
{
    struct test_machine *test = *state;
    xen_close(test->dom0);
    xen_close(test->guest);
    xen_close(test->other);
    struct fakexen_balance balance = machine_balance(test);
    machine_finish(test);
    free(test);
    assert_int_equal(balance.handles, 0);
    assert_int_equal(balance.pages, 0);
    assert_int_equal(balance.grants, 0);
    assert_int_equal(balance.maps, 0);
    assert_int_equal(balance.ports, 0);
    assert_int_equal(balance.watches, 0);
    assert_int_equal(balance.transactions, 0);
    return 0;
}
