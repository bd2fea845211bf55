// SPDX-License-Identifier: MIT
/*
 * Goal: of two commands at once the second, in whatever moment of the first, finds or leaves nothing that is
 * only half there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toolstack/store.h"
#include "world.h"

static struct world *world;

/* Stands in front of domain 0's calls. */
static struct {
    struct xen_ops ops;
    const struct xen_ops *real;
    unsigned int failures; /* of xs_rm in transactions, still to come */
    unsigned int removals; /* xs_rm in transactions */
    int error;
} spy;

static int spy_xs_rm(struct xen *xen, xen_transaction t, const char *path)
{
    spy.removals++;
    if (!spy.failures)
        return spy.real->xs_rm(xen, t, path);
    spy.failures--;
    return spy.error;
}

static int begin(void **state)
{
    (void)state;
    world = world_create(0);
    world_create_guest(world, 0);
    spy.real = world->dom0->ops;
    spy.ops = *spy.real;
    spy.ops.xs_rm = spy_xs_rm;
    spy.failures = spy.removals = 0;
    world->dom0->ops = &spy.ops;
    return 0;
}

static int end(void **state)
{
    (void)state;
    world->dom0->ops = spy.real;
    world_destroy(world);
    return 0;
}

static struct vusb_controller create(void)
{
    char error[TOOL_ERROR_MAX];
    struct vusb_controller c = {.kind = "qusb", .usb_ver = 2, .num_ports = 4};
    c.frontend = world->guest[0].domain.domid;
    assert_int_equal(tstore_add_controller(world->dom0, &c, NULL, error), 0);
    return c;
}

/* As xenstored answers in a transaction that another's command got into (known-xenstored-4.17
 * changed-remove). */
static void test_at_once_errors(void **state)
{
    static const int row[] = {-EIO, -EINVAL};
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char *before = world_nodes(world);
        const struct vusb_controller c = create();
        spy.error = row[i];
        spy.failures = 3;
        assert_int_equal(tstore_remove_controller(world->dom0, &c), 0);
        assert_int_equal(spy.failures, 0);
        char *after = world_nodes(world);
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
}

/* What stays wrong is said, soon. */
static void test_at_once_errors_stay(void **state)
{
    const struct vusb_controller c = create();
    (void)state;
    spy.error = -ENOSPC;
    spy.failures = 1000;
    spy.removals = 0;
    assert_int_equal(tstore_remove_controller(world->dom0, &c), -ENOSPC);
    assert_in_range(spy.removals, 2, 100);
    spy.failures = 0;
    spy.removals = 0;
    spy.error = -EPIPE;
    spy.failures = 1000;
    assert_int_equal(tstore_remove_controller(world->dom0, &c), -EPIPE);
    assert_int_equal(spy.removals, 1);
    spy.failures = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_at_once_errors),
        TEST(test_at_once_errors_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
