// SPDX-License-Identifier: MIT
/* What crosses on its way: both rings in one event, answers after an unplug, unlinks that find the ring full. */
#include "frontend_groups.h"
#include "frontend_support.h"

/* A response and a plug event are published, then one event tells of both. */
static void one_event(struct conform *t)
{
    int urb;
    uint16_t id;
    struct usbif_urb_response response;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    const uint32_t conn = 1 + 1; /* the first told of the device at port 1 */
    memset(&response, 0, sizeof(response));
    response.id = request.id;
    response.actual_length = 64;
    memcpy(&id, back_conn_page(t) + 64 + 4, 2);
    const struct usbif_conn_response event = {.id = id, .portnum = 2, .speed = USBIF_SPEED_LOW};
    memcpy(back_conn_page(t) + 64 + 4, &event, sizeof(event));
    memcpy(back_conn_page(t) + 8, &conn, sizeof(conn));
    back_put(t, &response);
    conform_settle(t);
    conform_true(t, back_push(t), "the frontend asked for an event with its next response");
    guest_expect(t, urb, 0, 64);
    conform_settle(t);
    const uint8_t power[8] = {0x23, 3, 8, 0, 2, 0, 0, 0};
    conform_equal(t, "hub request", 0, guest_hub(t, power, NULL, 0));
    conform_settle(t);
    conform_equal(t, "status of port 2", 0x10301, guest_port_status(t, 2));
}

static void after_unplug(struct conform *t, int32_t status, uint32_t actual)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    back_plug(t, 1, USBIF_SPEED_NONE);
    guest_expect_none(t, urb);
    back_respond(t, request.id, status, (int32_t)actual);
    guest_expect(t, urb, status, actual);
    back_plug(t, 1, USBIF_SPEED_HIGH);
    conform_settle(t);
    check_works(t);
}

static void late_nodev(struct conform *t)
{
    after_unplug(t, -ENODEV, 0);
}

static void late_data(struct conform *t)
{
    after_unplug(t, 0, 64);
}

/* Control URBs fill what they may, then two unlinks: the second may wait, and comes with the next free slot. */
static void unlink_waits(struct conform *t)
{
    struct usbif_urb_request request[17];
    struct usbif_urb_request next;
    int urb[20];
    unsigned int n = 0;
    bool found = false;
    for (unsigned int i = 0; i < 20; i++)
        urb[i] = submit(t, make_control());
    conform_settle(t);
    while (n < 17 && back_try_take(t, &request[n]))
        n++;
    conform_true(t, n >= 4 && n <= 16, "4 to 16 requests are on the ring");
    conform_equal(t, "unlink", 0, guest_unlink(t, urb[0], -ENOENT));
    conform_equal(t, "req.u.unlink.unlink_id", request[0].id, back_take(t).u.unlink.unlink_id);
    conform_equal(t, "unlink", 0, guest_unlink(t, urb[1], -ENOENT));
    for (unsigned int i = 2; i < n && !found; i++) {
        back_respond(t, request[i].id, 0, 18);
        conform_settle(t);
        while (!found && back_try_take(t, &next))
            found = (next.pipe & 0x20) && next.u.unlink.unlink_id == request[1].id;
    }
    conform_true(t, found, "the second unlink is sent when there is room");
}

static void hub_features(struct conform *t)
{
    static const uint8_t bad[][2] = {{1, 15}, {1, 21}, {1, 23}, {1, 255}, {3, 16}, {3, 20}, {3, 23}, {3, 255}};
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const uint8_t setup[8] = {0x23, bad[i][0], bad[i][1], 0, 1, 0, 0, 0};
        conform_note(t, "request %u, feature %u", bad[i][0], bad[i][1]);
        conform_equal(t, "hub request", -EPIPE, guest_hub(t, setup, NULL, 0));
    }
}

const struct conform_case cases_frontend_life[] = {
    GUEST_CASE("frontend.event.both-rings", "ring.event.both", "one event makes it look at both rings", one_event),
    GUEST_CASE("frontend.unplug.late-nodev", "hotplug.late-response", "-19 after the unplug is -ENODEV",
               late_nodev),
    GUEST_CASE("frontend.unplug.late-data", "hotplug.late-response", "data that came before it counts",
               late_data),
    GUEST_CASE("frontend.unlink.ring-full", "urb.unlink.ring-full", "an unlink without a slot is sent later",
               unlink_waits),
    GUEST_CASE("frontend.hub.features", "hub.feature-range", "features that are not there stall", hub_features),
    {0},
};
