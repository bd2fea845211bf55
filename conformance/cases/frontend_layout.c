// SPDX-License-Identifier: MIT
/* Where a frontend looks and writes, and what it has to live with. */
#include <stdio.h>

#include "frontend_groups.h"
#include "frontend_support.h"

#define SLOTS    64u
#define URB_END  (SLOTS + 16u * 148u)
#define CONN_END (SLOTS + 512u * 4u)
#define JUNK     0x6b

static void check_junk(struct conform *t, const char *what, const uint8_t *page, unsigned int from)
{
    for (unsigned int i = from; i < 4096; i++)
        conform_equal(t, what, JUNK, page[i]);
}

/* Forty requests, each of them at its place; behind the last slot is nobody's memory. */
static void ring_layout(struct conform *t)
{
    memset(back_urb_page(t) + URB_END, JUNK, 4096 - URB_END);
    memset(back_conn_page(t) + CONN_END, JUNK, 4096 - CONN_END);
    for (uint32_t i = 0; i < 40; i++) {
        int urb;
        uint32_t prod;
        uint8_t slot[148];
        const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
        struct usbif_urb_request request = submit_take(t, make_control(), &urb);
        memcpy(&prod, back_urb_page(t), sizeof(prod));
        memcpy(slot, back_urb_page(t) + SLOTS + (size_t)((prod - 1) % 16) * 148, sizeof(slot));
        conform_bytes(t, "setup packet in the slot that layout and req_prod name", setup, slot + 12, 8);
        back_respond(t, request.id, 0, 18);
        guest_expect(t, urb, 0, 18);
    }
    for (unsigned int i = 0; i < 20; i++)
        back_plug(t, (uint8_t)(2 + i % 3), (uint8_t)(i / 3 % 2 ? 0 : 2));
    conform_settle(t);
    check_junk(t, "byte behind the last slot of the URB ring", back_urb_page(t), URB_END);
    check_junk(t, "byte behind the last slot of the connection ring", back_conn_page(t), CONN_END);
}

static void power(struct conform *t, uint8_t port)
{
    const uint8_t setup[8] = {0x23, 3, 8, 0, port};
    conform_equal(t, "hub request", 0, guest_hub(t, setup, NULL, 0));
    conform_settle(t);
}

/* Empty first, then the device three times: as one that was told once. */
static void duplicates(struct conform *t)
{
    power(t, 2);
    back_plug(t, 2, USBIF_SPEED_NONE);
    for (unsigned int i = 0; i < 3; i++)
        back_plug(t, 2, USBIF_SPEED_HIGH);
    conform_settle(t);
    conform_equal(t, "status of port 2", 0x10501, guest_port_status(t, 2));
    conform_equal(t, "changes", 4, guest_hub_changes(t) & 4);
    check_works(t);
}

/* Whatever ids it takes, a hundred come back and are taken again, while one waits all the time. */
static void id_reuse(struct conform *t)
{
    int waits;
    struct usbif_urb_request held = submit_take(t, make_urb(URB_INT, 1, true, 8), &waits);
    for (unsigned int i = 0; i < 100; i++) {
        int urb;
        struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 2, true, 64), &urb);
        conform_true(t, request.id != held.id, "the id of a request without a response is not used");
        back_respond(t, request.id, 0, (int32_t)(i % 64));
        guest_expect(t, urb, 0, i % 64);
    }
    back_respond(t, held.id, 0, 3);
    guest_expect(t, waits, 0, 3);
}

/* What a backend does that waits for no device for ever. */
static void control_timeout(struct conform *t)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_control(), &urb);
    conform_pass(t, 10000 * MS);
    guest_expect_none(t, urb);
    back_respond(t, request.id, -71, 0);
    guest_expect(t, urb, -EPROTO, 0);
    check_works(t);
}

static void iso_refused(struct conform *t, struct guest_urb urb)
{
    conform_equal(t, "submit", -EMSGSIZE, guest_submit(t, &urb));
    back_expect_no_request(t);
    check_works(t);
}

/* 16 pages of data leave no segment for the descriptors. */
static void iso_16_pages(struct conform *t)
{
    iso_refused(t, make_iso(true, 64, 1024));
}

/* So do 15 pages that begin in the middle of one. */
static void iso_odd(struct conform *t)
{
    struct guest_urb urb = make_iso(false, 60, 1024);
    urb.offset = 2048;
    iso_refused(t, urb);
}

/* The most there can be is one page less. */
static void iso_15_pages(struct conform *t)
{
    int urb;
    struct usbif_urb_request request = submit_take(t, make_iso(true, 60, 1024), &urb);
    conform_equal(t, "req.nr_buffer_segs", 15, request.nr_buffer_segs);
    conform_equal(t, "req.u.isoc.nr_frame_desc_segs", 1, request.u.isoc.nr_frame_desc_segs);
    back_respond(t, request.id, 0, 0);
}

/* ---- xenstore ---- */

/* device/vusb it is, whatever the kind of the backend; what usbif.h's text has is somebody else's. */
static void place(struct conform *t)
{
    char value[STORE_VALUE_MAX];
    store_write(t, store_toolstack(t), "/local/domain/1/device/qusb/0/backend", back_dir(t));
    store_write(t, store_toolstack(t), "/local/domain/1/device/qusb/0/backend-id", "0");
    store_write(t, store_toolstack(t), "/local/domain/1/device/qusb/0/state", "1");
    back_set_state(t, XenbusStateInitWait);
    back_expect_frontend_state(t, XenbusStateConnected);
    store_check(t, store_toolstack(t), "/local/domain/1/device/qusb/0/state", "1");
    conform_true(t, !store_read(t, store_toolstack(t), "/local/domain/1/device/qusb/0/urb-ring-ref", value),
                 "no ring is offered at device/qusb");
}

/* Another protocol has the same device name; its backend has neither of the two nodes. */
static void other_protocol(struct conform *t)
{
    char error[STORE_VALUE_MAX];
    back_set_node(t, "num-ports", NULL);
    back_set_node(t, "usb-ver", NULL);
    back_set_node(t, "version", "3");
    back_set_node(t, "virtual-device", "1");
    back_set_state(t, XenbusStateInitWait);
    conform_settle(t);
    conform_true(t, back_frontend_state(t) >= XenbusStateClosing, "it gives up");
    conform_true(
        t, store_read(t, back_handle(t), "/local/domain/1/error/device/vusb/0/error", error) && error[0],
        "and says why");
}

#define NODES_CASE(id, requirement, title, run)                                                              \
    {                                                                                                        \
        "xenbus.frontend." id, requirement, title, run, CONFORM_FRONTEND, CONFORM_NODES, 0, 0, NULL          \
    }

const struct conform_case cases_frontend_layout[] = {
    GUEST_CASE("frontend.ring.layout", "ring.layout",
               "slots are where the layout has them, and nothing else is written", ring_layout),
    GUEST_CASE("frontend.plug.duplicates", "plug.duplicates", "an event told four times is one", duplicates),
    GUEST_CASE("frontend.id.reuse", "id.reuse id.unique", "ids come back and are used again", id_reuse),
    GUEST_CASE("frontend.control.timeout", "control.timeout", "a control request that times out is -EPROTO",
               control_timeout),
    GUEST_CASE("frontend.iso.too-large.16-pages", "iso.too-large segment.too-many-pages",
               "descriptors that do not fit behind 16 pages", iso_16_pages),
    GUEST_CASE("frontend.iso.too-large.odd", "iso.too-large segment.too-many-pages",
               "nor behind 15 from the middle of one on", iso_odd),
    GUEST_CASE("frontend.iso.too-large.15-pages", "iso.too-large iso.segments", "15 pages are the most",
               iso_15_pages),
    NODES_CASE("place", "node.frontend-dir", "its directory is device/vusb", place),
    NODES_CASE("other-protocol", "node.other-protocol node.error.text", "another protocol is refused",
               other_protocol),
    {0},
};
