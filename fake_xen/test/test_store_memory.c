// SPDX-License-Identifier: MIT
/*
 * The store when memory runs out: every call is made with its first, second, ... allocation failing
 * until none does. Each failure must be -ENOMEM and leave the store as it was (xen_ops.h:
 * "a call that fails has had no effect"); leaks are for the sanitizer to find.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../xenstore/store_private.h"
#include "failing_alloc.h"

struct stage {
    struct store *store;
    struct store_conn *conn;
    struct store_conn *watcher;
    xen_transaction t; /* open, with a write in it */
};

static void stage_set(struct stage *s)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(store_create(&s->store), 0);
    assert_int_equal(store_connect(s->store, 0, &s->conn), 0);
    assert_int_equal(store_connect(s->store, 0, &s->watcher), 0);
    assert_int_equal(store_write(s->conn, 0, "/a/b", "old", 3), 0);
    assert_int_equal(store_watch(s->watcher, "/a", "w"), 0);
    assert_int_equal(store_watch(s->watcher, "/", "x"), 0);
    assert_int_equal(store_watch(s->watcher, "@introduceDomain", "i"), 0);
    assert_int_equal(store_watch(s->watcher, "@releaseDomain", "r"), 0);
    assert_int_equal(store_introduce(s->store, 8), 0);
    /* Goes with domain 8. */
    assert_int_equal(store_mkdir(s->conn, 0, "/owned/by"), 0);
    assert_int_equal(store_set_perms(s->conn, 0, "/owned/by", &(struct xen_xs_perm){8, XEN_XS_NONE}, 1), 0);
    assert_int_equal(store_begin(s->conn, &s->t), 0);
    assert_int_equal(store_write(s->conn, s->t, "/a/t", "1", 1), 0);
    while (!store_event_take(s->watcher, path, token))
        continue;
}

static void stage_clear(struct stage *s)
{
    store_disconnect(s->conn);
    store_disconnect(s->watcher);
    store_destroy(s->store);
}

static uint32_t owned(const struct xs_node *node, domid_t domid)
{
    uint32_t count = node->perms[0].domid == domid;
    for (unsigned int i = 0; i < node->child_count; i++)
        count += owned(node->children[i], domid);
    return count;
}

/* What quotas are about, whether the call has failed or not. */
static void expect_counted(struct stage *s)
{
    for (domid_t domid = 0; domid < 10; domid++)
        assert_int_equal(s->store->domains[domid].entries, owned(s->store->root, domid));
}

static void expect_untouched(struct stage *s)
{
    char buf[64];
    assert_int_equal(store_read(s->conn, 0, "/a/b", buf, sizeof(buf)), 3);
    assert_string_equal(buf, "old");
    assert_int_equal(store_directory(s->conn, 0, "/a", buf, sizeof(buf)), 2);
    assert_int_equal(store_get_perms(s->conn, 0, "/a", (struct xen_xs_perm[2]){0}, 2), 1);
    assert_int_equal(store_watch_count(s->watcher), 4);
    assert_false(store_introduced(s->store, 9));
    assert_true(store_introduced(s->store, 8));
    assert_false(store_event_waiting(s->watcher));
    assert_false(store_event_waiting(s->conn));
}

static int call_write(struct stage *s)
{
    return store_write(s->conn, 0, "/a/b", "new", 3);
}

static int call_create(struct stage *s)
{
    return store_write(s->conn, 0, "/a/c/d/e", "new", 3);
}

static int call_mkdir(struct stage *s)
{
    return store_mkdir(s->conn, 0, "/a/n");
}

static int call_rm(struct stage *s)
{
    return store_rm(s->conn, 0, "/a");
}

static int call_set_perms(struct stage *s)
{
    const struct xen_xs_perm perms[] = {{8, XEN_XS_NONE}, {4, XEN_XS_READ}};
    return store_set_perms(s->conn, 0, "/a", perms, 2);
}

static int call_watch(struct stage *s)
{
    return store_watch(s->watcher, "/new", "w");
}

static int call_in_transaction(struct stage *s)
{
    int rc = store_write(s->conn, s->t, "/a/b", "new", 3);
    return rc ? rc : store_rm(s->conn, s->t, "/a/b");
}

static int call_commit(struct stage *s)
{
    return store_end(s->conn, s->t, false);
}

static int call_begin(struct stage *s)
{
    xen_transaction t;
    return store_begin(s->conn, &t);
}

static int call_introduce(struct stage *s)
{
    return store_introduce(s->store, 9);
}

static int call_release(struct stage *s)
{
    return store_release(s->store, 8);
}

static int call_mark_released(struct stage *s)
{
    return store_mark_introduced(s->store, 8, false);
}

static void test_store_runs_out_of_memory(void **state)
{
    (void)state;
    int (*const calls[])(struct stage *) = {
        call_write,     call_create, call_mkdir, call_rm,        call_watch,   call_in_transaction,
        call_set_perms, call_commit, call_begin, call_introduce, call_release, call_mark_released};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        unsigned int n = 1;
        for (bool failed = true; failed; n++) {
            struct stage stage;
            stage_set(&stage);
            failing_alloc_arm(n);
            int rc = calls[i](&stage);
            failed = failing_alloc_fired();
            failing_alloc_arm(0);
            assert_int_equal(rc, failed ? -ENOMEM : 0);
            expect_counted(&stage);
            if (failed)
                expect_untouched(&stage);
            stage_clear(&stage);
        }
        /* The first allocation failed at least. */
        assert_true(n > 2);
    }
}

static void test_store_create_runs_out_of_memory(void **state)
{
    (void)state;
    struct store *store = NULL;
    int rc = -ENOMEM;
    for (unsigned int n = 1; rc; n++) {
        failing_alloc_arm(n);
        rc = store_create(&store);
        assert_true(rc == (failing_alloc_fired() ? -ENOMEM : 0));
    }
    failing_alloc_arm(0);
    store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_runs_out_of_memory),
        cmocka_unit_test(test_store_create_runs_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
