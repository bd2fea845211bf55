// SPDX-License-Identifier: MIT
/* Bulk and interrupt transfers: what reaches the device, and what the guest hears of it. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

#define CANARY 0xee

static void in(struct conform *t, uint8_t endpoint, uint32_t offset, uint32_t length, int32_t status, uint32_t actual)
{
    struct usbif_urb_request request = front_bulk(t, endpoint, offset, length);
    front_send(t, &request);
    front_expect(t, request.id, status, (int32_t)actual);
}

/* length bytes at offset arrive byte for byte, and nothing around them changes. */
static void placed(struct conform *t, uint32_t offset, uint32_t length, uint32_t sent)
{
    static uint8_t expected[65536];
    uint8_t *data = front_data(front_number(t, 0));
    if (sent < length)
        probe_script(t, 0x81, PROBE_SHORT, sent);
    memset(data, CANARY, FRONT_PAGES * 4096u);
    in(t, 0x81, offset, length, 0, sent);
    probe_pattern(0x81, 0, expected, sent);
    conform_bytes(t, "IN data", expected, data + offset, sent);
    for (uint32_t i = 0; i < FRONT_PAGES * 4096u; i++) {
        if ((i < offset || i >= offset + sent) && data[i] != CANARY)
            conform_fail(t, "byte %u of the buffer: expected 0x%02x as before, it is 0x%02x", i, CANARY, data[i]);
    }
}

#define PLACED(name, offset, length, sent)                                                                     \
    static void name(struct conform *t)                                                                        \
    {                                                                                                          \
        placed(t, offset, length, sent);                                                                       \
    }

PLACED(in_one_byte, 0, 1, 1)
PLACED(in_last_byte_of_page, 4095, 1, 1)
PLACED(in_across_pages, 100, 5000, 5000)
PLACED(in_two_bytes_two_pages, 4095, 2, 2)
PLACED(in_one_page, 0, 4096, 4096)
PLACED(in_61440, 1, 61440, 61440)
PLACED(in_sixteen_odd_segments, 4095, 61441, 61441)
PLACED(in_64k, 0, 65536, 65536)
PLACED(in_short, 0, 64, 4)
PLACED(in_short_second_page, 100, 5000, 3997)
PLACED(in_short_at_page_end, 100, 5000, 3996)
PLACED(in_nothing, 0, 64, 0)
PLACED(in_short_of_many, 4000, 61440, 8192)

static void out(struct conform *t, uint32_t offset, uint32_t length, bool readonly)
{
    uint8_t *data = front_data(front_number(t, 0));
    struct probe_entry log;
    uint32_t sum = 0;
    struct usbif_urb_request request = front_bulk(t, 0x01, offset, length);
    for (unsigned int i = 0; readonly && i < request.nr_buffer_segs; i++)
        request.seg[i].gref = front_ref(front_number(t, 0), offset / 4096 + i, true);
    for (uint32_t i = 0; i < length; i++) {
        data[offset + i] = (uint8_t)(i * 7 + i / 255);
        sum += (i + 1) * data[offset + i];
    }
    front_send(t, &request);
    front_expect(t, request.id, 0, (int32_t)length);
    conform_equal(t, "transfers at the device", 1, probe_log(t, &log, 1));
    conform_equal(t, "endpoint at the device", 0x01, log.endpoint);
    conform_equal(t, "length at the device", length, log.length);
    conform_equal(t, "sum of the bytes at the device", sum, log.sum);
}

#define OUT(name, offset, length, readonly)                                                                    \
    static void name(struct conform *t)                                                                        \
    {                                                                                                          \
        out(t, offset, length, readonly);                                                                      \
    }

OUT(out_one_byte, 0, 1, false)
OUT(out_across_pages, 100, 5000, false)
OUT(out_64k, 0, 65536, false)
OUT(out_readonly, 100, 5000, true)
OUT(out_empty, 0, 0, false)

static void fails(struct conform *t, uint8_t endpoint, enum probe_action action, int32_t status)
{
    probe_script(t, endpoint, action, 0);
    struct usbif_urb_request request = front_bulk(t, endpoint, 0, 512);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    conform_equal(t, "rsp.status", status, rsp.status);
    front_check_works(t);
}

static void in_stall(struct conform *t)
{
    fails(t, 0x81, PROBE_STALL, -32);
}

static void out_stall(struct conform *t)
{
    fails(t, 0x01, PROBE_STALL, -32);
}

static void in_error(struct conform *t)
{
    fails(t, 0x81, PROBE_ERROR, -71);
}

static void out_error(struct conform *t)
{
    fails(t, 0x01, PROBE_ERROR, -71);
}

static void in_babble(struct conform *t)
{
    fails(t, 0x81, PROBE_BABBLE, -75);
}

static void clear_halt(struct conform *t)
{
    probe_script(t, 0x81, PROBE_STALL, 0);
    in(t, 0x81, 0, 512, -32, 0);
    in(t, 0x81, 0, 512, -32, 0);
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 2, 1, 0, 0x81, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    in(t, 0x81, 0, 512, 0, 512);
}

static void actual_before_stall(struct conform *t)
{
    probe_script(t, 0x81, PROBE_STALL, 1024);
    in(t, 0x81, 0, 4096, -32, 1024);
}

static void short_not_ok(struct conform *t)
{
    probe_script(t, 0x81, PROBE_SHORT, 5);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.transfer_flags = 1;
    front_send(t, &request);
    front_expect(t, request.id, 0, 5);
}

static void unknown_flags(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.transfer_flags = 0xfffe;
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

static void interrupt_waits(struct conform *t)
{
    struct usbif_urb_request request = front_int(t, 0x82, 0, 8);
    front_send(t, &request);
    front_expect_none(t, request.id);
    probe_release(t, 0x82);
    front_expect(t, request.id, 0, 8);
}

static void interrupt_out(struct conform *t)
{
    struct usbif_urb_request request = front_int(t, 0x02, 0, 8);
    front_send(t, &request);
    front_expect(t, request.id, 0, 8);
}

static void endpoints_apart(struct conform *t)
{
    struct usbif_urb_request held = front_int(t, 0x82, 0, 8);
    front_send(t, &held);
    in(t, 0x81, 4096, 512, 0, 512);
    in(t, 0x83, 4096, 512, 0, 512);
    front_expect_none(t, held.id);
    probe_release(t, 0x82);
    front_expect(t, held.id, 0, 8);
}

static void order_of_endpoint(struct conform *t)
{
    struct usbif_urb_request request[8];
    for (unsigned int i = 0; i < 8; i++) {
        request[i] = front_bulk(t, 0x81, i * 4096, 64 + i);
        front_put(front_number(t, 0), &request[i]);
    }
    front_push(front_number(t, 0));
    for (unsigned int i = 0; i < 8; i++) {
        struct usbif_urb_response rsp = front_next(front_number(t, 0));
        conform_equal(t, "rsp.id", request[i].id, rsp.id);
        conform_equal(t, "rsp.actual_length", 64 + i, rsp.actual_length);
    }
}

static void ids_are_opaque(struct conform *t)
{
    static const uint16_t ids[] = {0, 1, 0x7fff, 0x8000, 0xffff};
    for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
        request.id = ids[i];
        front_send(t, &request);
        front_expect(t, ids[i], 0, 64);
    }
}

static void pipe_port_ignored(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.pipe |= 31;
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

static void pipe_bits(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    request.pipe |= 0x3ff80040u;
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
}

static void counts_zero(struct conform *t)
{
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_expect(t, request.id, 0, 64);
    conform_equal(t, "rsp.error_count", 0, rsp.error_count);
    conform_equal(t, "rsp.start_frame", 0, rsp.start_frame);
}

static void rest_of_slot(struct conform *t)
{
    struct front *f = front_number(t, 0);
    uint32_t at = front_word(front_urb_page(f), 8);
    struct usbif_urb_request request = front_bulk(t, 0x81, 0, 64);
    uint8_t before[sizeof(request)];
    memcpy(before, &request, sizeof(before));
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
    conform_bytes(t, "slot behind the response", before + 16, front_slot(f, at) + 16, sizeof(before) - 16);
}

static void many(struct conform *t)
{
    for (uint32_t i = 0; i < 100; i++)
        in(t, 0x81, i, 1 + i, 0, 1 + i);
}

static void ended_grant(struct conform *t)
{
    struct front *f = front_number(t, 0);
    struct xen *xen = front_handle(f);
    grant_ref_t ref;
    front_need_grants(f);
    conform_equal(t, "grant", 0, xen->ops->grant(xen, 0, front_data(f), false, &ref));
    struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, 1));
    front_segment(&request, ref, 0, 64);
    front_send(t, &request);
    front_expect(t, request.id, 0, 64);
    conform_equal(t, "grant_end right after the response", 0, xen->ops->grant_end(xen, ref));
}

#define CASE(id, requirements, title, run) {"backend.transfer." id, requirements, title, run, .needs = "device"}

const struct conform_case backend_transfer_cases[] = {
    CASE("in.one-byte", "segment.layout", "an IN transfer of one byte arrives", in_one_byte),
    CASE("in.page-end", "segment.layout", "the last byte of a page is used", in_last_byte_of_page),
    CASE("in.two-segments", "segment.layout", "IN data goes on in the next segment", in_across_pages),
    CASE("in.byte-each", "segment.layout", "segments of one byte each", in_two_bytes_two_pages),
    CASE("in.page", "segment.layout", "a segment is a whole page", in_one_page),
    CASE("in.61440", "segment.layout", "IN data in 16 segments from an odd offset", in_61440),
    CASE("in.16-segments", "segment.layout", "all 16 segments are used", in_sixteen_odd_segments),
    CASE("in.64k", "segment.full-64k", "65536 bytes in 16 whole pages", in_64k),
    CASE("in.short", "transfer.short segment.beyond-actual", "a short transfer reports what arrived", in_short),
    CASE("in.short.second-page", "transfer.short segment.beyond-actual", "a short transfer ends one byte into a page",
         in_short_second_page),
    CASE("in.short.page-end", "transfer.short segment.beyond-actual", "a short transfer ends with a page",
         in_short_at_page_end),
    CASE("in.nothing", "transfer.zlp segment.beyond-actual", "an empty packet ends a transfer", in_nothing),
    CASE("in.short.many", "transfer.short segment.beyond-actual", "unused segments stay as they are",
         in_short_of_many),
    CASE("out.one-byte", "segment.layout", "an OUT transfer of one byte arrives", out_one_byte),
    CASE("out.two-segments", "segment.layout", "OUT data is read from all segments", out_across_pages),
    CASE("out.64k", "segment.full-64k", "65536 bytes go out", out_64k),
    CASE("out.readonly", "pipe.direction-grant", "OUT data may be granted read-only", out_readonly),
    CASE("out.empty", "segment.zero-length", "an OUT transfer without data reaches the device", out_empty),
    CASE("in.stall", "transfer.stall status.values", "a stall of an IN endpoint is -32", in_stall),
    CASE("out.stall", "transfer.stall status.values", "a stall of an OUT endpoint is -32", out_stall),
    CASE("in.error", "status.device-errors", "an error on the bus is -71, IN", in_error),
    CASE("out.error", "status.device-errors", "an error on the bus is -71, OUT", out_error),
    CASE("in.babble", "status.device-errors", "a babble is -75", in_babble),
    CASE("clear-halt", "transfer.stall control.clear-halt", "a halt lasts until it is cleared", clear_halt),
    CASE("stall.actual", "status.actual-data", "bytes before a stall are counted", actual_before_stall),
    CASE("short-not-ok.status", "flags.short-not-ok.status", "a short transfer is no error on the wire", short_not_ok),
    CASE("flags.unknown", "flags.unknown observed.frontend.raw-pipe", "unknown flags have no effect", unknown_flags),
    CASE("int.waits", "transfer.interval", "an interrupt transfer waits for its data", interrupt_waits),
    CASE("int.out", "transfer.interval", "an interrupt OUT transfer reaches the device", interrupt_out),
    CASE("endpoints", "transfer.endpoints", "an endpoint that waits holds up no other", endpoints_apart),
    CASE("order", "transfer.order transfer.depth", "transfers of an endpoint end in their order", order_of_endpoint),
    CASE("ids", "id.opaque", "every id comes back as it is", ids_are_opaque),
    CASE("pipe.port", "pipe.port.addressed", "the port of an addressed device is not looked at", pipe_port_ignored),
    CASE("pipe.undefined", "pipe.undefined-ignored observed.frontend.raw-pipe",
         "undefined bits of the pipe have no effect", pipe_bits),
    CASE("counts", "status.counts-zero", "error_count and start_frame are zero", counts_zero),
    CASE("slot", "ring.response.size", "a response is 16 bytes, the rest of its slot stays", rest_of_slot),
    CASE("many", "ring.response.slot status.one-response", "slots are used again and again", many),
    CASE("grant.ended", "segment.unmap-first", "nothing is mapped when the response is there", ended_grant),
    {0},
};
