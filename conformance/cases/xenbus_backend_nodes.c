// SPDX-License-Identifier: MIT
/* What a toolstack and a frontend write into nodes: read strictly, and a value made good is taken. */
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static void set_backend(struct conform *t, struct front *f, const char *node, const char *value)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", front_backend_dir(f), node);
    if (value)
        store_write(t, store_toolstack(t), path, value);
    else
        store_remove(t, store_toolstack(t), path);
}

/* ---- the toolstack's ---- */

/* Not connected with this value, even when a frontend tries; with a good one it works. */
static void refused(struct conform *t, const char *node, const char *value, const char *good)
{
    const struct store_controller controller = {
        .frontend = conform_guest(t), .devid = 0, .usb_ver = 2, .num_ports = 4, .kind = "qusb", .omit = "state"};
    struct front *f = front_number(t, 0);
    char path[256];
    store_create_controller(t, &controller);
    set_backend(t, f, node, value);
    set_backend(t, f, "state", "1");
    conform_settle(t);
    snprintf(path, sizeof(path), "%s/state", front_backend_dir(f));
    store_write(t, store_toolstack(t), path, "1");
    conform_settle(t);
    enum xenbus_state state = front_backend_state(f);
    conform_true(t, state != XenbusStateInitWait && state != XenbusStateConnected,
                 "a controller with that value is not offered");
    set_backend(t, f, node, good);
    snprintf(path, sizeof(path), "%s/state", front_dir(f));
    store_write(t, store_toolstack(t), path, "1");
    front_connect(f);
}

#define REFUSED(name, node, value, good)                                                                       \
    static void name(struct conform *t)                                                                        \
    {                                                                                                          \
        refused(t, node, value, good);                                                                         \
    }

REFUSED(ports_0, "num-ports", "0", "4")
REFUSED(ports_32, "num-ports", "32", "4")
REFUSED(ports_minus, "num-ports", "-1", "4")
REFUSED(ports_text, "num-ports", "x", "4")
REFUSED(ports_empty, "num-ports", "", "4")
REFUSED(ports_missing, "num-ports", NULL, "4")
REFUSED(ports_wraps, "num-ports", "4294967300", "4")
REFUSED(version_0, "usb-ver", "0", "2")
REFUSED(version_3, "usb-ver", "3", "2")
REFUSED(version_text, "usb-ver", "two", "2")
REFUSED(version_missing, "usb-ver", NULL, "2")
REFUSED(offline, "online", "0", "1")

static void closed_before_anybody_came(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    set_backend(t, f, "online", "0");
    set_backend(t, f, "state", "5");
    front_expect_backend_state(f, XenbusStateClosed);
}

static void hotplug_status(struct conform *t)
{
    char path[256];
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    snprintf(path, sizeof(path), "%s/hotplug-status", front_backend_dir(f));
    store_check(t, front_handle(f), path, "connected");
}

static void port_missing(struct conform *t)
{
    struct front *f = front_number(t, 0);
    set_backend(t, f, "port/1", NULL); /* of the device that works */
    set_backend(t, f, "port/2", NULL);
    set_backend(t, f, "port/4", NULL);
    front_expect_no_plug(f);
    front_check_works(t);
    front_port(f, 3, "1-2");
    front_expect_plug(f, 3, USBIF_SPEED_HIGH);
    front_port(f, 2, "1-3"); /* and it can come back */
    front_expect_plug(f, 2, USBIF_SPEED_HIGH);
    front_expect_no_plug(f);
}

static void other_life(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_disconnect(f);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    set_backend(t, f, "num-ports", "2");
    front_port(f, 4, "1-4");
    front_port(f, 2, "1-2");
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_expect_plug(f, 2, USBIF_SPEED_HIGH);
    front_expect_no_plug(f);
}

static void storm(struct conform *t)
{
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 500; i++) {
        set_backend(t, f, "unknown", i % 2 ? "1" : "0");
        front_set_node(f, "state", "4");
        front_set_node(f, "urb-ring-ref", "1"); /* read once, when it connected */
    }
    conform_settle(t);
    conform_equal(t, "backend state", XenbusStateConnected, front_backend_state(f));
    front_check_works(t);
}

/* ---- the frontend's ---- */

/* State first, then the three nodes in an order, each nonsense before it is right. */
static void late(struct conform *t, unsigned int first, unsigned int second, unsigned int third)
{
    static const char *const nodes[] = {"urb-ring-ref", "conn-ring-ref", "event-channel"};
    char value[3][STORE_VALUE_MAX];
    const unsigned int order[] = {first, second, third};
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_prime(f, 512, 0);
    front_write_nodes(f);
    for (unsigned int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", front_dir(f), nodes[i]);
        conform_true(t, store_read(t, front_handle(f), path, value[i]), "the node is there");
        front_set_node(f, nodes[i], NULL);
    }
    front_set_state(f, XenbusStateConnected);
    for (unsigned int i = 0; i < 3; i++) {
        conform_settle(t);
        conform_true(t, front_backend_state(f) != XenbusStateConnected, "without its nodes it is not connected");
        front_set_node(f, nodes[order[i]], value[order[i]]);
    }
    conform_settle(t);
    enum xenbus_state state = front_backend_state(f);
    conform_true(t, state == XenbusStateConnected || state >= XenbusStateClosing,
                 "when all is there it connects, or has given up");
    if (state != XenbusStateConnected)
        return;
    front_port(f, 1, "1-1");
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

static void late_channel(struct conform *t)
{
    late(t, 0, 1, 2);
}

static void late_urb_ring(struct conform *t)
{
    late(t, 2, 1, 0);
}

static void late_conn_ring(struct conform *t)
{
    late(t, 0, 2, 1);
}

static void same_page(struct conform *t)
{
    char path[256];
    char value[STORE_VALUE_MAX];
    struct front *f = front_number(t, 0);
    struct front *other = front_add(t, 1, 1, 2, 4);
    front_connect(other);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    snprintf(path, sizeof(path), "%s/urb-ring-ref", front_dir(f));
    conform_true(t, store_read(t, front_handle(f), path, value), "the node is there");
    front_set_node(f, "conn-ring-ref", value);
    front_set_state(f, XenbusStateConnected);
    conform_settle(t);
    conform_note(t, "with one page for both rings the state is %d", (int)front_backend_state(f));
    front_port(other, 1, "1-1");
    front_expect_plug(other, 1, USBIF_SPEED_HIGH);
    front_check_works_on(other);
}

static void number_refused(struct conform *t, const char *node, const char *value)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, 512, 0);
    front_set_node(f, node, value);
    front_set_state(f, XenbusStateConnected);
    conform_settle(t);
    conform_true(t, front_backend_state(f) != XenbusStateConnected, "a number that does not fit is refused");
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
}

static void number_wraps(struct conform *t)
{
    char value[32];
    snprintf(value, sizeof(value), "%llu", 4294967296ull + front_ref(front_number(t, 0), 0, false));
    number_refused(t, "urb-ring-ref", value);
}

static void number_negative(struct conform *t)
{
    number_refused(t, "conn-ring-ref", "-1");
}

static void number_text(struct conform *t)
{
    number_refused(t, "event-channel", "one");
}

/* The backend's own indexes begin at 0: what stands in rsp_prod is its own word to write. */
static void used_page(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint16_t ids[5];
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_prime(f, 512, 0);
    memset(front_urb_page(f) + 16, 0x5a, 4096 - 16);
    for (unsigned int i = 0; i < 5; i++) {
        struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
        ids[i] = request.id;
        front_put(f, &request);
    }
    front_knobs(f)->silent = true;
    front_push(f);
    front_knobs(f)->silent = false;
    front_write_nodes(f);
    front_set_state(f, XenbusStateConnected);
    for (unsigned int i = 0; i < 5; i++)
        front_expect(t, ids[i], -19, 0);
}

#define VALUE(id, requirements, title, run) \
    {"xenbus.backend.node." id, requirements, title, run, .start = CONFORM_NOTHING, .needs = "toolstack"}
#define CASE(id, requirements, title, run, start_, needs_) \
    {"xenbus.backend." id, requirements, title, run, .start = start_, .needs = needs_}

const struct conform_case xenbus_backend_node_cases[] = {
    VALUE("num-ports.0", "node.num-ports.range", "no ports at all", ports_0),
    VALUE("num-ports.32", "node.num-ports.range", "one port more than a pipe can name", ports_32),
    VALUE("num-ports.minus", "node.num-ports.range", "a negative number of ports", ports_minus),
    VALUE("num-ports.text", "node.num-ports.range", "a number of ports that is none", ports_text),
    VALUE("num-ports.empty", "node.num-ports.range", "an empty number of ports", ports_empty),
    VALUE("num-ports.missing", "node.num-ports.range", "no number of ports", ports_missing),
    VALUE("num-ports.wraps", "node.num-ports.range", "2^32 + 4 ports", ports_wraps),
    VALUE("usb-ver.0", "node.usb-ver.range", "USB 0", version_0),
    VALUE("usb-ver.3", "node.usb-ver.range", "USB 3", version_3),
    VALUE("usb-ver.text", "node.usb-ver.range", "a version that is no number", version_text),
    VALUE("usb-ver.missing", "node.usb-ver.range", "no version", version_missing),
    VALUE("online.0", "state.backend.offline", "an offline controller is not offered", offline),
    CASE("close.unconnected", "state.backend.toolstack-close", "the toolstack takes a controller back that nobody used",
         closed_before_anybody_came, CONFORM_NODES, "toolstack"),
    CASE("hotplug-status", "observed.backend.hotplug-status", "hotplug-status is connected", hotplug_status,
         CONFORM_NODES, "toolstack inproc"),
    CASE("node.port.missing", "node.port.missing", "missing port nodes harm no other port", port_missing,
         CONFORM_READY, "device toolstack"),
    CASE("node.num-ports.changed", "node.num-ports.range state.backend.reconnect",
         "a controller that is smaller in its next life", other_life, CONFORM_READY, "device toolstack"),
    CASE("storm", "ring.event.spurious node.extra.ignored", "1500 writes that mean nothing", storm, CONFORM_READY,
         "device toolstack"),
    CASE("late.event-channel", "state.backend.late-node", "the channel is written last", late_channel, CONFORM_NODES,
         "toolstack"),
    CASE("late.urb-ring-ref", "state.backend.late-node", "the URB ring is written last", late_urb_ring, CONFORM_NODES,
         "toolstack"),
    CASE("late.conn-ring-ref", "state.backend.late-node", "the connection ring is written in between", late_conn_ring,
         CONFORM_NODES, "toolstack"),
    CASE("bad.same-page", "ring.same-page hostile.isolated", "one page for both rings harms no other controller",
         same_page, CONFORM_NODES, "toolstack device"),
    CASE("bad.ref.wraps", "node.ring-refs.unsigned", "a good reference and 2^32", number_wraps, CONFORM_NODES, NULL),
    CASE("bad.ref.negative", "node.ring-refs.unsigned", "a negative reference", number_negative, CONFORM_NODES, NULL),
    CASE("bad.channel.text", "node.ring-refs.unsigned", "a channel that is no number", number_text, CONFORM_NODES,
         NULL),
    CASE("used-page", "ring.init.private state.backend.early-requests", "a ring page with old bytes", used_page,
         CONFORM_NODES, NULL),
    {0},
};
