// SPDX-License-Identifier: MIT
/* xenstore through a handle: paths, permissions, watches, transactions, limits. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

static int put(struct xen *xen, xen_transaction t, const char *path, const char *value)
{
    return CALL(xen, xs_write, t, path, value, strlen(value));
}

static void expect_text(struct xen *xen, xen_transaction t, const char *path, const char *value)
{
    char buf[XEN_XS_PAYLOAD_MAX + 1];
    ssize_t length = CALL(xen, xs_read, t, path, buf, sizeof(buf));
    assert_int_equal(length, strlen(value));
    assert_string_equal(buf, value);
}

static void expect_no_text(struct xen *xen, xen_transaction t, const char *path, int error)
{
    char buf[16];
    assert_int_equal(CALL(xen, xs_read, t, path, buf, sizeof(buf)), error);
}

/* Everybody may look around where nothing else is said. */
static void open_root(struct test_machine *test)
{
    const struct xen_xs_perm all = {0, XEN_XS_READ};
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/", &all, 1), 0);
}

static void expect_event(struct xen *xen, const char *path, const char *token)
{
    char seen_path[XEN_XS_PATH_MAX + 1];
    char seen_token[XEN_XS_TOKEN_MAX + 1];
    int rc = CALL(xen, xs_watch_read, seen_path, seen_token);
    /* Our own store has told before it answers whoever made the change; another process may be a moment later. */
    while (rc == -EAGAIN && !machine_own_store) {
        struct pollfd fd = {.fd = xen->ops->fd(xen), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 60000), 1);
        rc = CALL(xen, xs_watch_read, seen_path, seen_token);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(seen_path, path);
    assert_string_equal(seen_token, token);
}

static void expect_no_event(struct xen *xen)
{
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(CALL(xen, xs_watch_read, path, token), -EAGAIN);
}

static xen_transaction begun(struct xen *xen)
{
    xen_transaction t = XEN_XBT_NIL;
    assert_int_equal(CALL(xen, xs_begin, &t), 0);
    assert_int_not_equal(t, XEN_XBT_NIL);
    return t;
}

/* A row of a table: one call and what it must return. */
struct step {
    domid_t as;
    enum { WRITE, READ, MKDIR, RM, DIRECTORY } verb;
    const char *path;
    const char *value;
    int rc;
};

static void run_steps(struct test_machine *test, const struct step *steps, size_t count)
{
    char buf[XEN_XS_PAYLOAD_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        const struct step *s = &steps[i];
        struct xen *xen = s->as == 0 ? test->dom0 : s->as == GUEST ? test->guest : test->other;
        ssize_t rc = -1;
        switch (s->verb) {
        case WRITE:
            rc = put(xen, 0, s->path, s->value);
            break;
        case READ:
            rc = CALL(xen, xs_read, 0, s->path, buf, sizeof(buf));
            if (rc >= 0) {
                assert_string_equal(buf, s->value);
                rc = 0;
            }
            break;
        case MKDIR:
            rc = CALL(xen, xs_mkdir, 0, s->path);
            break;
        case RM:
            rc = CALL(xen, xs_rm, 0, s->path);
            break;
        case DIRECTORY:
            rc = CALL(xen, xs_directory, 0, s->path, buf, sizeof(buf));
            rc = rc > 0 ? 0 : rc;
            break;
        }
        if (rc != s->rc)
            fail_msg("step %zu: %s as %u: %zd instead of %d", i, s->path, (unsigned int)s->as, rc, s->rc);
    }
}

/* xenstore.txt "Nodes": what is a path and what is not. */
static void test_paths(void **state)
{
    const struct step steps[] = {
        {0, MKDIR, "/a/B-9_@x", NULL, 0},
        {0, MKDIR, "/a//b", NULL, -EINVAL},
        {0, MKDIR, "/a/", NULL, -EINVAL},
        {0, MKDIR, "/a b", NULL, -EINVAL},
        {0, MKDIR, "/a.b", NULL, -EINVAL},
        {0, MKDIR, "", NULL, -EINVAL},
        {0, MKDIR, "/", NULL, 0},
        {0, RM, "/", NULL, -EINVAL},
        {0, MKDIR, "a/", NULL, -EINVAL},
        {0, MKDIR, "/a\xff", NULL, -EINVAL},
        {0, MKDIR, "@introduceDomain", NULL, -EINVAL},
        {0, READ, "/a/B-9_@x", "", 0},
        {0, DIRECTORY, "/a//b", NULL, -EINVAL},
    };
    run_steps(*state, steps, sizeof(steps) / sizeof(steps[0]));
}

/* xs_wire.h XENSTORE_REL_PATH_MAX: 2048 behind a home, as many elsewhere. */
static void test_path_limits(void **state)
{
    struct test_machine *test = *state;
    char path[3100];
    memset(path, 'x', sizeof(path));
    path[XEN_XS_REL_MAX] = '\0';
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, path), 0);
    path[XEN_XS_REL_MAX] = 'x';
    path[XEN_XS_REL_MAX + 1] = '\0';
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, path), -EINVAL);
    path[0] = '/';
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, path), -EINVAL);
    path[XEN_XS_REL_MAX] = '\0';
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, path), 0);
    path[XEN_XS_REL_MAX] = 'x';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, path), -EINVAL);
}

/* A path of the greatest number of components. */
static void test_deep_path(void **state)
{
    struct test_machine *test = *state;
    char path[XEN_XS_REL_MAX + 1];
    for (size_t i = 0; i < XEN_XS_REL_MAX; i += 2)
        memcpy(path + i, "/d", 2);
    path[XEN_XS_REL_MAX] = '\0';
    assert_int_equal(put(test->dom0, 0, path, "deep"), 0);
    expect_text(test->dom0, 0, path, "deep");
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/d"), 0);
}

/* XENSTORE_PAYLOAD_MAX: path, NUL and value of a write share 4096 bytes; a value may hold any byte. */
static void test_value_limits(void **state)
{
    struct test_machine *test = *state;
    char value[XEN_XS_PAYLOAD_MAX + 1];
    char buf[XEN_XS_PAYLOAD_MAX + 1];
    memset(value, 0, sizeof(value));
    assert_int_equal(CALL(test->dom0, xs_write, 0, "/v", value, XEN_XS_PAYLOAD_MAX - 2), -E2BIG);
    assert_int_equal(CALL(test->dom0, xs_write, 0, "/v", value, SIZE_MAX), -E2BIG);
    assert_int_equal(CALL(test->dom0, xs_write, 0, "/v", value, XEN_XS_PAYLOAD_MAX - 3), 0);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/v", buf, sizeof(buf)), XEN_XS_PAYLOAD_MAX - 3);
    assert_int_equal(CALL(test->dom0, xs_read, 0, "/v", buf, XEN_XS_PAYLOAD_MAX - 3), -ERANGE);
    assert_int_equal(put(test->dom0, 0, "/v", ""), 0);
    expect_text(test->dom0, 0, "/v", "");
}

/* xen_ops.h xs_*: relative paths are below the domain's home; the home is as libxl makes it. */
static void test_home(void **state)
{
    const struct step steps[] = {
        {GUEST, READ, "domid", "5", 0},
        {GUEST, READ, "/local/domain/5/name", "Domain-5", 0},
        {GUEST, WRITE, "name", "x", -EACCES},
        {GUEST, WRITE, "data/a/b", "1", 0},
        {0, READ, "/local/domain/5/data/a/b", "1", 0},
        {GUEST, MKDIR, "device/vusb", NULL, -EACCES},
        {GUEST, DIRECTORY, "device", NULL, 0},
        {GUEST, WRITE, "error/x", "1", 0},
        {GUEST, WRITE, "new", "1", -EACCES},
        {OTHER, READ, "/local/domain/5/name", "", -EACCES},
        {OTHER, DIRECTORY, "/local/domain/5", NULL, -EACCES},
        {OTHER, READ, "/local/domain/5/no/such", "", -EACCES},
        {OTHER, WRITE, "/local/domain/5/data/a", "1", -EACCES},
        {0, READ, "domid", "0", 0},
        {GUEST, READ, "/local/domain/0/domid", "0", -EACCES},
        {GUEST, WRITE, "/local/domain/0/x", "0", -EACCES},
        {GUEST, READ, "no/such", "", -ENOENT},
    };
    run_steps(*state, steps, sizeof(steps) / sizeof(steps[0]));
}

/* xen_ops.h xs_rm: with all below; a missing node is fine where its parent exists. */
static void test_rm(void **state)
{
    const struct step steps[] = {
        {0, WRITE, "/t/a/b", "1", 0}, {0, RM, "/t/x", NULL, 0},           {0, RM, "/t/x/y", NULL, -ENOENT},
        {0, RM, "/none", NULL, 0},    {GUEST, RM, "/t/a", NULL, -EACCES}, {GUEST, RM, "/t/x", NULL, -EACCES},
        {0, RM, "/t", NULL, 0},       {0, READ, "/t/a/b", "", -ENOENT},   {0, READ, "/t", "", -ENOENT},
    };
    run_steps(*state, steps, sizeof(steps) / sizeof(steps[0]));
}

/* xen_ops.h xs_directory: names in order of creation; xs_mkdir of what exists changes nothing. */
static void test_directory(void **state)
{
    struct test_machine *test = *state;
    char buf[64];
    assert_int_equal(put(test->dom0, 0, "/d/zz", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, "/d/a"), 0);
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, "/d/zz"), 0);
    expect_text(test->dom0, 0, "/d/zz", "1");
    assert_int_equal(CALL(test->dom0, xs_directory, 0, "/d", buf, sizeof(buf)), 5);
    assert_memory_equal(buf, "zz\0a", 5);
    assert_int_equal(CALL(test->dom0, xs_directory, 0, "/d", buf, 4), -ERANGE);
    assert_int_equal(CALL(test->dom0, xs_directory, 0, "/d/a", buf, sizeof(buf)), 0);
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/d/zz"), 0);
    assert_int_equal(CALL(test->dom0, xs_directory, 0, "/d", buf, sizeof(buf)), 2);
    assert_string_equal(buf, "a");
}

/* xen_ops.h struct xen_xs_perm: the owner, those listed, the rest; domain 0 always. */
static void test_permissions(void **state)
{
    struct test_machine *test = *state;
    const struct xen_xs_perm perms[] = {{GUEST, XEN_XS_NONE}, {OTHER, XEN_XS_READ}, {9, XEN_XS_BOTH}};
    struct xen_xs_perm seen[XEN_XS_PERMS_MAX];
    assert_int_equal(put(test->dom0, 0, "/p", "v"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 3), 0);
    expect_text(test->guest, 0, "/p", "v");
    expect_text(test->other, 0, "/p", "v");
    assert_int_equal(put(test->guest, 0, "/p", "w"), 0);
    assert_int_equal(put(test->other, 0, "/p", "x"), -EACCES);
    assert_int_equal(CALL(test->other, xs_set_perms, 0, "/p", perms, 3), -EACCES);
    /* A guest's new node has its parent's list and belongs to the guest. */
    assert_int_equal(put(test->guest, 0, "/p/q/r", "1"), 0);
    assert_int_equal(CALL(test->other, xs_get_perms, 0, "/p/q", seen, XEN_XS_PERMS_MAX), 3);
    assert_int_equal(seen[0].domid, GUEST);
    assert_int_equal(seen[1].access, XEN_XS_READ);
    assert_int_equal(seen[2].domid, 9);
    assert_int_equal(seen[2].access, XEN_XS_BOTH);
    /* It may close the node, but not give it away. */
    const struct xen_xs_perm mine = {GUEST, XEN_XS_NONE};
    const struct xen_xs_perm yours = {OTHER, XEN_XS_NONE};
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "/p/q", &yours, 1), -EPERM);
    assert_int_equal(CALL(test->guest, xs_set_perms, 0, "/p/q", &mine, 1), 0);
    expect_no_text(test->other, 0, "/p/q", -EACCES);
    expect_text(test->dom0, 0, "/p/q", "");
}

/* xen_ops.h XEN_XS_PERMS_MAX and the letters. */
static void test_permission_limits(void **state)
{
    struct test_machine *test = *state;
    struct xen_xs_perm perms[XEN_XS_PERMS_MAX + 1] = {{0, XEN_XS_NONE}};
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, "/p"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, XEN_XS_PERMS_MAX), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, XEN_XS_PERMS_MAX + 1), -ENOSPC);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 0), -EINVAL);
    assert_int_equal(CALL(test->dom0, xs_get_perms, 0, "/p", perms, 2), -ERANGE);
    perms[0].domid = DOMID_SELF;
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 1), -ENOENT);
    perms[0].domid = 9;
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/p", perms, 1), -ENOENT);
    perms[0].domid = 0;
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/nope", perms, 1), -ENOENT);
}

/* xen_ops.h xs_watch: once when set, then at changes of the node and below, not beside or above. */
static void test_watch(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(CALL(test->dom0, xs_watch, "/w/x", "tok"), 0);
    expect_event(test->dom0, "/w/x", "tok");
    expect_no_event(test->dom0);
    assert_int_equal(CALL(test->dom0, xs_watch, "/w/x", "tok"), -EEXIST);
    assert_int_equal(put(test->dom0, 0, "/w/x/deep/er", "1"), 0);
    expect_event(test->dom0, "/w/x/deep/er", "tok");
    assert_int_equal(put(test->dom0, 0, "/w/x", "1"), 0);
    assert_int_equal(put(test->dom0, 0, "/w/x", "1"), 0);
    expect_event(test->dom0, "/w/x", "tok");
    expect_event(test->dom0, "/w/x", "tok");
    assert_int_equal(put(test->dom0, 0, "/w/xy", "1"), 0);
    assert_int_equal(put(test->dom0, 0, "/w", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, "/w/x"), 0);
    expect_no_event(test->dom0);
    assert_int_equal(CALL(test->dom0, xs_mkdir, 0, "/w/x/new"), 0);
    expect_event(test->dom0, "/w/x/new", "tok");
    const struct xen_xs_perm perm = {0, XEN_XS_READ};
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/w/x", &perm, 1), 0);
    expect_event(test->dom0, "/w/x", "tok");
    assert_int_equal(CALL(test->dom0, xs_unwatch, "/w/x", "other"), -ENOENT);
    /* What was waiting goes with the watch. */
    assert_int_equal(put(test->dom0, 0, "/w/x", "2"), 0);
    assert_int_equal(CALL(test->dom0, xs_unwatch, "/w/x", "tok"), 0);
    assert_int_equal(put(test->dom0, 0, "/w/x", "2"), 0);
    expect_no_event(test->dom0);
}

/* xen_ops.h xs_watch_read: relative as the watch was; one event for each token. */
static void test_watch_relative(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(CALL(test->guest, xs_watch, "data", "rel"), 0);
    assert_int_equal(CALL(test->guest, xs_watch, "/local/domain/5/data", "abs"), 0);
    expect_event(test->guest, "data", "rel");
    expect_event(test->guest, "/local/domain/5/data", "abs");
    assert_int_equal(put(test->dom0, 0, "/local/domain/5/data/k", "v"), 0);
    expect_event(test->guest, "data/k", "rel");
    expect_event(test->guest, "/local/domain/5/data/k", "abs");
    assert_int_equal(CALL(test->guest, xs_watch, "da ta", "rel"), -EINVAL);
}

/* xen_ops.h xs_watch: a watched node that exists goes with an ancestor; told by its own path. */
static void test_watch_removal_of_ancestor(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(put(test->dom0, 0, "/r/a/b", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_watch, "/r/a/b", "there"), 0);
    assert_int_equal(CALL(test->dom0, xs_watch, "/r/a/c", "never was"), 0);
    expect_event(test->dom0, "/r/a/b", "there");
    expect_event(test->dom0, "/r/a/c", "never was");
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/r"), 0);
    expect_event(test->dom0, "/r/a/b", "there");
    expect_no_event(test->dom0);
}

/* XSA-115: a guest is told only of what it may read. */
static void test_watch_permissions(void **state)
{
    struct test_machine *test = *state;
    assert_int_equal(CALL(test->other, xs_watch, "/local/domain/5", "spy"), 0);
    expect_event(test->other, "/local/domain/5", "spy");
    assert_int_equal(put(test->guest, 0, "data/secret", "1"), 0);
    assert_int_equal(CALL(test->guest, xs_rm, 0, "data/secret"), 0);
    expect_no_event(test->other);
}

/* The same where some of what goes may be known and some not; to read the parent is enough. */
static void test_watch_permissions_of_parts(void **state)
{
    struct test_machine *test = *state;
    const struct xen_xs_perm seen[] = {{0, XEN_XS_NONE}, {GUEST, XEN_XS_READ}};
    const struct xen_xs_perm hidden = {0, XEN_XS_NONE};
    open_root(test);
    assert_int_equal(put(test->dom0, 0, "/r/s/t", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/r", seen, 2), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/r/s", &hidden, 1), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/r/s/t", &hidden, 1), 0);
    const char *const paths[] = {"/r/s/t", "/r/s", "/r"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(CALL(test->guest, xs_watch, paths[i], "w"), 0);
        expect_event(test->guest, paths[i], "w");
    }
    assert_int_equal(put(test->dom0, 0, "/r/s/t", "2"), 0);
    expect_no_event(test->guest);
    /* Once for each of its watches, but as they have one token it is one event. */
    assert_int_equal(put(test->dom0, 0, "/r/s", "2"), 0);
    expect_event(test->guest, "/r/s", "w");
    assert_int_equal(CALL(test->dom0, xs_rm, 0, "/r"), 0);
    expect_event(test->guest, "/r/s", "w");
    expect_event(test->guest, "/r", "w");
    expect_no_event(test->guest);
    /* Whoever loses sight of a node is told of that. */
    assert_int_equal(put(test->dom0, 0, "/q/r", "1"), 0);
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/q", &hidden, 1), 0);
    assert_int_equal(CALL(test->guest, xs_watch, "/q/r", "w"), 0);
    expect_event(test->guest, "/q/r", "w");
    assert_int_equal(CALL(test->dom0, xs_set_perms, 0, "/q/r", &hidden, 1), 0);
    expect_event(test->guest, "/q/r", "w");
    assert_int_equal(put(test->dom0, 0, "/q/r", "2"), 0);
    expect_no_event(test->guest);
}

/* xs.h XS_WATCH: @introduceDomain and @releaseDomain, for domain 0. */
static void test_watch_domains(void **state)
{
    struct test_machine *test = *state;
    struct xen *all[] = {test->dom0, test->guest};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(CALL(all[i], xs_watch, "@introduceDomain", "in"), 0);
        assert_int_equal(CALL(all[i], xs_watch, "@releaseDomain", "out"), 0);
        expect_event(all[i], "@introduceDomain", "in");
        expect_event(all[i], "@releaseDomain", "out");
    }
    assert_int_equal(CALL(test->dom0, xs_watch, "/local/domain/9/name", "name"), 0);
    expect_event(test->dom0, "/local/domain/9/name", "name");
    assert_int_equal(test->machine->ops->domain_create(test->machine, 9), 0);
    /* What has happened before this answer has been told before it. */
    expect_text(test->dom0, 0, "domid", "0");
    expect_event(test->dom0, "/local/domain/9/name", "name");
    expect_event(test->dom0, "@introduceDomain", "in");
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, 9), 0);
    expect_text(test->dom0, 0, "domid", "0");
    expect_event(test->dom0, "/local/domain/9/name", "name");
    expect_event(test->dom0, "@releaseDomain", "out");
    expect_no_event(test->dom0);
    expect_no_event(test->guest);
    expect_no_text(test->dom0, 0, "/local/domain/9", -ENOENT);
}

/* xen_ops.h XEN_XS_TOKEN_MAX. */
static void test_watch_token_limit(void **state)
{
    struct test_machine *test = *state;
    char token[XEN_XS_TOKEN_MAX + 2];
    if (!machine_own_store)
        skip(); /* the limit is our own */
    memset(token, 't', sizeof(token));
    token[XEN_XS_TOKEN_MAX + 1] = '\0';
    assert_int_equal(CALL(test->dom0, xs_watch, "/", token), -E2BIG);
    token[XEN_XS_TOKEN_MAX] = '\0';
    assert_int_equal(CALL(test->dom0, xs_watch, "/", token), 0);
    expect_event(test->dom0, "/", token);
    assert_int_equal(put(test->dom0, 0, "/any/where", "1"), 0);
    expect_event(test->dom0, "/any/where", token);
}

/* xen_ops.h xs_begin: a snapshot inside, nothing to be seen outside until the commit, then one event. */
static void test_transaction_snapshot(void **state)
{
    struct test_machine *test = *state;
    if (!machine_own_store)
        skip(); /* see fakexen.h 5 */
    assert_int_equal(put(test->dom0, 0, "/t/k", "old"), 0);
    assert_int_equal(CALL(test->dom0, xs_watch, "/t", "w"), 0);
    expect_event(test->dom0, "/t", "w");
    xen_transaction t = begun(test->dom0);
    assert_int_equal(put(test->dom0, t, "/t/mine", "1"), 0);
    assert_int_equal(put(test->dom0, t, "/t/mine", "2"), 0);
    expect_text(test->dom0, t, "/t/mine", "2");
    expect_no_text(test->dom0, 0, "/t/mine", -ENOENT);
    expect_no_event(test->dom0);
    assert_int_equal(CALL(test->dom0, xs_end, t, false), 0);
    expect_text(test->dom0, 0, "/t/mine", "2");
    expect_event(test->dom0, "/t/mine", "w");
    expect_no_event(test->dom0);
    assert_int_equal(CALL(test->dom0, xs_end, t, false), -ENOENT);
    expect_no_text(test->dom0, t, "/t/k", -ENOENT);

    /* Aborted: neither change nor event. */
    t = begun(test->dom0);
    assert_int_equal(CALL(test->dom0, xs_rm, t, "/t"), 0);
    expect_no_text(test->dom0, t, "/t/k", -ENOENT);
    assert_int_equal(CALL(test->dom0, xs_end, t, true), 0);
    expect_text(test->dom0, 0, "/t/k", "old");
    expect_no_event(test->dom0);
}

/* One pair of a transaction and a change outside, and whether they conflict. */
struct conflict {
    struct step inside;
    struct step outside;
    int rc;
};

/* xen_ops.h xs_end: -EAGAIN exactly when a node that was read or written has changed since. */
static void test_transaction_conflicts(void **state)
{
    struct test_machine *test = *state;
    const struct conflict pairs[] = {
        {{0, READ, "/c/a", "1", 0}, {0, WRITE, "/c/a", "2", 0}, -EAGAIN},
        {{0, READ, "/c/a", "1", 0}, {0, WRITE, "/c/b", "2", 0}, 0},
        {{0, READ, "/c/a", "1", 0}, {0, WRITE, "/c/a", "1", 0}, -EAGAIN},
        {{0, WRITE, "/c/a", "3", 0}, {0, WRITE, "/c/a", "2", 0}, -EAGAIN},
        {{0, WRITE, "/c/a", "3", 0}, {0, WRITE, "/c/b", "2", 0}, 0},
        {{0, READ, "/c/new", "", -ENOENT}, {0, WRITE, "/c/new", "2", 0}, -EAGAIN},
        {{0, WRITE, "/c/n1", "", 0}, {0, WRITE, "/c/n2", "2", 0}, -EAGAIN},
        {{0, DIRECTORY, "/c", NULL, 0}, {0, WRITE, "/c/n", "2", 0}, -EAGAIN},
        {{0, DIRECTORY, "/c", NULL, 0}, {0, WRITE, "/c/a", "2", 0}, 0},
        {{0, RM, "/c", NULL, 0}, {0, WRITE, "/c/b/d", "2", 0}, -EAGAIN},
        {{0, RM, "/c/a", NULL, 0}, {0, RM, "/c", NULL, 0}, -EAGAIN},
        {{0, WRITE, "/c/a", "3", 0}, {0, RM, "/c", NULL, 0}, -EAGAIN},
        {{0, READ, "/c/a", "1", 0}, {0, MKDIR, "/c/a", NULL, 0}, 0},
    };
    char buf[64];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_int_equal(CALL(test->dom0, xs_rm, 0, "/c"), 0);
        assert_int_equal(put(test->dom0, 0, "/c/a", "1"), 0);
        assert_int_equal(put(test->dom0, 0, "/c/b/d", "1"), 0);
        xen_transaction t = begun(test->guest);
        assert_int_equal(CALL(test->guest, xs_end, t, true), 0);
        t = begun(test->dom0);
        const struct step *in = &pairs[i].inside;
        ssize_t rc = in->verb == WRITE  ? put(test->dom0, t, in->path, in->value)
                     : in->verb == RM   ? CALL(test->dom0, xs_rm, t, in->path)
                     : in->verb == READ ? CALL(test->dom0, xs_read, t, in->path, buf, sizeof(buf))
                                        : CALL(test->dom0, xs_directory, t, in->path, buf, sizeof(buf));
        assert_true(in->rc ? rc == in->rc : rc >= 0);
        run_steps(test, &pairs[i].outside, 1);
        rc = CALL(test->dom0, xs_end, t, false);
        if (rc != pairs[i].rc)
            fail_msg("pair %zu: %zd instead of %d", i, rc, pairs[i].rc);
    }
}

/* xenstored's quota of transactions; a handle that closes takes its own with it (balance). */
static void test_transaction_limit(void **state)
{
    struct test_machine *test = *state;
    xen_transaction t = XEN_XBT_NIL;
    for (int i = 0; i < 11; i++)
        begun(test->guest);
    assert_int_equal(CALL(test->guest, xs_begin, &t), -ENOSPC);
    assert_int_equal(machine_balance(test).transactions, 11);
    begun(test->other);
    /* Transactions are the handle's own. */
    assert_int_equal(put(test->dom0, 1, "/x", "1"), -ENOENT);
}

/* xen_ops.h domain_destroy: every call of its handles is -EPIPE. */
static void test_destroyed(void **state)
{
    struct test_machine *test = *state;
    char buf[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    assert_int_equal(CALL(test->guest, xs_watch, "data", "w"), 0);
    assert_int_equal(test->machine->ops->domain_destroy(test->machine, GUEST), 0);
    assert_int_equal(put(test->guest, 0, "data/x", "1"), -EPIPE);
    assert_int_equal(CALL(test->guest, xs_read, 0, "name", buf, sizeof(buf)), -EPIPE);
    assert_int_equal(CALL(test->guest, xs_watch_read, buf, token), -EPIPE);
    assert_int_equal(machine_balance(test).watches, 0);
}

int main(void)
{
#define XS_TEST(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        XS_TEST(test_paths),
        XS_TEST(test_path_limits),
        XS_TEST(test_deep_path),
        XS_TEST(test_value_limits),
        XS_TEST(test_home),
        XS_TEST(test_rm),
        XS_TEST(test_directory),
        XS_TEST(test_permissions),
        XS_TEST(test_permission_limits),
        XS_TEST(test_watch),
        XS_TEST(test_watch_relative),
        XS_TEST(test_watch_removal_of_ancestor),
        XS_TEST(test_watch_permissions),
        XS_TEST(test_watch_permissions_of_parts),
        XS_TEST(test_watch_domains),
        XS_TEST(test_watch_token_limit),
        XS_TEST(test_transaction_snapshot),
        XS_TEST(test_transaction_conflicts),
        XS_TEST(test_transaction_limit),
        XS_TEST(test_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
