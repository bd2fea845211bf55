// SPDX-License-Identifier: MIT
/* What a backend has to live with or may do, and where on the rings and in xenstore it looks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

#define SLOTS    64u
#define URB_END  (SLOTS + 16u * 148u)
#define CONN_END (SLOTS + 512u * 4u)
#define JUNK     0x6b

/* ---- rings ---- */

static void check_junk(struct conform *t, const char *what, const uint8_t *page, unsigned int from)
{
    for (unsigned int i = from; i < 4096; i++)
        conform_equal(t, what, JUNK, page[i]);
}

/* Forty requests go round the ring; each response is in its place, and the page behind the last slot is
 * nobody's. */
static void ring_layout(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    memset(front_urb_page(f) + URB_END, JUNK, 4096 - URB_END);
    memset(front_conn_page(f) + CONN_END, JUNK, 4096 - CONN_END);
    front_write_nodes(f);
    front_prime(f, 512, 0);
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
    for (uint32_t i = 0; i < 40; i++) {
        struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, 99, 1, 1));
        uint16_t id;
        int32_t status;
        front_send(t, &request);
        front_expect(t, request.id, -19, 0);
        memcpy(&id, front_urb_page(f) + SLOTS + (size_t)(i % 16) * 148, sizeof(id));
        memcpy(&status, front_urb_page(f) + SLOTS + (size_t)(i % 16) * 148 + 4, sizeof(status));
        conform_equal(t, "rsp.id in its slot", request.id, id);
        conform_equal(t, "rsp.status in its slot", -19, status);
    }
    check_junk(t, "byte behind the last slot of the URB ring", front_urb_page(f), URB_END);
    check_junk(t, "byte behind the last slot of the connection ring", front_conn_page(f), CONN_END);
}

/* All requests are in their slots and none is published; what the backend does until they are is its own
 * choice. */
static void unprimed(struct conform *t)
{
    struct usbif_conn_response event;
    struct front *f = front_number(t, 0);
    front_expect_backend_state(f, XenbusStateInitWait);
    front_make(f);
    front_write_nodes(f);
    front_set_state(f, XenbusStateConnected);
    front_expect_backend_state(f, XenbusStateConnected);
    front_knobs(f)->deaf = true;
    front_port(f, 1, "1-1");
    conform_settle(t);
    conform_note(t, "without a plug request the backend %s",
                 front_word(front_conn_page(f), 8) ? "sends its event" : "waits for one");
    front_prime(f, 512, 0);
    front_notify(f);
    conform_settle(t);
    conform_true(t, front_word(front_conn_page(f), 8) >= 1, "an event comes when there are requests");
    memcpy(&event, front_conn_page(f) + SLOTS + 4 * (size_t)(front_word(front_conn_page(f), 8) - 1),
           sizeof(event));
    conform_equal(t, "event.portnum", 1, event.portnum);
    conform_equal(t, "event.speed", USBIF_SPEED_HIGH, event.speed);
    front_knobs(f)->deaf = false;
    front_check_works_on(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
}

/* The ids that came back are used again at once, while another request waits. */
static void id_reuse(struct conform *t)
{
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    for (unsigned int i = 0; i < 40; i++) {
        struct usbif_urb_request request = front_bulk(t, 0x81, 4096, 16);
        request.id = 7;
        front_send(t, &request);
        front_expect(t, 7, 0, 16);
    }
    struct usbif_urb_request unlink = front_unlink(t, &held);
    unlink.id = 7;
    front_send(t, &unlink);
    front_expect(t, held.id, -71, 0);
    front_expect(t, 7, 0, 0);
    struct usbif_urb_request again = front_int(t, 0x82, 0, 8);
    again.id = held.id;
    front_send(t, &again);
    front_expect_none(t, again.id);
    probe_release(t, 0x82);
    front_expect(t, again.id, 0, 8);
}

/* ---- what the numbers of a request may be ---- */

static void interval(struct conform *t, uint16_t value)
{
    struct usbif_urb_request request = front_int(t, 0x82, 0, 8);
    request.u.intr.interval = value;
    front_send(t, &request);
    probe_release(t, 0x82);
    front_expect(t, request.id, 0, 8);
}

static void iso_interval(struct conform *t, uint16_t value)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 1, 11, 1, 0, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    request = front_iso(t, 0x84, 0, 8, 64);
    request.u.isoc.interval = value;
    request.u.isoc.start_frame = (uint16_t)(value * 3u);
    front_send(t, &request);
    front_expect(t, request.id, 0, 512);
}

#define INTERVALS(X)                                                                                         \
    X(interval_0, interval, "transfer.interval.0", "an interval of 0", 0, "device")                          \
    X(interval_max, interval, "transfer.interval.65535", "the longest", 65535, "device")                     \
    X(iso_interval_0, iso_interval, "iso.interval.0", "an interval of 0", 0, "device iso")                   \
    X(iso_interval_7, iso_interval, "iso.interval.7", "an odd interval", 7, "device iso")                    \
    X(iso_interval_max, iso_interval, "iso.interval.65535", "the longest", 65535, "device iso")

#define INTERVAL_RUN(name, run, id, title, value, needs)                                                     \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        run(t, value);                                                                                       \
    }
INTERVALS(INTERVAL_RUN)

/* ---- answers of its own ---- */

/* Which error it is, other cases ask. */
static void zeros(struct conform *t, struct usbif_urb_request request, bool error)
{
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    conform_true(t, error ? rsp.status < 0 : rsp.status == 0,
                 error ? "the answer is an error" : "the answer is 0");
    conform_equal(t, "rsp.actual_length", 0, rsp.actual_length);
    conform_equal(t, "rsp.error_count", 0, rsp.error_count);
    conform_equal(t, "rsp.start_frame", 0, rsp.start_frame);
}

/* One of each kind that never reaches the device, over slots full of old numbers. */
static void local_zero(struct conform *t)
{
    struct usbif_urb_request request;
    memset(front_urb_page(front_number(t, 0)) + SLOTS, 0xff, 16 * 148);
    zeros(t, front_bulk(t, 0x89, 0, 64), true);
    request = front_bulk(t, 0x81, 0, 64);
    request.pipe += 90u << 8;
    zeros(t, request, true);
    zeros(t, front_control(t, 0, 0x80, 8, 0, 0, 0, 1), true);
    request = front_control(t, 0, 0, 5, CONFORM_ADDRESS, 0, 0, 0);
    request.pipe |= 1;
    zeros(t, request, false);
    request = front_bulk(t, 0x81, 0, 64);
    request.nr_buffer_segs = 17;
    zeros(t, request, true);
    request = front_bulk(t, 0x81, 0, 64);
    request.seg[0].gref = 8000;
    zeros(t, request, true);
    zeros(t, front_unlink(t, &request), false);
}

/* Nothing at the device ever ends by itself; the connection does all the same, and the next one works. */
static void device_hangs(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request[4];
    probe_default(t, 0x81, PROBE_HOLD, 0);
    probe_default(t, 0x03, PROBE_HOLD, 0);
    request[0] = front_bulk(t, 0x81, 0, 4096);
    request[1] = front_bulk(t, 0x03, 4096, 4096);
    request[2] = front_int(t, 0x82, 8192, 8);
    request[3] = front_control(t, CONFORM_ADDRESS, 0xc0, PROBE_DO_HOLD, 0, 0, 3 * 4096, 8);
    for (unsigned int i = 0; i < 4; i++)
        front_send(t, &request[i]);
    front_expect_none(t, request[0].id);
    front_set_state(f, XenbusStateClosing);
    for (unsigned int i = 0; i < 4; i++)
        conform_true(t, front_response(f, request[i].id).status < 0,
                     "what the device holds ends with an error");
    front_set_state(f, XenbusStateClosed);
    front_expect_backend_state(f, XenbusStateClosed);
    front_unmake(f);
    front_set_state(f, XenbusStateInitialising);
    front_connect(f);
    front_expect_plug(f, 1, USBIF_SPEED_HIGH);
    front_check_works_on(f);
}

/* ---- places and states ---- */

/* usbif.h's text has device/qusb and backend/GUEST/qusb; whoever looks there finds a controller that is a
 * trap. */
static void other_places(struct conform *t)
{
    static const char *const traps[] = {"/local/domain/0/backend/1/qusb/0/state",
                                        "/local/domain/0/qusb/1/0/state",
                                        "/local/domain/1/device/qusb/0/state"};
    struct front *f = front_number(t, 0);
    for (unsigned int i = 0; i < 3; i++)
        store_write(t, store_toolstack(t), traps[i], "1");
    store_write(t, store_toolstack(t), "/local/domain/0/backend/1/qusb/0/frontend",
                "/local/domain/1/device/qusb/0");
    store_write(t, store_toolstack(t), "/local/domain/0/backend/1/qusb/0/num-ports", "4");
    store_write(t, store_toolstack(t), "/local/domain/0/backend/1/qusb/0/usb-ver", "2");
    front_connect(f);
    for (unsigned int i = 0; i < 3; i++)
        store_check(t, store_toolstack(t), traps[i], "1");
}

/* When it says Connected all that belongs to it is there: the grants are in use, the channel has its other
 * end. */
static void connected_last(struct conform *t)
{
    struct front *f = front_number(t, 0);
    const struct xen_ops *ops = front_handle(f)->ops;
    char value[STORE_VALUE_MAX];
    char path[256];
    unsigned int port;
    bool bound = false;
    front_need_grants(f);
    front_connect(f);
    snprintf(path, sizeof(path), "%s/event-channel", front_dir(f));
    conform_true(t, store_read(t, front_handle(f), path, value), "event-channel is there");
    conform_equal(t, "event-channel is a number", 1, sscanf(value, "%u", &port));
    conform_equal(t, "evtchn_status", 0, ops->evtchn_status(front_handle(f), port, &bound));
    conform_true(t, bound, "the channel is bound in state Connected");
    for (unsigned int i = 0; i < 2; i++) {
        grant_ref_t ref;
        snprintf(path, sizeof(path), "%s/%s", front_dir(f), i ? "conn-ring-ref" : "urb-ring-ref");
        conform_true(t, store_read(t, front_handle(f), path, value), "the ring's node is there");
        conform_equal(t, "the reference is a number", 1, sscanf(value, "%u", &ref));
        conform_true(t, ops->grant_end(front_handle(f), ref) == -EBUSY,
                     "both rings are mapped in state Connected");
    }
}

#define CASE(id, requirements, title, run, start_, needs_)                                                   \
    {                                                                                                        \
        "backend." id, requirements, title, run, .start = start_, .needs = needs_                            \
    }
#define INTERVAL_ROW(name, run, id, title, value, needs)                                                     \
    CASE(id, "transfer.interval iso.interval", title, name, CONFORM_READY, needs),

const struct conform_case backend_layout_cases[] = {
    CASE("ring.layout", "ring.layout", "slots are where the layout has them, and nothing else is written",
         ring_layout, CONFORM_NODES, NULL),
    CASE("plug.unprimed", "plug.unprimed plug.wait-for-request",
         "plug requests are published after the connection", unprimed, CONFORM_NODES, "device toolstack"),
    CASE("id.reuse", "id.reuse", "an id that came back is used again", id_reuse, CONFORM_READY, "device"),
    INTERVALS(INTERVAL_ROW) CASE("local-zero", "status.local-zero", "answers of its own count nothing",
                                 local_zero, CONFORM_READY, "device"),
    CASE("life.device-hangs", "life.device-hangs state.close.answer-first",
         "a device that hangs is left behind", device_hangs, CONFORM_READY, "device"),
    {"xenbus.backend.place", "node.backend-dir node.frontend-dir", "nodes elsewhere are not its own",
     other_places, .start = CONFORM_NODES, .needs = "toolstack"},
    {"xenbus.backend.connected-last", "state.backend.connected-last",
     "Connected says that all is mapped and bound", connected_last, .start = CONFORM_NODES},
    {0},
};
