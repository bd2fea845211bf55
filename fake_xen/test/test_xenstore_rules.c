// SPDX-License-Identifier: MIT
/* What the C xenstored does in corners, found by asking it: the same over every form of the machine, and over it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine.h"

#define NEXT 9

static int put(struct xen *xen, xen_transaction t, const char *path)
{
    return CALL(xen, xs_write, t, path, "1", 1);
}

static int get(struct xen *xen, xen_transaction t, const char *path)
{
    char buf[16];
    return (int)CALL(xen, xs_read, t, path, buf, sizeof(buf));
}

static xen_transaction begun(struct xen *xen)
{
    xen_transaction t = XEN_XBT_NIL;
    assert_int_equal(CALL(xen, xs_begin, &t), 0);
    return t;
}

static void watch(struct xen *xen, const char *path)
{
    char seen[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(CALL(xen, xs_watch, path, "w"), 0);
    while (CALL(xen, xs_watch_read, seen, token) == -EAGAIN)
        continue;
    assert_string_equal(seen, path);
}

/* These events and no others. The question behind them comes back behind them. */
static void expect_events(struct xen *xen, const char *const paths[], unsigned int count)
{
    char seen[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(get(xen, 0, "/local/domain/0/domid"), 1);
    for (unsigned int i = 0; i < count; i++) {
        assert_int_equal(CALL(xen, xs_watch_read, seen, token), 0);
        assert_string_equal(seen, paths[i]);
    }
    assert_int_equal(CALL(xen, xs_watch_read, seen, token), -EAGAIN);
}

#define EXPECT_EVENTS(xen, ...)                                                                                        \
    expect_events((xen), (const char *const[]){__VA_ARGS__},                                                           \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* domain_alloc_permrefs(), domain_adjust_node_perms(): an entry is for a domain, not for all that have its number. */
static void test_permissions_of_the_next_domain(void **state)
{
    struct test_machine *test = *state;
    const struct xen_machine_ops *ops = test->machine->ops;
    const struct xen_xs_perm perms[] = {{0, XEN_XS_NONE}, {NEXT, XEN_XS_READ}};
    struct xen_xs_perm seen[2];
    assert_int_equal(put(test->dom0, 0, "/p"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 2), 0);
    assert_int_equal(ops->domain_create(test->machine, NEXT), 0);
    struct xen *next = machine_open(test, NEXT);
    assert_int_equal(get(next, 0, "/p"), -EACCES);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 2), 0);
    assert_int_equal(get(next, 0, "/p"), 1);
    assert_int_equal(ops->domain_destroy(test->machine, NEXT), 0);
    xen_close(next);
    assert_int_equal(ops->domain_create(test->machine, NEXT), 0);
    next = machine_open(test, NEXT);
    assert_int_equal(get(next, 0, "/p"), -EACCES);
    /* A new value makes it no younger. */
    assert_int_equal(put(test->dom0, 0, "/p"), 0);
    assert_int_equal(get(next, 0, "/p"), -EACCES);
    assert_int_equal(CALL(test->dom0, xs_get_perms, 0, "/p", seen, 2), 2);
    assert_int_equal(seen[1].domid, NEXT);
    assert_int_equal(seen[1].access, XEN_XS_READ);
    xen_close(next);
    assert_int_equal(ops->domain_destroy(test->machine, NEXT), 0);
    /* Nothing can be given to one that is not there. */
    const struct xen_xs_perm gift = {NEXT, XEN_XS_NONE};
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", &gift, 1), -ENOENT);
}

/* delnode_sub(): what is below goes, and is told of, before what it is in. */
static void test_removal_order(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(put(test->dom0, 0, "/a/b/c"), 0);
    assert_int_equal(put(test->dom0, 0, "/a/d"), 0);
    const char *const paths[] = {"/a", "/a/d", "/a/b", "/a/b/c", "/a/none"};
    for (size_t i = 0; i < 5; i++)
        watch(test->dom0, paths[i]);
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/a"), 0);
    EXPECT_EVENTS(test->dom0, "/a/b/c", "/a/b", "/a/d", "/a");
}

/* finalize_transaction(): each node once, in the order in which they were first looked at. */
static void test_commit_order(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(put(test->dom0, 0, "/x/old"), 0);
    watch(test->dom0, "/x");
    xen_transaction t = begun(test->dom0);
    assert_int_equal(get(test->dom0, t, "/x/one"), -ENOENT);
    assert_int_equal(put(test->dom0, t, "/x/two"), 0);
    assert_int_equal(put(test->dom0, t, "/x/one"), 0);
    assert_int_equal(put(test->dom0, t, "/x/two"), 0);
    assert_int_equal(put(test->dom0, t, "/x/gone"), 0);
    assert_int_equal(CALL(test->dom0, xs_rm, t, "/x/gone"), 0);
    assert_int_equal(CALL(test->dom0, xs_rm, t, "/x/old"), 0);
    assert_int_equal(CALL(test->dom0, xs_end, t, false), 0);
    EXPECT_EVENTS(test->dom0, "/x/one", "/x/two", "/x/old");
}

/* errno_from_parents() looks at the parents of what is missing or refused: they, too, must be then what they were. */
static void test_conflicts_of_errors(void **state)
{
    struct test_machine *test = *state;
    xen_transaction t = begun(test->dom0);
    assert_int_equal(get(test->dom0, t, "/none/at/all"), -ENOENT);
    assert_int_equal(put(test->dom0, 0, "/other"), 0);
    assert_int_equal(CALL(test->dom0, xs_end, t, false), -EAGAIN);
    t = begun(test->guest);
    assert_int_equal(get(test->guest, t, "/local/domain/7/name"), -EACCES);
    assert_int_equal(put(test->dom0, 0, "/local/domain/7"), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), -EAGAIN);
    /* A removal that was refused has not looked below. */
    t = begun(test->guest);
    assert_int_equal(CALL(test->guest, xs_rm, t, "/local/domain/7/data"), -EACCES);
    assert_int_equal(put(test->dom0, 0, "/local/domain/7/data/x"), 0);
    assert_int_equal(put(test->dom0, 0, "/local/domain/7/data/x"), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), -EAGAIN);
    t = begun(test->guest);
    assert_int_equal(CALL(test->guest, xs_rm, t, "/local/domain/7/data"), -EACCES);
    assert_int_equal(put(test->dom0, 0, "/local/domain/7/data/x"), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), 0);
}

int main(void)
{
#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        RULE_TEST(test_permissions_of_the_next_domain),
        RULE_TEST(test_removal_order),
        RULE_TEST(test_commit_order),
        RULE_TEST(test_conflicts_of_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
