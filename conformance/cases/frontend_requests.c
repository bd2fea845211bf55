// SPDX-License-Identifier: MIT
/* How a frontend writes requests: sections pipe, segments, control, isochronous and unlink of the contract.
 */
#include "frontend_groups.h"
#include "frontend_support.h"

/* ---- the pipe word ---- */

static void pipe_word(struct conform *t, struct guest_urb urb, uint32_t expected)
{
    struct usbif_urb_request request = submit_take(t, urb, NULL);
    conform_equal(t, "req.pipe", expected, request.pipe);
}

static struct guest_urb at(uint8_t device, uint8_t endpoint, bool in)
{
    struct guest_urb urb = make_urb(URB_BULK, endpoint, in, 64);
    urb.device = device;
    return urb;
}

#define PIPES(X)                                                                                             \
    X(pipe_control_in, "frontend.pipe.control-in", "a control IN URB has type 2 and the direction bit",      \
      make_control(), 0x80000581)                                                                            \
    X(pipe_bulk_in, "frontend.pipe.bulk-in", "a bulk IN URB has type 3 and the direction bit",               \
      make_urb(URB_BULK, 1, true, 64), 0xc0008581)                                                           \
    X(pipe_bulk_out, "frontend.pipe.bulk-out", "a bulk OUT URB has type 3 and no direction bit",             \
      make_urb(URB_BULK, 1, false, 64), 0xc0008501)                                                          \
    X(pipe_int_in, "frontend.pipe.int-in", "an interrupt IN URB has type 1 and the direction bit",           \
      make_urb(URB_INT, 3, true, 8), 0x40018581)                                                             \
    X(pipe_int_out, "frontend.pipe.int-out", "an interrupt OUT URB has type 1 and no direction bit",         \
      make_urb(URB_INT, 3, false, 8), 0x40018501)                                                            \
    X(pipe_iso_in, "frontend.pipe.iso-in", "an isochronous IN URB has type 0 and the direction bit",         \
      make_iso(true, 2, 64), 0x00008581)                                                                     \
    X(pipe_iso_out, "frontend.pipe.iso-out", "an isochronous OUT URB has type 0 and no direction bit",       \
      make_iso(false, 2, 64), 0x00008501)                                                                    \
    X(pipe_address_0, "frontend.pipe.address-0", "device address 0 is sent as 0", at(0, 1, true),            \
      0xc0008081)                                                                                            \
    X(pipe_address_127, "frontend.pipe.address-127", "device address 127 is sent whole", at(127, 1, true),   \
      0xc000ff81)                                                                                            \
    X(pipe_endpoint_15, "frontend.pipe.endpoint-15", "endpoint 15 is sent whole", at(5, 15, false),          \
      0xc0078501)                                                                                            \
    X(pipe_endpoint_8, "frontend.pipe.endpoint-8", "endpoint 8 is sent whole", at(64, 8, true), 0xc0044081)

#define PIPE_RUN(name, id, title, urb, pipe)                                                                 \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        pipe_word(t, urb, pipe);                                                                             \
    }
#define PIPE_ROW(name, id, title, urb, pipe) GUEST_CASE(id, "pipe.layout pipe.undefined-zero", title, name),
PIPES(PIPE_RUN)

static void pipe_port(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 64);
    urb.port = 31;
    pipe_word(t, urb, 0xc000859f);
}

/* ---- fixed fields ---- */

static void control_setup(struct conform *t)
{
    static const uint8_t setup[8] = {0x80, 6, 0x34, 0x12, 0x78, 0x56, 18, 0};
    struct guest_urb urb = make_control();
    memcpy(urb.setup, setup, sizeof(setup));
    struct usbif_urb_request request = submit_take(t, urb, NULL);
    conform_bytes(t, "req.u.ctrl", setup, request.u.ctrl, sizeof(setup));
}

static void control_no_data(struct conform *t)
{
    static const uint8_t setup[8] = {0, 5, 7, 0, 0, 0, 0, 0};
    struct guest_urb urb = make_urb(URB_CTRL, 0, false, 0);
    memcpy(urb.setup, setup, sizeof(setup));
    struct usbif_urb_request request = submit_take(t, urb, NULL);
    conform_bytes(t, "req.u.ctrl", setup, request.u.ctrl, sizeof(setup));
    conform_equal(t, "req.nr_buffer_segs", 0, request.nr_buffer_segs);
    conform_equal(t, "req.buffer_length", 0, request.buffer_length);
}

static void int_interval(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_INT, 3, true, 8);
    urb.interval = 0x1234;
    conform_equal(t, "req.u.intr.interval", 0x1234, submit_take(t, urb, NULL).u.intr.interval);
}

static void flag_short_not_ok(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 64);
    urb.short_not_ok = true;
    conform_equal(t, "req.transfer_flags", USBIF_SHORT_NOT_OK, submit_take(t, urb, NULL).transfer_flags);
}

static void flag_none(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 64);
    conform_equal(t, "req.transfer_flags", 0, submit_take(t, urb, NULL).transfer_flags);
}

static void ids_differ(struct conform *t)
{
    uint16_t id[8];
    for (unsigned int i = 0; i < 8; i++) {
        id[i] = submit_take(t, make_urb(URB_BULK, (uint8_t)(1 + i), true, 64), NULL).id;
        for (unsigned int j = 0; j < i; j++)
            conform_true(t, id[i] != id[j], "req.id differs from that of every request in flight");
    }
}

/* Whatever numbers a frontend takes: of six URBs and their unlinks no two are alike. */
static void ids_of_unlinks(struct conform *t)
{
    uint16_t id[12];
    int urb[6];
    for (unsigned int i = 0; i < 6; i++)
        id[i] = submit_take(t, make_urb(URB_BULK, (uint8_t)(1 + i), true, 64), &urb[i]).id;
    for (unsigned int i = 0; i < 6; i++) {
        conform_equal(t, "unlink", 0, guest_unlink(t, urb[i], -ENOENT));
        id[6 + i] = back_take(t).id;
    }
    for (unsigned int i = 0; i < 12; i++)
        for (unsigned int k = 0; k < i; k++)
            conform_true(t, id[i] != id[k], "requests without a response have ids of their own");
}

/* ---- segments ---- */

static void segments(struct conform *t, uint32_t offset, uint32_t length, unsigned int expected)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, length);
    urb.offset = offset;
    struct usbif_urb_request request = submit_take(t, urb, NULL);
    uint32_t sum = 0;
    conform_equal(t, "req.nr_buffer_segs", expected, request.nr_buffer_segs);
    conform_equal(t, "req.buffer_length", length, request.buffer_length);
    for (unsigned int i = 0; i < expected; i++) {
        if (i > 0)
            conform_equal(t, "seg.offset after the first", 0, request.seg[i].offset);
        else
            conform_equal(t, "seg[0].offset", offset % 4096, request.seg[i].offset);
        conform_true(t, request.seg[i].offset + request.seg[i].length <= 4096, "a segment stays in its page");
        sum += request.seg[i].length;
    }
    conform_equal(t, "sum of seg.length", length, sum);
}

#define SEGMENTS(X)                                                                                          \
    X(seg_empty, "frontend.segments.empty", "an URB of no bytes has no segment", 0, 0, 0)                    \
    X(seg_byte, "frontend.segments.one-byte", "one byte is one segment", 0, 1, 1)                            \
    X(seg_last_byte, "frontend.segments.last-byte", "the last byte of a page is one segment at 4095", 4095,  \
      1, 1)                                                                                                  \
    X(seg_cross, "frontend.segments.cross", "two bytes over a page's end are two segments", 4095, 2, 2)      \
    X(seg_page, "frontend.segments.page", "a whole page is one segment of 4096", 0, 4096, 1)                 \
    X(seg_page_off, "frontend.segments.page-at-1", "a page's length at offset 1 is two segments", 1, 4096,   \
      2)                                                                                                     \
    X(seg_over, "frontend.segments.page-and-one", "a page and a byte are two segments", 0, 4097, 2)          \
    X(seg_odd, "frontend.segments.odd", "5000 bytes at 100 are two segments", 100, 5000, 2)                  \
    X(seg_15, "frontend.segments.fifteen", "15 pages are 15 segments", 0, 61440, 15)                         \
    X(seg_16, "frontend.segments.sixteen", "65535 bytes are 16 segments", 0, 65535, 16)

#define SEG_RUN(name, id, title, offset, length, count)                                                      \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        segments(t, offset, length, count);                                                                  \
    }
#define SEG_ROW(name, id, title, offset, length, count)                                                      \
    GUEST_CASE(id, "segment.layout", title, name),
SEGMENTS(SEG_RUN)

static void seg_too_many(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 65535);
    urb.offset = 4000; /* 17 pages */
    conform_true(t, guest_submit(t, &urb) < 0, "an URB of 17 pages is refused");
    back_expect_no_request(t);
}

static void seg_too_long(struct conform *t)
{
    struct guest_urb urb = make_urb(URB_BULK, 1, true, 65537);
    conform_true(t, guest_submit(t, &urb) < 0, "an URB of 65537 bytes is refused");
    back_expect_no_request(t);
}

/* ---- grants and data ---- */

static void grant_out(struct conform *t)
{
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, false, 64), NULL);
    conform_equal(t, "map of an OUT page for writing", -EACCES, back_hold(t, &request, 0, 1, true, &page));
    conform_equal(t, "map of an OUT page for reading", 0, back_hold(t, &request, 0, 1, false, &page));
}

static void grant_in(struct conform *t)
{
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), NULL);
    conform_equal(t, "map of an IN page for writing", 0, back_hold(t, &request, 0, 1, true, &page));
}

static void grant_ended(struct conform *t)
{
    int urb;
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_urb(URB_BULK, 1, true, 64), &urb);
    back_respond(t, request.id, 0, 64);
    guest_expect(t, urb, 0, 64);
    conform_true(t, back_hold(t, &request, 0, 1, false, &page) < 0, "the grant has ended with the response");
}

static void fill(uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + 1);
}

static void data_out(struct conform *t)
{
    uint8_t sent[5000];
    uint8_t got[5000];
    struct guest_urb urb = make_urb(URB_BULK, 1, false, sizeof(sent));
    urb.offset = 100;
    fill(sent, sizeof(sent));
    guest_write(t, 100, sent, sizeof(sent));
    struct usbif_urb_request request = submit_take(t, urb, NULL);
    conform_equal(t, "bytes in the segments", sizeof(got), back_copy_out(t, &request, got, sizeof(got)));
    conform_bytes(t, "data", sent, got, sizeof(got));
}

static void data_in(struct conform *t)
{
    uint8_t sent[5000];
    uint8_t got[5002];
    int number;
    struct guest_urb urb = make_urb(URB_BULK, 1, true, sizeof(sent));
    urb.offset = 100;
    fill(sent, sizeof(sent));
    struct usbif_urb_request request = submit_take(t, urb, &number);
    back_copy_in(t, &request, sent, sizeof(sent));
    back_respond(t, request.id, 0, sizeof(sent));
    guest_expect(t, number, 0, sizeof(sent));
    guest_read(t, 99, got, sizeof(got));
    conform_bytes(t, "data", sent, got + 1, sizeof(sent));
    conform_equal(t, "byte before the data", 0, got[0]);
    conform_equal(t, "byte after the data", 0, got[5001]);
}

/* ---- isochronous ---- */

static void iso_fields(struct conform *t)
{
    struct usbif_urb_request request = submit_take(t, make_iso(true, 8, 192), NULL);
    conform_equal(t, "req.u.isoc.interval", 8, request.u.isoc.interval);
    conform_equal(t, "req.u.isoc.number_of_packets", 8, request.u.isoc.number_of_packets);
    conform_equal(t, "req.u.isoc.nr_frame_desc_segs", 1, request.u.isoc.nr_frame_desc_segs);
    conform_equal(t, "req.nr_buffer_segs", 1, request.nr_buffer_segs);
    conform_equal(t, "req.buffer_length", 1536, request.buffer_length);
}

static void iso_descriptors(struct conform *t)
{
    uint8_t *page;
    uint32_t word[4];
    struct usbif_urb_request request = submit_take(t, make_iso(false, 8, 192), NULL);
    const struct usbif_request_segment *seg = &request.seg[request.nr_buffer_segs];
    conform_equal(t, "length of the descriptors", 8 * 16, seg->length);
    /* Written by the backend whatever the direction of the data. */
    conform_equal(t, "map of the descriptors for writing", 0,
                  back_hold(t, &request, request.nr_buffer_segs, 1, true, &page));
    for (unsigned int i = 0; i < 8; i++) {
        memcpy(word, page + seg->offset + 16 * i, sizeof(word));
        conform_equal(t, "iso.offset", 192 * i, word[0]);
        conform_equal(t, "iso.length", 192, word[1]);
    }
}

static void iso_most_packets(struct conform *t)
{
    struct usbif_urb_request request = submit_take(t, make_iso(true, 256, 16), NULL);
    conform_equal(t, "req.u.isoc.number_of_packets", 256, request.u.isoc.number_of_packets);
    conform_equal(t, "length of the descriptors", 4096, request.seg[request.nr_buffer_segs].length);
}

static void iso_bounce(struct conform *t)
{
    uint8_t *page;
    struct usbif_urb_request request = submit_take(t, make_iso(true, 2, 64), NULL);
    const struct usbif_request_segment *seg = &request.seg[request.nr_buffer_segs];
    conform_equal(t, "map of the descriptors", 0,
                  back_hold(t, &request, request.nr_buffer_segs, 1, false, &page));
    for (unsigned int i = seg->offset + 32u; i < 4096; i++)
        conform_equal(t, "bytes beside the descriptors", 0, page[i]);
}

/* ---- unlink ---- */

static struct usbif_urb_request unlink_of(struct conform *t, struct guest_urb urb,
                                          struct usbif_urb_request *target)
{
    int number;
    *target = submit_take(t, urb, &number);
    conform_equal(t, "unlink", 0, guest_unlink(t, number, -ECONNRESET));
    return back_take(t);
}

#define UNLINKS(X)                                                                                           \
    X(unlink_control, "frontend.unlink.pipe-control", "control", make_control())                             \
    X(unlink_int, "frontend.unlink.pipe-int", "interrupt", make_urb(URB_INT, 2, true, 8))                    \
    X(unlink_bulk_in, "frontend.unlink.pipe-bulk-in", "bulk IN", make_urb(URB_BULK, 4, true, 64))            \
    X(unlink_bulk_out, "frontend.unlink.pipe-bulk-out", "bulk OUT", make_urb(URB_BULK, 3, false, 64))        \
    X(unlink_iso, "frontend.unlink.pipe-iso", "isochronous", make_iso(true, 2, 64))

#define UNLINK_RUN(name, id, what, urb)                                                                      \
    static void name(struct conform *t)                                                                      \
    {                                                                                                        \
        struct usbif_urb_request target;                                                                     \
        struct usbif_urb_request request = unlink_of(t, urb, &target);                                       \
        conform_equal(t, "req.pipe", target.pipe | 0x20, request.pipe);                                      \
    }
#define UNLINK_ROW(name, id, what, urb)                                                                      \
    GUEST_CASE(id, "urb.unlink.request", "the unlink of a " what " URB has its pipe and bit 5", name),
UNLINKS(UNLINK_RUN)

static void unlink_names_target(struct conform *t)
{
    struct usbif_urb_request target;
    struct usbif_urb_request request = unlink_of(t, make_urb(URB_BULK, 1, true, 64), &target);
    conform_equal(t, "req.u.unlink.unlink_id", target.id, request.u.unlink.unlink_id);
}

static void unlink_own_id(struct conform *t)
{
    struct usbif_urb_request target;
    struct usbif_urb_request request = unlink_of(t, make_urb(URB_BULK, 1, true, 64), &target);
    conform_true(t, request.id != target.id, "req.id of an unlink is not that of its target");
}

static void unlink_no_data(struct conform *t)
{
    struct usbif_urb_request target;
    struct usbif_urb_request request = unlink_of(t, make_urb(URB_BULK, 1, true, 64), &target);
    conform_equal(t, "req.nr_buffer_segs", 0, request.nr_buffer_segs);
    conform_equal(t, "req.buffer_length", 0, request.buffer_length);
}

const struct conform_case cases_frontend_requests[] = {
    PIPES(PIPE_ROW) SEGMENTS(SEG_ROW)
        UNLINKS(UNLINK_ROW){"frontend.pipe.port-31", "pipe.layout pipe.port", "port 31 is sent whole",
                            pipe_port, CONFORM_FRONTEND, CONFORM_READY, 31, 0, "guest"},
    GUEST_CASE("frontend.control.setup", "control.setup", "the setup packet is sent as it is", control_setup),
    GUEST_CASE("frontend.control.no-data", "control.setup", "without data no segment", control_no_data),
    GUEST_CASE("frontend.int.interval", "transfer.interval", "the interval is sent as it is", int_interval),
    GUEST_CASE("frontend.flags.short-not-ok", "flags.short-not-ok.meaning", "the flag is sent",
               flag_short_not_ok),
    GUEST_CASE("frontend.flags.none", "flags.short-not-ok.meaning", "no flag is sent unasked", flag_none),
    GUEST_CASE("frontend.id.differ", "id.unique", "requests in flight have ids of their own", ids_differ),
    GUEST_CASE("frontend.id.unlinks", "id.unique", "nor does an unlink share one", ids_of_unlinks),
    GUEST_CASE("frontend.segments.too-many", "segment.too-many-pages", "more than 16 pages are refused",
               seg_too_many),
    GUEST_CASE("frontend.segments.too-long", "segment.too-many-pages", "more than 16 whole pages are refused",
               seg_too_long),
    GUEST_CASE("frontend.grant.out", "pipe.direction-grant.given", "OUT data is granted read-only", grant_out),
    GUEST_CASE("frontend.grant.in", "pipe.direction-grant.given", "IN data is granted writable", grant_in),
    GUEST_CASE("frontend.grant.ended", "segment.grant-end", "grants end with the response", grant_ended),
    GUEST_CASE("frontend.data.out", "segment.layout", "the segments hold the guest's bytes", data_out),
    GUEST_CASE("frontend.data.in", "segment.neighbours", "the guest gets the bytes, and those around stay",
               data_in),
    GUEST_CASE("frontend.iso.fields", "iso.segments", "interval, packets and segments are right", iso_fields),
    GUEST_CASE("frontend.iso.descriptors", "iso.descriptor", "descriptors follow the data", iso_descriptors),
    GUEST_CASE("frontend.iso.most-packets", "iso.descriptor", "256 packets fill a page", iso_most_packets),
    GUEST_CASE("frontend.iso.bounce", "iso.descriptor.bounce", "nothing but descriptors is in their page",
               iso_bounce),
    GUEST_CASE("frontend.unlink.target", "urb.unlink.request", "unlink_id is the target's id",
               unlink_names_target),
    GUEST_CASE("frontend.unlink.own-id", "urb.unlink.request", "an unlink has an id of its own",
               unlink_own_id),
    GUEST_CASE("frontend.unlink.no-data", "urb.unlink.request", "an unlink has no segment", unlink_no_data),
    {0},
};
