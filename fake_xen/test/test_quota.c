// SPDX-License-Identifier: MIT
/*
 * The quotas of guests in xenstore (store.h, fakexen.h), each met to the last and missed by one, which
 * changes nothing; domain 0 has none. And what a guest must not get for nothing: memory and time of others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../xenstore/store.h"
#include "machine.h"

/* data, error, drivers, attr and feature, which a guest owns from the beginning. */
#define HOME_ENTRIES 5u

static int put(struct xen *xen, xen_transaction t, const char *path, const char *value)
{
    return CALL(xen, xs_write, t, path, value, strlen(value));
}

/* Nodes spread over folders, as one folder may not be large; data/<folder>/<i>. */
static int make_entry(struct xen *xen, xen_transaction t, unsigned int i)
{
    char path[64];
    snprintf(path, sizeof(path), "data/%u/%u", i / 100, i % 100);
    return CALL(xen, xs_mkdir, t, path);
}

/* Makes as many nodes as the guest may have besides its home; returns the number of the next one. */
static unsigned int fill(struct xen *xen, xen_transaction t)
{
    unsigned int nodes = HOME_ENTRIES;
    unsigned int i = 0;
    while (nodes < STORE_ENTRIES_MAX) {
        assert_int_equal(make_entry(xen, t, i), 0);
        nodes += i % 100 ? 1 : 2;
        i++;
    }
    assert_int_equal(nodes, STORE_ENTRIES_MAX);
    return i;
}

/* store.h STORE_ENTRIES_MAX; what is removed may be made again. */
static void test_quota_entries(void **state)
{
    struct test_machine *test = *state;
    unsigned int next = fill(test->guest, 0);
    char value[8];
    assert_int_equal(make_entry(test->guest, 0, next), -ENOSPC);
    assert_int_equal(put(test->guest, 0, "error/x", "1"), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_read, 0, "error/x", value, sizeof(value)), -ENOENT);
    /* Neither what is there nor others are affected. */
    assert_int_equal(put(test->guest, 0, "data/0/0", "1"), 0);
    assert_int_equal(put(test->other, 0, "data/x", "1"), 0);
    assert_int_equal(put(test->dom0, 0, "/local/domain/5/data/0/new", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/local/domain/5/data/0/new"), 0);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/0/0"), 0);
    assert_int_equal(put(test->guest, 0, "error/x/y", "1"), -ENOSPC);
    assert_int_equal(put(test->guest, 0, "error/x", "1"), 0);
    assert_int_equal(put(test->guest, 0, "error/y", "1"), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/1"), 0);
    for (unsigned int i = 0; i < 101; i++) {
        snprintf(value, sizeof(value), "%u", i);
        char path[32];
        snprintf(path, sizeof(path), "error/n%s", value);
        assert_int_equal(put(test->guest, 0, path, "1"), 0);
    }
    assert_int_equal(put(test->guest, 0, "error/y", "1"), -ENOSPC);
}

/* A node that domain 0 gives away is the new owner's, who cannot refuse it. */
static void test_quota_given_nodes(void **state)
{
    struct test_machine *test = *state;
    const struct xen_xs_perm guest = {GUEST, XEN_XS_NONE};
    const struct xen_xs_perm dom0 = {0, XEN_XS_BOTH};
    unsigned int next = fill(test->guest, 0);
    assert_int_equal(put(test->dom0, 0, "/gift", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/gift", &guest, 1), 0);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/0/0"), 0);
    assert_int_equal(make_entry(test->guest, 0, next), -ENOSPC);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/gift", &dom0, 1), 0);
    assert_int_equal(make_entry(test->guest, 0, 0), 0);
    assert_int_equal(make_entry(test->guest, 0, next), -ENOSPC);
}

/* In a transaction nodes count only at its end, as in xenstored: where one has to be left. What fails does not count. */
static void test_quota_entries_in_transactions(void **state)
{
    struct test_machine *test = *state;
    xen_transaction t = 0;
    unsigned int next = fill(test->guest, 0);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/0/0"), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(make_entry(test->guest, t, next), 0);
    assert_int_equal(make_entry(test->guest, t, next + 1), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(make_entry(test->guest, t, next), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(make_entry(test->guest, t, next), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, true), 0);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/0/1"), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(make_entry(test->guest, t, next), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), 0);
    /* Outside it may take that one. */
    assert_int_equal(make_entry(test->guest, 0, 0), 0);
    assert_int_equal(make_entry(test->guest, 0, next + 1), -ENOSPC);
    /* Nothing more can even be tried. */
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(make_entry(test->guest, t, next + 1), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_end, t, true), 0);
}

/* What was too large for its quota cannot be committed: write_node() of xenstored. */
static void test_quota_fails_the_transaction(void **state)
{
    struct test_machine *test = *state;
    char value[STORE_NODE_SIZE_MAX];
    xen_transaction t = 0;
    memset(value, 'v', sizeof(value));
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(CALL(test->guest, xs_write, t, "data/v", value, sizeof(value)), -ENOSPC);
    assert_int_equal(put(test->guest, t, "data/w", "1"), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), -ENOMEM);
    assert_int_equal(CALL(test->guest, xs_read, 0, "data/w", value, sizeof(value)), -ENOENT);
}

/* fakexen.h domain_destroy: nothing of the domain is left for the next one of its number (XSA-322). */
static void test_quota_of_the_next_domain(void **state)
{
    struct test_machine *test = *state;
    const struct xen_xs_perm guest = {GUEST, XEN_XS_NONE};
    char value[8];
    fill(test->guest, 0);
    assert_int_equal(put(test->dom0, 0, "/elsewhere/deep/er", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/elsewhere/deep", &guest, 1), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/elsewhere/deep/er", value, sizeof(value)), -ENOENT);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/elsewhere", value, sizeof(value)), 0);
    xen_close(test->guest);
    assert_int_equal(test->machine->ops->domain_create(test->machine, GUEST), 0);
    test->guest = machine_open(test, GUEST);
    fill(test->guest, 0);
}

/* Domain 0 may remove the place of all homes; domains end and begin all the same. */
static void test_quota_without_homes(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/local"), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(test->machine->ops->domain_create(test->machine, GUEST), 0);
    xen_close(test->guest);
    test->guest = machine_open(test, GUEST);
    fill(test->guest, 0);
}

/* store.h STORE_NODE_SIZE_MAX: 24 bytes, 8 for each permission, the value, the names of the children. */
static void test_quota_node_size(void **state)
{
    struct test_machine *test = *state;
    const struct xen_xs_perm two[] = {{GUEST, XEN_XS_NONE}, {OTHER, XEN_XS_READ}};
    char value[STORE_NODE_SIZE_MAX];
    memset(value, 'v', sizeof(value));
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/v", value, STORE_NODE_SIZE_MAX - 32), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_read, 0, "data/v", value, sizeof(value)), -ENOENT);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/v", value, STORE_NODE_SIZE_MAX - 33), 0);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/v", value, STORE_NODE_SIZE_MAX - 32), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_mkdir, 0, "data/v/c"), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "data/v", two, 2), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/v", value, STORE_NODE_SIZE_MAX - 43), 0);
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "data/v", two, 2), 0);
    assert_int_equal(CALL(test->guest, xs_mkdir, 0, "data/v/cc"), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_mkdir, 0, "data/v/c"), 0);
    assert_int_equal(CALL(test->guest, xs_write, 0, "data/v", "", 0), 0);
    assert_int_equal(CALL(test->dom0, xs_write, 0, "/v", value, sizeof(value)), 0);
    /* Below a new node there is one name. */
    char path[STORE_NODE_SIZE_MAX + 8];
    memset(path, 'p', sizeof(path));
    memcpy(path, "data/w/", 7);
    path[XEN_XS_REL_MAX] = '\0';
    assert_int_equal(CALL(test->guest, xs_mkdir, 0, path), -ENOSPC);
}

/* store.h STORE_NODE_PERMS_MAX. */
static void test_quota_perms(void **state)
{
    struct test_machine *test = *state;
    struct xen_xs_perm perms[STORE_NODE_PERMS_MAX + 1] = {{GUEST, XEN_XS_NONE}};
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "data", perms, STORE_NODE_PERMS_MAX + 1), -ENOSPC);
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "data", perms, STORE_NODE_PERMS_MAX), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "data", perms, STORE_NODE_PERMS_MAX), -ENOENT);
    assert_int_equal(
        CALL(test->dom0, xs_set_perms, 0, "/local/domain/5/data", perms, STORE_NODE_PERMS_MAX + 1), 0);
}

/* store.h STORE_WATCHES_MAX, of all connections of the domain together; domain 0 has more. */
static void test_quota_watches(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, GUEST);
    char token[16];
    for (unsigned int i = 0; i < STORE_WATCHES_MAX + 1; i++) {
        snprintf(token, sizeof(token), "%u", i);
        assert_int_equal(CALL(i % 2 ? second : test->guest, xs_watch, "data", token), 0);
    }
    assert_int_equal(CALL(test->guest, xs_watch, "data", "more"), -E2BIG);
    assert_int_equal(CALL(second, xs_watch, "data", "more"), -E2BIG);
    assert_int_equal(CALL(test->guest, xs_watch, "data", "0"), -EEXIST);
    assert_int_equal(CALL(test->other, xs_watch, "data", "more"), 0);
    assert_int_equal(CALL(test->guest, xs_unwatch, "data", "0"), 0);
    assert_int_equal(CALL(second, xs_watch, "data", "more"), 0);
    assert_int_equal(CALL(second, xs_watch, "data", "even more"), -E2BIG);
    xen_close(second);
    for (unsigned int i = 0; i < 2048; i++) {
        snprintf(token, sizeof(token), "%u", i);
        assert_int_equal(CALL(test->dom0, xs_watch, "/nothing", token), 0);
    }
}

/* store.h STORE_TRANSACTIONS_MAX, of all connections of the domain together; domain 0 has more. */
static void test_quota_transactions(void **state)
{
    struct test_machine *test = *state;
    struct xen *second = machine_open(test, GUEST);
    xen_transaction t = 0;
    for (unsigned int i = 0; i < STORE_TRANSACTIONS_MAX + 1; i++)
        assert_int_equal(CALL(i % 2 ? test->guest : second, xs_begin, &t), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), -ENOSPC);
    assert_int_equal(CALL(second, xs_end, t, true), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), -ENOSPC);
    for (unsigned int i = 0; i < 5 * STORE_TRANSACTIONS_MAX; i++)
        assert_int_equal(CALL(test->dom0, xs_begin, &t), 0);
    xen_close(second);
}

/* store.h STORE_TRANSACTION_NODES_MAX: nodes that are looked at, and changes, as they are remembered. */
static void test_quota_in_one_transaction(void **state)
{
    struct test_machine *test = *state;
    struct xen *all[] = {test->guest, test->dom0};
    const struct xen_xs_perm readable = {0, XEN_XS_READ};
    char path[32];
    char value[4];
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/", &readable, 1), 0);
    for (unsigned int who = 0; who < 2; who++) {
        xen_transaction t = 0;
        assert_int_equal(CALL(all[who], xs_begin, &t), 0);
        /* The missing node's parent is looked at, too. */
        for (unsigned int i = 0; i < STORE_TRANSACTION_NODES_MAX - 2; i++) {
            snprintf(path, sizeof(path), "/nothing-%u", i);
            assert_int_equal(CALL(all[who], xs_read, t, path, value, sizeof(value)), -ENOENT);
        }
        assert_int_equal(CALL(all[who], xs_read, t, "/nothing-0", value, sizeof(value)), -ENOENT);
        for (unsigned int i = 0; i < 2; i++) {
            snprintf(path, sizeof(path), "/more-%u", i);
            assert_int_equal(CALL(all[who], xs_read, t, path, value, sizeof(value)),
                             who || !i ? -ENOENT : -ENOSPC);
        }
        assert_int_equal(CALL(all[who], xs_end, t, false), who ? 0 : -ENOMEM);
        assert_int_equal(CALL(all[who], xs_begin, &t), 0);
        const char *node = who ? "/x" : "data/x";
        for (unsigned int i = 0; i < STORE_TRANSACTION_NODES_MAX; i++)
            assert_int_equal(put(all[who], t, node, "1"), 0);
        assert_int_equal(put(all[who], t, node, "2"), who ? 0 : -ENOSPC);
        assert_int_equal(CALL(all[who], xs_end, t, false), 0);
        assert_int_equal(CALL(all[who], xs_read, 0, node, value, sizeof(value)), 1);
        assert_string_equal(value, who ? "2" : "1");
    }
}

/* The same with a deep path, of 3 + 1 + 600 components: each change of it counts for 19. */
static void test_quota_of_deep_changes(void **state)
{
    struct test_machine *test = *state;
    char path[5 + 2 * 600] = "data";
    xen_transaction t = 0;
    for (size_t i = 4; i < sizeof(path) - 1; i += 2)
        memcpy(path + i, "/d", 2);
    assert_int_equal(put(test->guest, 0, path, "0"), 0);
    assert_int_equal(CALL(test->guest, xs_begin, &t), 0);
    for (unsigned int i = 0; i < STORE_TRANSACTION_NODES_MAX / 19; i++)
        assert_int_equal(put(test->guest, t, path, "1"), 0);
    assert_int_equal(put(test->guest, t, path, "2"), -ENOSPC);
    assert_int_equal(put(test->guest, t, "data/x", "2"), 0);
    assert_int_equal(CALL(test->guest, xs_end, t, false), 0);
}

int main(void)
{
#define QUOTA_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        QUOTA_TEST(test_quota_entries),
        QUOTA_TEST(test_quota_given_nodes),
        QUOTA_TEST(test_quota_entries_in_transactions),
        QUOTA_TEST(test_quota_fails_the_transaction),
        QUOTA_TEST(test_quota_of_the_next_domain),
        QUOTA_TEST(test_quota_without_homes),
        QUOTA_TEST(test_quota_node_size),
        QUOTA_TEST(test_quota_perms),
        QUOTA_TEST(test_quota_watches),
        QUOTA_TEST(test_quota_transactions),
        QUOTA_TEST(test_quota_in_one_transaction),
        QUOTA_TEST(test_quota_of_deep_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
