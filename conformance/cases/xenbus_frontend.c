// SPDX-License-Identifier: MIT
/* A frontend's nodes and states: connecting, closing, starting again. */
#include <stdio.h>

#include "frontend_groups.h"
#include "frontend_support.h"

static uint32_t word(const uint8_t *page, unsigned int offset)
{
    uint32_t value;
    memcpy(&value, page + offset, 4);
    return value;
}

static void connect_on(struct conform *t, enum xenbus_state backend, enum xenbus_state frontend)
{
    back_set_state(t, backend);
    conform_settle(t);
    back_expect_frontend_state(t, frontend);
}

#define STATES(X)                                                                                            \
    X(on_1, "initialising", "waits while the backend initialises", XenbusStateInitialising,                  \
      XenbusStateInitialising)                                                                               \
    X(on_2, "init-wait", "connects on InitWait", XenbusStateInitWait, XenbusStateConnected)                  \
    X(on_3, "initialised", "connects on Initialised", XenbusStateInitialised, XenbusStateConnected)          \
    X(on_4, "connected", "connects on Connected without InitWait", XenbusStateConnected,                     \
      XenbusStateConnected)                                                                                  \
    X(on_5, "closing", "closes on Closing", XenbusStateClosing, XenbusStateClosed)                           \
    X(on_6, "closed", "waits on Closed", XenbusStateClosed, XenbusStateInitialising)                         \
    X(on_7, "reconfiguring", "waits on Reconfiguring", XenbusStateReconfiguring, XenbusStateInitialising)    \
    X(on_8, "reconfigured", "waits on Reconfigured", XenbusStateReconfigured, XenbusStateInitialising)

#define STATE_RUN(name, id, title, backend, frontend)                                                        \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        connect_on(t, backend, frontend);                                                                    \
    }
#define NODES_CASE(id, requirement, title, run)                                                              \
    {                                                                                                        \
        "xenbus.frontend." id, requirement, title, run, CONFORM_FRONTEND, CONFORM_NODES, 0, 0, NULL          \
    }
#define LATE_CASE(id, requirement, title, run)                                                               \
    {                                                                                                        \
        "xenbus.frontend." id, requirement, title, run, CONFORM_FRONTEND, CONFORM_NOTHING, 0, 0, "toolstack" \
    }
#define STATE_ROW(name, id, title, backend, frontend)                                                        \
    NODES_CASE("on." id, "state.frontend.connect-late state.unused-ignored", title, name),
STATES(STATE_RUN)

/* ---- nodes of the controller ---- */

static void node_good(struct conform *t, const char *node, const char *value)
{
    back_set_node(t, node, value);
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
}

static void node_bad(struct conform *t, const char *node, const char *value)
{
    char path[256];
    char error[STORE_VALUE_MAX];
    back_set_node(t, node, value);
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateClosing);
    snprintf(path, sizeof(path), "/local/domain/1/error/device/vusb/0/error");
    conform_true(t, store_read(t, back_handle(t), path, error), "an error node says why");
}

#define NODES(X)                                                                                             \
    X(ports_1, node_good, "num-ports.1", "1 port is accepted", "num-ports", "1")                             \
    X(ports_31, node_good, "num-ports.31", "31 ports are accepted", "num-ports", "31")                       \
    X(ports_0, node_bad, "num-ports.0", "0 ports are refused", "num-ports", "0")                             \
    X(ports_32, node_bad, "num-ports.32", "32 ports are refused", "num-ports", "32")                         \
    X(ports_minus, node_bad, "num-ports.minus", "-1 ports are refused", "num-ports", "-1")                   \
    X(ports_text, node_bad, "num-ports.text", "a word is refused", "num-ports", "x")                         \
    X(ports_empty, node_bad, "num-ports.empty", "an empty number is refused", "num-ports", "")               \
    X(ports_wrap, node_bad, "num-ports.wrap", "2^32 + 1 ports are refused", "num-ports", "4294967297")       \
    X(ports_missing, node_bad, "num-ports.missing", "a missing number is refused", "num-ports", NULL)        \
    X(ver_1, node_good, "usb-ver.1", "usb-ver 1 is accepted", "usb-ver", "1")                                \
    X(ver_2, node_good, "usb-ver.2", "usb-ver 2 is accepted", "usb-ver", "2")                                \
    X(ver_0, node_bad, "usb-ver.0", "usb-ver 0 is refused", "usb-ver", "0")                                  \
    X(ver_3, node_bad, "usb-ver.3", "usb-ver 3 is refused", "usb-ver", "3")                                  \
    X(ver_text, node_bad, "usb-ver.text", "usb-ver 2.0 is refused", "usb-ver", "2.0")                        \
    X(ver_missing, node_bad, "usb-ver.missing", "a missing usb-ver is refused", "usb-ver", NULL)             \
    X(unknown, node_good, "feature.unknown", "an unknown node is ignored", "feature-unheard-of", "1")

#define NODE_RUN(name, run, id, title, node, value)                                                          \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        run(t, node, value);                                                                                 \
    }
#define NODE_ROW(name, run, id, title, node, value)                                                          \
    NODES_CASE(id, "node.num-ports.range node.usb-ver.range node.error.text node.extra.ignored", title, name),
NODES(NODE_RUN)

/* ---- what it offers ---- */

static void offer(struct conform *t)
{
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
    back_map(t);
}

/* How many, is the frontend's choice; without any no device could be told. */
static void primed(struct conform *t)
{
    offer(t);
    uint32_t n = word(back_conn_page(t), 0);
    conform_note(t, "%u plug requests", n);
    conform_true(t, n >= 1 && n <= 512, "1 to 512 plug requests are there at Connected");
}

/* Each of them can be used, whatever its id: as many events as there are requests, at once. */
static void primed_ids(struct conform *t)
{
    offer(t);
    uint32_t n = word(back_conn_page(t), 0);
    back_set_state(t, XenbusStateConnected);
    conform_settle(t);
    for (uint32_t i = 0; i < n; i++) {
        struct usbif_conn_response event = {.portnum = 1, .speed = (uint8_t)(i % 2 ? 0 : USBIF_SPEED_HIGH)};
        memcpy(&event.id, back_conn_page(t) + 64 + 4 * (size_t)i, 2);
        memcpy(back_conn_page(t) + 64 + 4 * (size_t)i, &event, sizeof(event));
    }
    memcpy(back_conn_page(t) + 8, &n, sizeof(n));
    back_notify(t);
    conform_settle(t);
    conform_equal(t, "conn req_prod", 2 * n, word(back_conn_page(t), 0));
    back_expect_frontend_state(t, XenbusStateConnected);
}

static void urb_ring_empty(struct conform *t)
{
    offer(t);
    conform_equal(t, "req_prod", 0, word(back_urb_page(t), 0));
    conform_equal(t, "req_event", 1, word(back_urb_page(t), 4));
    conform_equal(t, "rsp_prod", 0, word(back_urb_page(t), 8));
    conform_equal(t, "rsp_event", 1, word(back_urb_page(t), 12));
}

static void pages_clean(struct conform *t)
{
    offer(t);
    for (unsigned int i = 16; i < 4096; i++)
        conform_equal(t, "bytes of the URB ring's page", 0, back_urb_page(t)[i]);
}

static void quiet_before(struct conform *t)
{
    offer(t);
    back_expect_no_request(t);
}

/* A node of the frontend's own that comes late is found when it comes. */
static void late_node(struct conform *t, const char *node, const char *value)
{
    const struct store_controller without = {
        .frontend = conform_guest(t), .usb_ver = 2, .num_ports = 4, .kind = "qusb", .omit = node};
    char path[256];
    store_create_controller(t, &without);
    conform_settle(t);
    back_set_state(t, XenbusStateInitWait);
    conform_settle(t);
    conform_equal(t, "frontend state without the node", XenbusStateInitialising, back_frontend_state(t));
    snprintf(path, sizeof(path), "%s/%s", back_frontend_dir(t), node);
    store_write(t, store_toolstack(t), path, value);
    back_expect_frontend_state(t, XenbusStateConnected);
}

static void late_backend(struct conform *t)
{
    late_node(t, "backend", back_dir(t));
}

static void late_backend_id(struct conform *t)
{
    late_node(t, "backend-id", "0");
}

static void decimal(struct conform *t)
{
    static const char *const nodes[] = {"urb-ring-ref", "conn-ring-ref", "event-channel"};
    offer(t);
    for (unsigned int i = 0; i < 3; i++) {
        char path[256];
        char value[STORE_VALUE_MAX];
        snprintf(path, sizeof(path), "%s/%s", back_frontend_dir(t), nodes[i]);
        conform_true(t, store_read(t, back_handle(t), path, value), "the ring's node is there");
        conform_true(t, value[0] && strspn(value, "0123456789") == strlen(value),
                     "the node is unsigned decimal");
    }
}

static void not_before(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    snprintf(path, sizeof(path), "%s/urb-ring-ref", back_frontend_dir(t));
    conform_settle(t);
    conform_true(t, !store_read(t, back_handle(t), path, value), "no ring is offered before InitWait");
}

static void rings_apart(struct conform *t)
{
    offer(t);
    memset(back_conn_page(t) + 64, 0x77, 64);
    conform_equal(t, "bytes of the URB ring", 0, back_urb_page(t)[64]);
}

/* ---- ends ---- */

static void remove_backend(struct conform *t)
{
    back_unmap(t);
    store_remove(t, store_toolstack(t), back_dir(t));
}

/* With an URB in flight; the connection ends in the way given. */
static void ends(struct conform *t, void (*way)(struct conform *t))
{
    int urb;
    submit_take(t, make_urb(URB_BULK, 1, true, 5000), &urb);
    way(t);
    back_expect_frontend_state(t, XenbusStateClosed);
    guest_expect(t, urb, -ESHUTDOWN, 0);
    const struct guest_urb late = make_control();
    conform_equal(t, "submit after the end", -ESHUTDOWN, guest_submit(t, &late));
}

static void closing(struct conform *t)
{
    back_unmap(t);
    back_set_state(t, XenbusStateClosing);
}

static void closed(struct conform *t)
{
    back_unmap(t);
    back_set_state(t, XenbusStateClosed);
}

static void state_gone(struct conform *t)
{
    back_unmap(t);
    back_set_node(t, "state", NULL);
}

static void nonsense(struct conform *t)
{
    back_unmap(t);
    back_set_node(t, "state", "connected");
}

static void twice(struct conform *t)
{
    closing(t);
    conform_settle(t);
    back_set_state(t, XenbusStateClosing);
}

static void dies(struct conform *t)
{
    back_unmap(t); /* its channel closes, nothing is written */
}

/* As a toolstack does it: the same controller, made anew when it is gone. */
static void begin_again(struct conform *t, bool gone)
{
    const struct store_controller controller = {.frontend = conform_guest(t), .usb_ver = 2, .num_ports = 4, .kind = "qusb"};
    if (!gone) {
        back_set_state(t, XenbusStateInitialising);
        return;
    }
    if (!conform_has(t, "toolstack"))
        conform_skip(t, "the controller is gone and this run cannot make another");
    store_create_controller(t, &controller);
}

#define ENDS(X)                                                                                              \
    X(end_closing, closing, "end.closing", "when the backend is Closing")                                    \
    X(end_twice, twice, "end.closing-twice", "when the backend says Closing twice")                          \
    X(end_closed, closed, "end.closed", "when the backend is Closed at once")                                \
    X(end_removed, remove_backend, "end.removed", "when the backend's directory vanishes")                   \
    X(end_state, state_gone, "end.state-removed", "when the backend's state vanishes")                       \
    X(end_nonsense, nonsense, "end.nonsense", "when the backend's state is no number")                       \
    X(end_dies, dies, "end.dies", "when the backend dies")

#define END_RUN(name, way, id, title)                                                                        \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        ends(t, way);                                                                                        \
    }                                                                                                        \
    static void name##_again(struct conform *t)                                                              \
    {                                                                                                        \
        ends(t, way);                                                                                        \
        conform_settle(t);                                                                                   \
        begin_again(t, way == remove_backend);                                                               \
        guest_reconnect(t);                                                                                  \
        back_connect(t);                                                                                     \
        check_works(t);                                                                                      \
    }
#define END_ROW(name, way, id, title)                                                                        \
    GUEST_CASE("xenbus.frontend." id, "state.frontend.close state.frontend.backend-6 state.frontend.close-twice "\
               "state.frontend.directory-gone", "closes and returns every URB " title, name),                \
        GUEST_CASE("xenbus.frontend." id ".again", "observed.frontend.no-reconnect", "connects again " title,          \
                   name##_again),
ENDS(END_RUN)

static void own_close(struct conform *t)
{
    guest_close(t);
    back_expect_frontend_state(t, XenbusStateClosing);
    back_disconnect(t);
}

static void ports_once(struct conform *t)
{
    const uint8_t ninth[8] = {0xa3, 0, 0, 0, 9, 0, 4, 0};
    uint8_t status[4];
    back_set_node(t, "num-ports", "9");
    back_set_state(t, XenbusStateConnected); /* again: now it looks */
    conform_settle(t);
    conform_equal(t, "status of port 9 of 4", -EPIPE, guest_hub(t, ninth, status, sizeof(status)));
    check_works(t);
    back_expect_frontend_state(t, XenbusStateConnected);
}

static void still_mapped(struct conform *t)
{
    guest_close(t);
    conform_pass(t, 1000 * MS);
    conform_equal(t, "frontend state while the rings are mapped", XenbusStateClosing, back_frontend_state(t));
    back_disconnect(t);
}

static void grants_end(struct conform *t)
{
    grant_ref_t ref;
    char path[256];
    char value[STORE_VALUE_MAX];
    void *page;
    snprintf(path, sizeof(path), "%s/urb-ring-ref", back_frontend_dir(t));
    conform_true(t, store_read(t, back_handle(t), path, value), "urb-ring-ref is there");
    conform_equal(t, "urb-ring-ref is a number", 1, sscanf(value, "%u", &ref));
    guest_close(t);
    conform_settle(t);
    back_disconnect(t);
    conform_true(t, back_handle(t)->ops->grant_map(back_handle(t), 1, 1, &ref, true, &page) < 0,
                 "the ring's grant has ended");
}

const struct conform_case cases_xenbus_frontend[] = {
    STATES(STATE_ROW) NODES(NODE_ROW) ENDS(END_ROW)
        NODES_CASE("plug.primed", "plug.prime", "plug requests are there at Connected", primed),
    NODES_CASE("plug.primed-ids", "plug.prime plug.repost", "and each of them can be used", primed_ids),
    LATE_CASE("late.backend", "node.backend.follow", "waits for the node backend", late_backend),
    LATE_CASE("late.backend-id", "node.backend.follow", "waits for the node backend-id", late_backend_id),
    NODES_CASE("ring.decimal", "node.ring-refs.together",
               "ring nodes are unsigned decimal", decimal),
    NODES_CASE("ring.not-before", "state.frontend.rings-first",
               "rings are offered after InitWait", not_before),
    NODES_CASE("ring.apart", "state.frontend.rings-first",
               "each ring has a page of its own", rings_apart),
    NODES_CASE("ring.empty", "ring.init", "the URB ring is as SHARED_RING_INIT leaves it", urb_ring_empty),
    NODES_CASE("ring.init", "ring.init", "no old memory is in its page", pages_clean),
    NODES_CASE("ring.quiet", "state.frontend.quiet", "no request before the backend is Connected",
               quiet_before),
    GUEST_CASE("xenbus.frontend.close", "state.frontend.close", "the guest's close is Closing, then Closed",
               own_close),
    GUEST_CASE("xenbus.frontend.ports-once", "hostile.num-ports-changed", "num-ports counts once",
               ports_once),
    GUEST_CASE("xenbus.frontend.close.mapped", "segment.still-mapped life.stop", "waits for the unmap", still_mapped),
    GUEST_CASE("xenbus.frontend.close.grants", "life.stop", "the rings' grants end", grants_end),
    {0},
};
