// SPDX-License-Identifier: MIT
/* Odd segments, equal ids, short transfers with followers, and notifications nobody asked for. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

static struct usbif_urb_request bulk_in(struct conform *t)
{
    return front_request(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, 1));
}

/* ---- segments ---- */

/* Pieces of odd sizes at odd places, in pages out of order; the bytes between stay. */
static void odd_segments(struct conform *t)
{
    static const struct {
        uint16_t page, offset, length;
    } piece[] = {{7, 3, 5}, {2, 4095, 1}, {7, 100, 64}, {0, 0, 1}, {5, 4000, 96}, {7, 9, 7}};
    struct front *f = front_number(t, 0);
    uint8_t expected[174];
    uint32_t at = 0;
    memset(front_data(f), 0xee, 8 * 4096);
    struct usbif_urb_request request = bulk_in(t);
    for (unsigned int i = 0; i < 6; i++)
        front_segment(&request, front_ref(f, piece[i].page, false), piece[i].offset, piece[i].length);
    front_send(t, &request);
    front_expect(t, request.id, 0, sizeof(expected));
    probe_pattern(0x81, 0, expected, sizeof(expected));
    for (unsigned int i = 0; i < 6; i++) {
        const uint8_t *bytes = front_data(f) + piece[i].page * 4096 + piece[i].offset;
        conform_bytes(t, "data of a segment", expected + at, bytes, piece[i].length);
        at += piece[i].length;
    }
    conform_equal(t, "byte between two segments", 0xee, front_data(f)[7 * 4096 + 8]);
    conform_equal(t, "byte between two segments", 0xee, front_data(f)[7 * 4096 + 16]);
    conform_equal(t, "byte behind a segment", 0xee, front_data(f)[1]);
}

/* Segments of no bytes, first, between and last. */
static void empty_segments(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint8_t expected[16];
    struct usbif_urb_request request = bulk_in(t);
    front_segment(&request, front_ref(f, 0, false), 0, 0);
    front_segment(&request, front_ref(f, 1, false), 8, 8);
    front_segment(&request, front_ref(f, 2, false), 4095, 0);
    front_segment(&request, front_ref(f, 3, false), 8, 8);
    front_segment(&request, front_ref(f, 4, false), 4096, 0);
    memset(front_data(f), 0xee, 8 * 4096);
    front_send(t, &request);
    front_expect(t, request.id, 0, 16);
    probe_pattern(0x81, 0, expected, 16);
    conform_bytes(t, "data of the second segment", expected, front_data(f) + 4096 + 8, 8);
    conform_bytes(t, "data of the fourth segment", expected + 8, front_data(f) + 3 * 4096 + 8, 8);
    conform_equal(t, "byte of an empty segment", 0xee, front_data(f)[0]);
}

static void same_page_twice(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint8_t expected[32];
    struct usbif_urb_request request = bulk_in(t);
    front_segment(&request, front_ref(f, 0, false), 64, 16);
    front_segment(&request, front_ref(f, 0, false), 0, 16);
    front_send(t, &request);
    front_expect(t, request.id, 0, 32);
    probe_pattern(0x81, 0, expected, 32);
    conform_bytes(t, "data of the first segment", expected, front_data(f) + 64, 16);
    conform_bytes(t, "data of the second segment", expected + 16, front_data(f), 16);
}

static void unused_segments(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    for (unsigned int i = 1; i < USBIF_MAX_SEGMENTS_PER_REQUEST; i++)
        request.seg[i] = (struct usbif_request_segment){.gref = 8000, .offset = 5000, .length = 5000};
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

static void control_in_too_long(struct conform *t)
{
    struct front *f = front_number(t, 0);
    memset(front_data(f), 0xee, 4096);
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 0x80, 6, 0x100, 0, 0, 8);
    request.u.ctrl[6] = 18;
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(f, request.id);
    conform_true(t, rsp.status == -75 || (rsp.status == 0 && rsp.actual_length <= 8),
                 "IN data that do not fit are -75, or what fits");
    for (unsigned int i = 8; i < 4096; i++)
        conform_equal(t, "byte behind the segment", 0xee, front_data(f)[i]);
    front_check_works(t);
}

/* ---- types, ids, followers ---- */

static void type_at_device(struct conform *t)
{
    struct probe_entry log[2];
    struct usbif_urb_request request = front_int(t, 0x02, 0, 8);
    front_send(t, &request);
    front_expect(t, request.id, 0, 8);
    request = front_bulk(t, 0x01, 0, 8);
    front_send(t, &request);
    front_expect(t, request.id, 0, 8);
    conform_equal(t, "transfers at the device", 2, probe_log(t, log, 2));
    conform_equal(t, "type of the first at the device", FRONT_INT, log[0].type);
    conform_equal(t, "type of the second at the device", FRONT_BULK, log[1].type);
}

/* Two requests of one id at two endpoints; which of them an unlink took shows when the other is let go. */
static void unlink_takes_oldest(struct conform *t)
{
    struct front *f = front_number(t, 0);
    probe_default(t, 0x81, PROBE_HOLD, 0);
    struct usbif_urb_request first = front_int(t, 0x82, 0, 8);
    struct usbif_urb_request second = front_bulk(t, 0x81, 4096, 64);
    second.id = first.id;
    front_send(t, &first);
    front_send(t, &second);
    struct usbif_urb_request unlink = front_unlink(t, &first);
    front_send(t, &unlink);
    front_expect(t, first.id, -71, 0);
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, second.id);
    probe_release(t, 0x81);
    struct usbif_urb_response rsp = front_response(f, second.id);
    conform_equal(t, "rsp.status of the newer", 0, rsp.status);
    conform_equal(t, "rsp.actual_length of the newer", 64, rsp.actual_length);
}

/* The id is another device's. */
static void unlink_of_other_device(struct conform *t)
{
    struct front *f = front_number(t, 0);
    front_attach_probe(f, 2, 1);
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    struct usbif_urb_request unlink = front_unlink(t, &held);
    unlink.pipe = FRONT_PIPE(FRONT_INT, CONFORM_ADDRESS + 1, 2, 1) | FRONT_UNLINK;
    front_send(t, &unlink);
    front_expect(t, unlink.id, 0, 0);
    front_expect_none(t, held.id);
    probe_release(t, 0x82);
    front_expect(t, held.id, 0, 8);
}

/*
 * With the flag what stands behind a short transfer had better not take what comes next: those that end then, end with an
 * error and no data; the others get theirs. Each is answered.
 */
static void short_with_followers(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request[4];
    probe_script(t, 0x81, PROBE_HOLD, 0); /* so that all are there when the second ends short */
    probe_script(t, 0x81, PROBE_SHORT, 5);
    for (unsigned int i = 0; i < 4; i++) {
        request[i] = front_bulk(t, 0x81, i * 4096, 64);
        request[i].transfer_flags = 1;
        front_put(f, &request[i]);
    }
    front_push(f);
    front_expect_none(t, request[0].id);
    probe_release(t, 0x81);
    front_expect(t, request[0].id, 0, 64);
    front_expect(t, request[1].id, 0, 5);
    for (unsigned int i = 2; i < 4; i++) {
        struct usbif_urb_response rsp = front_response(f, request[i].id);
        conform_note(t, "the follower is answered with status %d", rsp.status);
        conform_equal(t, "rsp.actual_length of a follower", rsp.status == 0 ? 64 : 0, rsp.actual_length);
    }
    front_check_works(t);
}

static void short_without_flag(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request[3];
    probe_script(t, 0x81, PROBE_HOLD, 0);
    probe_script(t, 0x81, PROBE_SHORT, 5);
    for (unsigned int i = 0; i < 3; i++) {
        request[i] = front_bulk(t, 0x81, i * 4096, 64);
        request[i].transfer_flags = 0xfffe;
        front_put(f, &request[i]);
    }
    front_push(f);
    front_expect_none(t, request[0].id);
    probe_release(t, 0x81);
    front_expect(t, request[0].id, 0, 64);
    front_expect(t, request[1].id, 0, 5);
    front_expect(t, request[2].id, 0, 64);
}

/* ---- notifications ---- */

static void not_asked_for(struct conform *t)
{
    struct front *f = front_number(t, 0);
    conform_settle(t);
    front_check_works(t);
    front_set_word(front_urb_page(f), 12, front_word(front_urb_page(f), 8) + 10);
    front_knobs(f)->deaf = true;
    evtchn_port_t port;
    struct xen *xen = front_handle(f);
    struct usbif_urb_request request[10];
    for (unsigned int i = 0; i < 10; i++) {
        request[i] = front_bulk(t, 0x81, i * 4096, 64);
        front_put(f, &request[i]);
        front_push(f);
        conform_settle(t);
        bool notified = xen->ops->evtchn_pending(xen, &port) == 0;
        conform_equal(t, "notified for a response", i == 9, notified);
    }
    conform_equal(t, "evtchn_unmask", 0, xen->ops->evtchn_unmask(xen, port));
    front_knobs(f)->deaf = false;
    front_notify(f);
    struct usbif_urb_request last = front_bulk(t, 0x81, 0, 64);
    front_set_word(front_urb_page(f), 12, front_word(front_urb_page(f), 8) + 1);
    front_send(t, &last);
    for (unsigned int i = 0; i < 10; i++)
        front_expect(t, request[i].id, 0, 64);
    front_expect(t, last.id, 0, 64);
}

#define CASE(id, requirements, title, run, needs_) {"backend." id, requirements, title, run, .needs = "device" needs_}

const struct conform_case backend_more_cases[] = {
    CASE("segment.odd", "segment.layout", "segments of odd sizes, out of order", odd_segments, ""),
    CASE("segment.empty", "segment.zero-length segment.empty-at-end", "segments of no bytes in between",
         empty_segments, ""),
    CASE("segment.same-page", "segment.same-gref", "one page in two segments", same_page_twice, ""),
    CASE("segment.unused", "segment.unused-ignored", "segments that are not used are not looked at", unused_segments,
         ""),
    CASE("segment.in-too-long", "control.in-too-long", "a device has more than fits", control_in_too_long, ""),
    CASE("type", "pipe.type-mismatch transfer.interval", "the device's host hears of the pipe's type", type_at_device,
         ""),
    CASE("unlink.same-id", "id.duplicate", "an unlink takes the oldest of an id", unlink_takes_oldest, ""),
    CASE("unlink.other-device", "urb.unlink.pipe", "an unlink is for its own device", unlink_of_other_device,
         " toolstack"),
    CASE("transfer.short-not-ok", "flags.short-not-ok.meaning transfer.error-followers",
         "followers of a short transfer with the flag end or go on", short_with_followers, ""),
    CASE("transfer.short-ok", "flags.short-not-ok.meaning flags.unknown",
         "followers of a short transfer without the flag go on", short_without_flag, ""),
    CASE("ring.no-notify", "ring.notify.arithmetic", "responses that nobody waits for are not notified",
         not_asked_for, ""),
    {0},
};
