// SPDX-License-Identifier: MIT
/* States and nodes: the backend follows every order, and forgets everything between two connections. */
#include <stdio.h>

#include "../front.h"
#include "backend_groups.h"

static void set_backend(struct conform *t, const char *node, const char *value)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", front_backend_dir(front_number(t, 0)), node);
    store_write(t, store_toolstack(t), path, value);
}

static void again(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_unmake(f);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

static void state(struct conform *t, enum xenbus_state own, enum xenbus_state expected)
{
    front_set_state(front_number(t, 0), own);
    front_expect_backend_state(front_number(t, 0), expected);
}

static void init_wait(struct conform *t)
{
    front_expect_backend_state(front_number(t, 0), XenbusStateInitWait);
}

static void accepts(struct conform *t, enum xenbus_state own)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, 512, 0);
    front_set_state(f, own);
    front_expect_backend_state(f, XenbusStateConnected);
}

static void accepts_3(struct conform *t)
{
    accepts(t, XenbusStateInitialised);
}

static void accepts_4(struct conform *t)
{
    accepts(t, XenbusStateConnected);
}

static void early_requests(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_prime(f, 512, 0);
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
    front_knobs(f)->silent = true;
    front_send(t, &request);
    front_knobs(f)->silent = false;
    front_write_nodes(f);
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
    front_expect(t, request.id, -19, 0);
}

static void close_5_6_1(struct conform *t)
{
    state(t, XenbusStateClosing, XenbusStateClosing);
    state(t, XenbusStateClosed, XenbusStateClosed);
    state(t, XenbusStateInitialising, XenbusStateInitWait);
    again(t);
}

static void close_6_1(struct conform *t)
{
    state(t, XenbusStateClosed, XenbusStateClosed);
    state(t, XenbusStateInitialising, XenbusStateInitWait);
    again(t);
}

static void close_5_1(struct conform *t)
{
    state(t, XenbusStateClosing, XenbusStateClosing);
    state(t, XenbusStateInitialising, XenbusStateInitWait);
    again(t);
}

static void begin_again(struct conform *t)
{
    state(t, XenbusStateInitialising, XenbusStateInitWait);
    again(t);
}

static void ignored(struct conform *t, enum xenbus_state own)
{
    front_set_state(front_number(t, 0), own);
    conform_settle(t);
    conform_equal(t, "backend state", XenbusStateConnected, front_backend_state(front_number(t, 0)));
    front_check_works(t);
}

static void ignores_2(struct conform *t)
{
    ignored(t, XenbusStateInitWait);
}

static void ignores_7(struct conform *t)
{
    ignored(t, XenbusStateReconfiguring);
}

static void ignores_8(struct conform *t)
{
    ignored(t, XenbusStateReconfigured);
}

static void toolstack_close(struct conform *t)
{
    set_backend(t, "online", "0");
    set_backend(t, "state", "5");
    conform_settle(t);
    state(t, XenbusStateClosed, XenbusStateClosed);
    front_set_state(front_number(t, 0), XenbusStateInitialising);
    conform_settle(t);
    conform_equal(t, "backend state", XenbusStateClosed, front_backend_state(front_number(t, 0)));
}

static void close_in_flight(struct conform *t)
{
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    front_expect_none(t, held.id);
    state(t, XenbusStateClosing, XenbusStateClosing);
    front_expect(t, held.id, -71, 0);
    state(t, XenbusStateClosed, XenbusStateClosed);
    front_unmake(front_number(t, 0));
}

static void address_forgotten(struct conform *t)
{
    close_6_1(t);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, -19, 0);
}

static void many_lives(struct conform *t)
{
    for (unsigned int i = 0; i < 20; i++)
        close_5_6_1(t);
}

static void bad_node(struct conform *t, const char *node, const char *value)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_prime(f, 512, 0);
    front_set_node(f, node, value);
    front_set_state(f, XenbusStateConnected);
    conform_settle(t);
    conform_note(t, "with a bad %s the state is %d", node, (int)front_backend_state(f));
    conform_true(t, front_backend_state(f) != XenbusStateConnected, "what cannot be mapped or bound is not connected");
    state(t, XenbusStateClosed, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
}

static void urb_ref_bad(struct conform *t)
{
    bad_node(t, "urb-ring-ref", "4294967295");
}

static void conn_ref_bad(struct conform *t)
{
    bad_node(t, "conn-ring-ref", "0");
}

static void channel_bad(struct conform *t)
{
    bad_node(t, "event-channel", "4711");
}

static void ring_readonly(struct conform *t)
{
    struct front *f = front_number(t, 0);
    char value[16];
    front_expect_backend_state(f, XenbusStateInitWait);
    snprintf(value, sizeof(value), "%u", front_ref(f, 0, true));
    bad_node(t, "urb-ring-ref", value);
}

static void extra_node(struct conform *t)
{
    front_set_node(front_number(t, 0), "protocol", "x86_64-abi");
    set_backend(t, "something", "1");
    conform_settle(t);
    front_check_works(t);
}

#define CASE(id, requirements, title, run, ...) {"xenbus.backend." id, requirements, title, run, __VA_ARGS__}

const struct conform_case xenbus_backend_state_cases[] = {
    CASE("init-wait", "state.backend.init-wait", "a new controller is waited for", init_wait, .start = CONFORM_NODES),
    CASE("accepts-3", "state.backend.accepts-3-and-4", "a frontend may say Initialised", accepts_3,
         .start = CONFORM_NODES),
    CASE("accepts-4", "state.backend.accepts-3-and-4", "a frontend may say Connected", accepts_4,
         .start = CONFORM_NODES),
    CASE("early-requests", "state.backend.early-requests", "requests from before the connection are answered",
         early_requests, .start = CONFORM_NODES),
    CASE("close.5-6-1", "state.backend.mirror-close state.backend.reconnect", "closing, closed, again", close_5_6_1,
         .needs = "device"),
    CASE("close.6-1", "state.backend.mirror-close state.backend.reconnect", "closed at once, again", close_6_1,
         .needs = "device"),
    CASE("close.5-1", "state.backend.restart-from-5", "closing, again without closed", close_5_1, .needs = "device"),
    CASE("close.1", "state.backend.reset-walk", "a frontend that begins again without closing", begin_again,
         .needs = "device"),
    CASE("ignores-2", "state.unused-ignored", "InitWait of a frontend has no effect", ignores_2, .needs = "device"),
    CASE("ignores-7", "state.unused-ignored", "Reconfiguring has no effect", ignores_7, .needs = "device"),
    CASE("ignores-8", "state.unused-ignored", "Reconfigured has no effect", ignores_8, .needs = "device"),
    CASE("toolstack-close", "state.backend.toolstack-close state.backend.offline-at-6",
         "offline, the backend stays closed", toolstack_close, .needs = "toolstack device"),
    CASE("close-in-flight", "life.close-in-flight state.close.answer-first", "what is out is answered before the end",
         close_in_flight, .needs = "device"),
    CASE("address-forgotten", "address.forget", "addresses end with the connection", address_forgotten,
         .needs = "device"),
    CASE("many-lives", "state.backend.reconnect", "20 connections after each other", many_lives, .needs = "device"),
    CASE("bad.urb-ring-ref", "state.backend.connected-last", "a ring that cannot be mapped is not connected", urb_ref_bad,
         .start = CONFORM_NODES),
    CASE("bad.conn-ring-ref", "state.backend.connected-last", "a reserved grant reference is not connected", conn_ref_bad,
         .start = CONFORM_NODES),
    CASE("bad.event-channel", "ring.event-channel.bad", "a channel that cannot be bound is not connected", channel_bad,
         .start = CONFORM_NODES),
    CASE("bad.read-only-ring", "ring.read-only", "a read-only ring is not connected", ring_readonly,
         .start = CONFORM_NODES),
    CASE("extra-node", "node.extra.ignored node.protocol.ignored", "unknown nodes have no effect", extra_node,
         .needs = "device toolstack"),
    {0},
};
