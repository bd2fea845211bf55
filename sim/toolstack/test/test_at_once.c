// SPDX-License-Identifier: MIT
/*
 * Goal: of two commands at once the second, in whatever moment of the first, finds or leaves nothing that is
 * only half there. The first is stopped at a call of it, where the second is done from begin to end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toolstack/attach.h"
#include "toolstack/emulated.h"
#include "world.h"

static struct world *world;

/* Stands in front of domain 0's calls. */
static struct {
    struct xen_ops ops;
    const struct xen_ops *real;
    void (*second)(void);  /* done once, when the first is about to wait */
    unsigned int waits;    /* so many go by before */
    unsigned int failures; /* of xs_rm in transactions, still to come */
    unsigned int removals; /* xs_rm in transactions */
    int error;
} spy;

static int spy_xs_watch(struct xen *xen, const char *path, const char *token)
{
    if (spy.second && spy.waits-- == 0) {
        spy.second();
        spy.second = NULL;
    }
    return spy.real->xs_watch(xen, path, token);
}

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
    spy.ops.xs_watch = spy_xs_watch;
    spy.ops.xs_rm = spy_xs_rm;
    spy.second = NULL;
    spy.failures = spy.removals = spy.waits = 0;
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

static struct vusb_controller create_served(void)
{
    const struct vusb_controller c = create();
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(&c, backend, frontend);
    assert_int_equal(xenbus_state_write(world->dom0, backend, XenbusStateInitWait), 0);
    return c;
}

static int destroy(const struct vusb_controller *c, char error[TOOL_ERROR_MAX])
{
    struct attach attach = {.xen = world->dom0, .dir = world->dir, .timeout_ms = 20};
    return attach_destroy_controller(&attach, c, error);
}

/* It has looked which controllers there are, and then it is gone: nothing of it comes again. */
static void test_at_once_destroyed_before(void **state)
{
    char error[TOOL_ERROR_MAX];
    char *before = world_nodes(world);
    const struct vusb_controller c = create_served();
    (void)state;
    assert_int_equal(tstore_remove_controller(world->dom0, &c), 0);
    assert_int_equal(destroy(&c, error), -ENODEV);
    assert_string_equal(error, "controller 0 of domain 1 is gone");
    char *after = world_nodes(world);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void remove_it(void)
{
    const struct vusb_controller c = {.kind = "qusb", .frontend = world->guest[0].domain.domid};
    assert_int_equal(tstore_remove_closed(world->dom0, &c), 0);
}

static void remove_it_and_create(void)
{
    remove_it();
    (void)create();
}

/* Both have closed it, and the other one is there first. */
static void test_at_once_destroyed_meanwhile(void **state)
{
    char error[TOOL_ERROR_MAX];
    char *before = world_nodes(world);
    const struct vusb_controller c = create_served();
    (void)state;
    spy.second = remove_it;
    assert_int_equal(destroy(&c, error), 0);
    assert_null(spy.second);
    char *after = world_nodes(world);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* And there is a new one with its number, which nobody has asked to destroy. */
static void test_at_once_created_anew(void **state)
{
    char error[TOOL_ERROR_MAX];
    (void)state;
    (void)create();
    char *expected = world_nodes(world);
    const struct vusb_controller c = {
        .kind = "qusb", .frontend = world->guest[0].domain.domid, .num_ports = 4};
    char backend[XENBUS_PATH_MAX];
    char frontend[XENBUS_PATH_MAX];
    vusb_paths(&c, backend, frontend);
    assert_int_equal(xenbus_state_write(world->dom0, backend, XenbusStateInitWait), 0);
    spy.second = remove_it_and_create;
    assert_int_equal(destroy(&c, error), 0);
    assert_null(spy.second);
    char *after = world_nodes(world);
    assert_string_equal(expected, after);
    free(expected);
    free(after);
}

/* A guest that is being destroyed: forgotten, and its domain is still there. Nothing is given to it any more.
 */
static void test_at_once_guest_forgotten(void **state)
{
    char error[TOOL_ERROR_MAX];
    const domid_t domid = world->guest[0].domain.domid;
    struct vusb_controller c = {.kind = "qusb", .frontend = domid, .usb_ver = 2, .num_ports = 4};
    unsigned int port;
    (void)state;
    assert_int_equal(tstore_forget_domain(world->dom0, domid), 0);
    char *before = world_nodes(world);
    assert_int_equal(tstore_add_controller(world->dom0, &c, NULL, error), -ENXIO);
    assert_string_equal(error, "Domain 1 does not exist");
    assert_int_equal(tstore_pass_bus(world->dom0, domid, 1, error), -ENXIO);
    assert_int_equal(tstore_take_emulated(world->dom0, domid, "1-1", "host:1.2", &port, error), -ENXIO);
    char *after = world_nodes(world);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* The device model works on a command, and the guest is destroyed. */
static void forget_guest(void)
{
    assert_int_equal(tstore_forget_domain(world->dom0, world->guest[0].domain.domid), 0);
}

static void test_at_once_device_model_forgotten(void **state)
{
    char error[TOOL_ERROR_MAX];
    char dir[64];
    const domid_t domid = world->guest[0].domain.domid;
    (void)state;
    snprintf(dir, sizeof(dir), "/local/domain/0/device-model/%u", domid);
    assert_int_equal(xenbus_write(world->dom0, XEN_XBT_NIL, dir, "state", "running"), 0);
    spy.waits = 1; /* the first is for its being ready */
    spy.second = forget_guest;
    assert_int_equal(
        emulated_command(world->dom0, domid, "usb-add", "host:1.2", EMULATED_ADDED, 60000, error), -ENXIO);
    assert_null(spy.second);
    assert_string_equal(error, "the device model has ended meanwhile");
    assert_int_equal(emulated_answer(world->dom0, domid, EMULATED_ADDED), 0);
    char *after = world_nodes(world);
    assert_null(strstr(after, "device-model"));
    free(after);
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
    static const struct {
        int error;
        unsigned int tries;
    } row[] = {{-EIO, 20}, {-EINVAL, 20}, {-ENOSPC, 1}, {-EPIPE, 1}};
    const struct vusb_controller c = create();
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        spy.error = row[i].error;
        spy.failures = 1000;
        spy.removals = 0;
        assert_int_equal(tstore_remove_controller(world->dom0, &c), row[i].error);
        assert_int_equal(spy.removals, row[i].tries);
    }
    spy.failures = 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_at_once_destroyed_before),
        TEST(test_at_once_destroyed_meanwhile),
        TEST(test_at_once_created_anew),
        TEST(test_at_once_errors),
        TEST(test_at_once_errors_stay),
        TEST(test_at_once_guest_forgotten),
        TEST(test_at_once_device_model_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
