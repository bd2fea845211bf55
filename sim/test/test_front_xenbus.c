// SPDX-License-Identifier: MIT
/*
 * Goal: the frontend's half of sections 1 and 2 of the rules: nodes, states, closing, whatever the backend
 * does.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define FRONT_DIR "/local/domain/1/device/vusb/0"
#define BACK_DIR  "/local/domain/0/backend/qusb/1/0"
#define ERROR     "/local/domain/1/error/device/vusb/0/error"
#define SECOND    UINT64_C(1000000000)

/* ---- connecting ---- */

/* Rules BUS-05, BUS-23, MAL-73. */
static void test_front_xenbus_connects_on(void **state)
{
    static const struct {
        enum xenbus_state backend;
        enum xenbus_state frontend;
    } row[] = {
        {XenbusStateInitialising, XenbusStateInitialising},
        {XenbusStateInitWait, XenbusStateConnected},
        {XenbusStateInitialised, XenbusStateConnected},
        {XenbusStateConnected, XenbusStateConnected},
        {XenbusStateClosing, XenbusStateClosed},
        {XenbusStateClosed, XenbusStateInitialising},
        {XenbusStateReconfiguring, XenbusStateInitialising},
        {XenbusStateReconfigured, XenbusStateInitialising},
        {XenbusStateUnknown, XenbusStateInitialising},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct frig frig;
        frig_init(&frig, 2, 4);
        raw_back_state(&frig.back, row[i].backend);
        frig_run(&frig);
        assert_int_equal(front_state(frig.rig.front), row[i].frontend);
        assert_int_equal(raw_back_frontend_state(&frig.back), row[i].frontend);
        frig_dispose(&frig);
    }
}

/* The calls of interest, in order, as text. */
static struct {
    struct frig_spy spy;
    char text[2048];
    unsigned int again;   /* transactions to refuse */
    unsigned int fail_at; /* the call to fail, counted from 1; 0 for none */
    unsigned int calls;
    unsigned int state_writes;
} spied;

static void note(const char *what)
{
    size_t at = strlen(spied.text);
    snprintf(spied.text + at, sizeof(spied.text) - at, "%s ", what);
}

static bool fails_now(void)
{
    return ++spied.calls == spied.fail_at;
}

static int spy_pages_alloc(struct xen *xen, unsigned int count, void **out)
{
    note("pages");
    return fails_now() ? -ENOMEM : spied.spy.real->pages_alloc(xen, count, out);
}

static int spy_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    note(readonly ? "grant-ro" : "grant");
    return fails_now() ? -ENOSPC : spied.spy.real->grant(xen, to, addr, readonly, out);
}

static int spy_evtchn_alloc(struct xen *xen, domid_t remote, evtchn_port_t *out)
{
    note("evtchn");
    return fails_now() ? -ENOSPC : spied.spy.real->evtchn_alloc(xen, remote, out);
}

static int spy_notify(struct xen *xen, evtchn_port_t port)
{
    note("notify");
    return spied.spy.real->evtchn_notify(xen, port);
}

static int spy_xs_begin(struct xen *xen, xen_transaction *out)
{
    note("begin");
    return fails_now() ? -ENOSPC : spied.spy.real->xs_begin(xen, out);
}

static int spy_xs_end(struct xen *xen, xen_transaction t, bool abort)
{
    bool fail = fails_now();
    bool again = spied.again > 0;
    int rc = spied.spy.real->xs_end(xen, t, abort || fail || again);
    note(abort ? "abort" : "end");
    if (fail)
        return -ENOSPC;
    if (!again)
        return rc;
    spied.again--;
    return -EAGAIN;
}

static int spy_xs_write(struct xen *xen, xen_transaction t, const char *path, const char *value,
                        size_t length)
{
    char what[64];
    snprintf(what, sizeof(what), "%s%s", t == XEN_XBT_NIL ? "" : "t:", strrchr(path, '/') + 1);
    note(what);
    spied.state_writes += strcmp(what, "state") == 0;
    if (t != XEN_XBT_NIL && fails_now())
        return -ENOSPC;
    return spied.spy.real->xs_write(xen, t, path, value, length);
}

static void spy_on(struct frig *frig)
{
    memset(&spied, 0, sizeof(spied));
    frig_spy(&spied.spy, front_xen(frig->rig.front));
    spied.spy.ops.pages_alloc = spy_pages_alloc;
    spied.spy.ops.grant = spy_grant;
    spied.spy.ops.evtchn_alloc = spy_evtchn_alloc;
    spied.spy.ops.evtchn_notify = spy_notify;
    spied.spy.ops.xs_begin = spy_xs_begin;
    spied.spy.ops.xs_end = spy_xs_end;
    spied.spy.ops.xs_write = spy_xs_write;
}

#define MADE    "pages pages pages grant grant evtchn "
#define WRITTEN "begin t:urb-ring-ref t:conn-ring-ref t:event-channel end "

/*
 * Rules BUS-06, XS-11, CONN-01: the order of everything; a refused transaction is written again as a whole.
 */
static void test_front_xenbus_order(void **state)
{
    (void)state;
    for (unsigned int again = 0; again < 3; again++) {
        struct frig frig;
        char expected[512];
        frig_init(&frig, 2, 4);
        frig_run(&frig);
        spy_on(&frig);
        spied.again = again;
        raw_back_state(&frig.back, XenbusStateInitWait);
        frig_run(&frig);
        snprintf(expected, sizeof(expected), "%s%s%s%snotify state ", MADE, again > 0 ? WRITTEN : "",
                 again > 1 ? WRITTEN : "", WRITTEN);
        assert_string_equal(spied.text, expected);
        frig_dispose(&frig);
    }
}

/* Rules XS-11, BUS-06, as a watcher sees it. */
static void test_front_xenbus_watch_order(void **state)
{
    static const char *const expected[] = {"urb-ring-ref", "conn-ring-ref", "event-channel", "state"};
    struct frig frig;
    struct xen *watcher;
    char path[XEN_XS_PATH_MAX + 1];
    char token[XEN_XS_TOKEN_MAX + 1];
    (void)state;
    frig_init(&frig, 2, 4);
    assert_int_equal(frig.rig.machine->ops->open(frig.rig.machine, 0, &watcher), 0);
    frig_run(&frig);
    assert_int_equal(watcher->ops->xs_watch(watcher, FRONT_DIR, "w"), 0);
    assert_int_equal(watcher->ops->xs_watch_read(watcher, path, token), 0);
    raw_back_state(&frig.back, XenbusStateInitWait);
    frig_run(&frig);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(watcher->ops->xs_watch_read(watcher, path, token), 0);
        assert_string_equal(strrchr(path, '/') + 1, expected[i]);
    }
    assert_int_equal(watcher->ops->xs_watch_read(watcher, path, token), -EAGAIN);
    xen_close(watcher);
    frig_dispose(&frig);
}

/* Rules CONN-01, RING-02: the pages as the backend finds them when state 4 appears. */
static void test_front_xenbus_rings(void **state)
{
    struct frig frig;
    (void)state;
    frig_init(&frig, 2, 4);
    raw_back_state(&frig.back, XenbusStateInitWait);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateConnected);
    assert_int_equal(raw_back_map(&frig.back), 0);
    assert_int_equal(frig.back.conn->req_prod, 512);
    assert_int_equal(frig.back.conn->req_event, 1);
    assert_int_equal(frig.back.conn->rsp_prod, 0);
    assert_int_equal(frig.back.conn->rsp_event, 1);
    for (unsigned int i = 0; i < 512; i++)
        assert_int_equal(frig.back.conn->ring[i].req.id, i);
    assert_int_equal(frig.back.urb->req_prod, 0);
    assert_int_equal(frig.back.urb->req_event, 1);
    assert_int_equal(frig.back.urb->rsp_prod, 0);
    assert_int_equal(frig.back.urb->rsp_event, 1);
    const uint8_t *bytes = (const uint8_t *)frig.back.urb;
    for (unsigned int i = 16; i < RAW_PAGE; i++)
        assert_int_equal(bytes[i], 0);
    frig_dispose(&frig);
}

/* ---- nodes ---- */

/* Rules XS-06, XS-07, XS-19, XS-21. */
static void test_front_xenbus_bad_nodes(void **state)
{
    static const struct {
        const char *node;
        const char *value; /* NULL: missing */
        const char *error; /* NULL: good */
    } row[] = {
        {"num-ports", "1", NULL},   {"num-ports", "31", NULL},  {"num-ports", "0", "22 "},
        {"num-ports", "32", "22 "}, {"num-ports", "-1", "22 "}, {"num-ports", "x", "22 "},
        {"num-ports", "", "22 "},   {"num-ports", "1 ", "22 "}, {"num-ports", "4294967297", "22 "},
        {"num-ports", NULL, "2 "},  {"usb-ver", "1", NULL},     {"usb-ver", "2", NULL},
        {"usb-ver", "0", "22 "},    {"usb-ver", "3", "22 "},    {"usb-ver", "2.0", "22 "},
        {"usb-ver", NULL, "2 "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct frig frig;
        char path[128];
        char error[128];
        frig_init(&frig, 2, 4);
        snprintf(path, sizeof(path), BACK_DIR "/%s", row[i].node);
        if (row[i].value)
            rig_set_node(&frig.rig, path, row[i].value);
        else
            frig.rig.dom0->ops->xs_rm(frig.rig.dom0, XEN_XBT_NIL, path);
        raw_back_state(&frig.back, XenbusStateInitWait);
        frig_run(&frig);
        snprintf(error, sizeof(error), "%sfail to create usb host controller",
                 row[i].error ? row[i].error : "");
        assert_string_equal(rig_node(&frig.rig, ERROR), row[i].error ? error : "");
        assert_int_equal(raw_back_frontend_state(&frig.back),
                         row[i].error ? XenbusStateClosing : XenbusStateConnected);
        if (row[i].error)
            assert_non_null(strstr(frig.rig.log, row[i].node));
        frig_dispose(&frig);
    }
}

/* Rules XS-03, XS-04: nodes that come late, one by one and in any order, are found when they come. */
static void test_front_xenbus_late_nodes(void **state)
{
    static const char *const order[][2] = {{"backend", "backend-id"}, {"backend-id", "backend"}};
    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct frig frig;
        char path[128];
        frig_init(&frig, 2, 4);
        struct xen *xen = frig.rig.dom0;
        xen->ops->xs_rm(xen, XEN_XBT_NIL, FRONT_DIR "/backend");
        xen->ops->xs_rm(xen, XEN_XBT_NIL, FRONT_DIR "/backend-id");
        raw_back_state(&frig.back, XenbusStateInitWait);
        frig_run(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateInitialising);
        for (unsigned int j = 0; j < 2; j++) {
            snprintf(path, sizeof(path), FRONT_DIR "/%s", order[i][j]);
            rig_set_node(&frig.rig, path, strcmp(order[i][j], "backend") ? "0" : BACK_DIR);
            frig_run(&frig);
        }
        assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateConnected);
        frig_dispose(&frig);
    }
}

/* Rule XS-03: a backend that cannot be is not looked for; a backend anywhere is. */
static void test_front_xenbus_backend_path(void **state)
{
    static const char elsewhere[] = "/local/domain/0/anywhere";
    const struct xen_xs_perm perms[] = {{.domid = 0, .access = XEN_XS_NONE},
                                        {.domid = 1, .access = XEN_XS_READ}};
    struct frig frig;
    char path[400];
    (void)state;
    frig_init(&frig, 2, 4);
    struct xen *xen = frig.rig.dom0;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    rig_set_node(&frig.rig, FRONT_DIR "/backend", path);
    frig_run(&frig);
    rig_set_node(&frig.rig, FRONT_DIR "/backend", "");
    frig_run(&frig);
    rig_set_node(&frig.rig, FRONT_DIR "/backend-id", "32752"); /* DOMID_FIRST_RESERVED */
    rig_set_node(&frig.rig, FRONT_DIR "/backend", elsewhere);
    frig_run(&frig);
    assert_int_equal(xen->ops->xs_mkdir(xen, XEN_XBT_NIL, elsewhere), 0);
    assert_int_equal(xen->ops->xs_set_perms(xen, XEN_XBT_NIL, elsewhere, perms, 2), 0);
    snprintf(frig.back.dir, sizeof(frig.back.dir), "%s", elsewhere);
    rig_set_node(&frig.rig, "/local/domain/0/anywhere/num-ports", "3");
    rig_set_node(&frig.rig, "/local/domain/0/anywhere/usb-ver", "1");
    raw_back_state(&frig.back, XenbusStateInitWait);
    frig_run(&frig);
    assert_int_equal(front_state(frig.rig.front), XenbusStateInitialising);
    rig_set_node(&frig.rig, FRONT_DIR "/backend-id", "0");
    frig_connect(&frig);
    assert_int_equal(frig.hcd->ops->num_ports(frig.hcd), 3);
    frig_dispose(&frig);
}

/* Rules MAL-74, XS-14: read once, and nothing else is read. */
static void test_front_xenbus_ports_once(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    rig_set_node(&frig.rig, BACK_DIR "/num-ports", "9");
    rig_set_node(&frig.rig, BACK_DIR "/feature-unheard-of", "1");
    raw_back_state(&frig.back, XenbusStateConnected);
    frig_run(&frig);
    assert_int_equal(frig.hcd->ops->num_ports(frig.hcd), 4);
    raw_back_plug(&frig.back, 9, USBIF_SPEED_HIGH);
    frig_run(&frig);
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_CONN_PORT);
    frig_dispose(&frig);
}

/* Every call of connecting fails once: nothing leaks, the error is told, and a second try works. */
static void test_front_xenbus_fault_loop(void **state)
{
    unsigned int n = 0;
    bool failed;
    (void)state;
    do {
        struct frig frig;
        frig_init(&frig, 2, 4);
        frig_run(&frig);
        spy_on(&frig);
        spied.fail_at = ++n;
        raw_back_state(&frig.back, XenbusStateInitWait);
        frig_run(&frig);
        failed = spied.calls >= n;
        if (failed) {
            assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
            assert_non_null(strstr(rig_node(&frig.rig, ERROR), "fail to create usb host controller"));
            raw_back_state(&frig.back, XenbusStateClosed);
            frig_run(&frig);
            assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
            assert_int_equal(fakexen_local_balance(frig.rig.local).pages, 0);
            assert_int_equal(fakexen_local_balance(frig.rig.local).transactions, 0);
            assert_int_equal(front_reconnect(frig.rig.front), 0);
            frig_connect(&frig);
        }
        frig_dispose(&frig);
    } while (failed);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_xenbus_connects_on),  cmocka_unit_test(test_front_xenbus_order),
        cmocka_unit_test(test_front_xenbus_watch_order),  cmocka_unit_test(test_front_xenbus_rings),
        cmocka_unit_test(test_front_xenbus_bad_nodes),    cmocka_unit_test(test_front_xenbus_late_nodes),
        cmocka_unit_test(test_front_xenbus_backend_path), cmocka_unit_test(test_front_xenbus_ports_once),
        cmocka_unit_test(test_front_xenbus_fault_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
