// SPDX-License-Identifier: MIT
/* Isochronous transfers: packets, their descriptors in the guest's memory, and the bounds of both. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

#define DESCRIPTORS ((FRONT_PAGES - 1) * 4096u) /* where front_iso() has them */
#define PACKET      192u                        /* of the probe device */
#define CANARY      0xee

struct desc {
    uint32_t offset, length, actual_length;
    int32_t status;
};

static struct desc desc_at(struct conform *t, uint32_t at, unsigned int i)
{
    struct desc desc;
    memcpy(&desc, front_data(front_number(t, 0)) + at + i * sizeof(desc), sizeof(desc));
    return desc;
}

static void set_desc(struct conform *t, unsigned int i, uint32_t offset, uint32_t length)
{
    const struct desc desc = {offset, length, 0x5555, 0x5555};
    memcpy(front_data(front_number(t, 0)) + DESCRIPTORS + i * sizeof(desc), &desc, sizeof(desc));
}

/* Only alternate 1 has isochronous endpoints. */
static void begin(struct conform *t)
{
    struct usbif_urb_request request = front_control(t, CONFORM_ADDRESS, 1, 11, 1, 0, 0, 0);
    front_send(t, &request);
    front_expect(t, request.id, 0, 0);
    probe_clear(t);
    memset(front_data(front_number(t, 0)), CANARY, FRONT_PAGES * 4096u);
}

static void check_desc(struct conform *t, uint32_t at, unsigned int i, uint32_t offset, uint32_t length,
                       uint32_t actual, int32_t status)
{
    struct desc desc = desc_at(t, at, i);
    conform_equal(t, "descriptor.offset", offset, desc.offset);
    conform_equal(t, "descriptor.length", length, desc.length);
    conform_equal(t, "descriptor.actual_length", actual, desc.actual_length);
    conform_equal(t, "descriptor.status", status, desc.status);
}

static void in(struct conform *t, unsigned int packets, uint32_t size)
{
    static uint8_t expected[65536];
    begin(t);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, packets, size);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_expect(t, request.id, 0, (int32_t)(packets * size));
    conform_equal(t, "rsp.error_count", 0, rsp.error_count);
    for (unsigned int i = 0; i < packets; i++)
        check_desc(t, DESCRIPTORS, i, i * size, size, size, 0);
    probe_pattern(0x84, 0, expected, packets * size);
    conform_bytes(t, "IN data", expected, front_data(front_number(t, 0)), packets * size);
    conform_equal(t, "byte behind the data", CANARY, front_data(front_number(t, 0))[packets * size]);
    if (packets < 256)
        conform_equal(t, "byte behind the descriptors", CANARY,
                      front_data(front_number(t, 0))[DESCRIPTORS + packets * 16]);
}

static void in_1(struct conform *t)
{
    in(t, 1, 64);
}

static void in_8(struct conform *t)
{
    in(t, 8, PACKET);
}

static void in_255(struct conform *t)
{
    in(t, 255, 100);
}

static void in_256(struct conform *t)
{
    in(t, 256, PACKET);
}

/* The descriptors begin anywhere, and one may lie across two pages. */
static void split_at(struct conform *t, uint32_t at)
{
    struct front *f = front_number(t, 0);
    begin(t);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 8, 64);
    memcpy(front_data(f) + at, front_data(f) + DESCRIPTORS, 8 * sizeof(struct desc));
    struct usbif_urb_request descs = front_request(t, 0);
    front_buffer(f, &descs, at, 8 * sizeof(struct desc));
    memcpy(&request.seg[request.nr_buffer_segs], descs.seg, descs.nr_buffer_segs * sizeof(descs.seg[0]));
    request.u.isoc.nr_frame_desc_segs = descs.nr_buffer_segs;
    front_send(t, &request);
    front_expect(t, request.id, 0, 512);
    for (unsigned int i = 0; i < 8; i++)
        check_desc(t, at, i, i * 64, 64, 64, 0);
    conform_equal(t, "byte before the descriptors", CANARY, front_data(f)[at - 1]);
    conform_equal(t, "byte behind the descriptors", CANARY, front_data(f)[at + 8 * sizeof(struct desc)]);
}

static void descs_odd(struct conform *t)
{
    split_at(t, 4 * 4096 + 101);
}

static void descs_split(struct conform *t)
{
    split_at(t, 5 * 4096 - 1);
}

static void descs_split_between(struct conform *t)
{
    split_at(t, 5 * 4096 - 16);
}

static void out(struct conform *t, bool readonly)
{
    struct front *f = front_number(t, 0);
    struct probe_entry log = {0};
    uint32_t sum = 0;
    begin(t);
    struct usbif_urb_request request = front_iso(t, 0x04, 0, 3, 100);
    if (readonly)
        request.seg[0].gref = front_ref(f, 0, true);
    for (uint32_t i = 0; i < 300; i++)
        front_data(f)[i] = (uint8_t)(i * 3 + 1);
    for (uint32_t i = 0; i < 300; i++)
        sum += (i + 1) * front_data(f)[i];
    front_send(t, &request);
    front_expect(t, request.id, 0, 300);
    for (unsigned int i = 0; i < 3; i++)
        check_desc(t, DESCRIPTORS, i, i * 100, 100, 100, 0);
    conform_equal(t, "transfers at the device", 1, probe_log(t, &log, 1));
    conform_equal(t, "endpoint at the device", 0x04, log.endpoint);
    conform_equal(t, "type at the device", FRONT_ISO, log.type);
    conform_equal(t, "actual at the device", 300, log.actual);
    conform_equal(t, "sum of the bytes at the device", sum, log.sum);
}

static void out_rw(struct conform *t)
{
    out(t, false);
}

static void out_readonly(struct conform *t)
{
    out(t, true);
}

static void short_packet(struct conform *t)
{
    begin(t);
    probe_script(t, 0x84, PROBE_SHORT, 10);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 3, 64);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
    conform_equal(t, "rsp.status", 0, rsp.status);
    conform_equal(t, "rsp.actual_length", 138, rsp.actual_length);
    check_desc(t, DESCRIPTORS, 0, 0, 64, 10, 0);
    check_desc(t, DESCRIPTORS, 1, 64, 64, 64, 0);
    check_desc(t, DESCRIPTORS, 2, 128, 64, 64, 0);
}

static void failed_packet(struct conform *t)
{
    begin(t);
    probe_script(t, 0x84, PROBE_ERROR, 0);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 3, 64);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_expect(t, request.id, 0, 128);
    conform_equal(t, "rsp.error_count", 1, rsp.error_count);
    conform_true(t, desc_at(t, DESCRIPTORS, 0).status < 0, "the descriptor of the failed packet has an error");
    conform_equal(t, "descriptor.actual_length of the failed packet", 0, desc_at(t, DESCRIPTORS, 0).actual_length);
    check_desc(t, DESCRIPTORS, 1, 64, 64, 64, 0);
}

static void start_frame(struct conform *t)
{
    begin(t);
    conform_pass(t, 20000000); /* so that frame 0 is over */
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 8, 64);
    front_send(t, &request);
    struct usbif_urb_response rsp = front_expect(t, request.id, 0, 512);
    conform_true(t, rsp.start_frame > 0, "start_frame is that of the transfer");
}

static void empty(struct conform *t)
{
    static const uint16_t numbers[] = {0, 1, 8, 257, 65535};
    begin(t);
    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct usbif_urb_request request = front_request(t, FRONT_PIPE(FRONT_ISO, CONFORM_ADDRESS, 4, 1));
        request.u.isoc.number_of_packets = numbers[i];
        request.u.isoc.nr_frame_desc_segs = 0;
        front_send(t, &request);
        struct usbif_urb_response rsp = front_response(front_number(t, 0), request.id);
        conform_true(t, rsp.status != -22, "a transfer without data is not refused for its number of packets");
        conform_equal(t, "rsp.actual_length", 0, rsp.actual_length);
    }
}

/* ---- bounds: refused, nothing moved ---- */

static void refused(struct conform *t, const struct usbif_urb_request *request, int32_t status)
{
    front_send(t, request);
    front_expect(t, request->id, status, 0);
    for (unsigned int i = 0; i < 4096; i++)
        conform_equal(t, "byte of the buffer", CANARY, front_data(front_number(t, 0))[i]);
    front_check_works(t);
}

static void bounds(struct conform *t, unsigned int packet, uint32_t offset, uint32_t length)
{
    begin(t);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 8, 64);
    set_desc(t, packet, offset, length);
    refused(t, &request, -22);
}

#define BOUNDS(name, packet, offset, length)                                                                   \
    static void name(struct conform *t)                                                                        \
    {                                                                                                          \
        bounds(t, packet, offset, length);                                                                     \
    }

BOUNDS(beyond_by_one, 7, 448, 65)
BOUNDS(first_beyond, 0, 449, 64)
BOUNDS(offset_beyond, 3, 513, 0)
BOUNDS(offset_far, 3, 0xffffffffu, 1)
BOUNDS(length_far, 3, 0, 0xffffffffu)
BOUNDS(sum_wraps, 3, 0xffffffc0u, 64)
BOUNDS(both_half, 3, 0x80000000u, 0x80000000u)
BOUNDS(page_further, 7, 4096, 64)

static void at_the_end(struct conform *t)
{
    begin(t);
    struct usbif_urb_request request = front_iso(t, 0x84, 0, 2, 64);
    set_desc(t, 0, 0, 127);
    set_desc(t, 1, 127, 1);
    front_send(t, &request);
    front_expect(t, request.id, 0, 128);
    check_desc(t, DESCRIPTORS, 1, 127, 1, 1, 0);
}

static void desc_grant(struct conform *t, uint8_t endpoint, bool readonly)
{
    begin(t);
    struct usbif_urb_request request = front_iso(t, endpoint, 0, 3, 100);
    request.seg[1].gref = readonly ? front_ref(front_number(t, 0), FRONT_PAGES - 1, true) : 8000;
    refused(t, &request, -108);
}

static void descs_readonly_in(struct conform *t)
{
    desc_grant(t, 0x84, true);
}

static void descs_readonly_out(struct conform *t)
{
    desc_grant(t, 0x04, true);
}

static void descs_unknown(struct conform *t)
{
    desc_grant(t, 0x84, false);
}

#define CASE(id, requirements, title, run) {id, requirements, title, run, .needs = "device iso"}

const struct conform_case backend_iso_cases[] = {
    CASE("backend.iso.in.1", "iso.descriptor iso.answered", "a packet arrives, and how it ended", in_1),
    CASE("backend.iso.in.8", "iso.descriptor iso.answered", "eight packets, each in its place", in_8),
    CASE("backend.iso.in.255", "iso.packets iso.descriptor", "255 packets of an odd size", in_255),
    CASE("backend.iso.in.256", "iso.packets iso.descriptor", "256 packets, the most there can be", in_256),
    CASE("backend.iso.in.short", "iso.status", "a short packet leaves room in its place", short_packet),
    CASE("backend.iso.in.error", "iso.status", "a failed packet is counted and fails no other", failed_packet),
    CASE("backend.iso.start-frame", "iso.start-frame", "the response says when it began", start_frame),
    CASE("backend.iso.out", "iso.descriptor iso.answered", "three packets go out", out_rw),
    CASE("backend.iso.out.readonly", "pipe.direction-grant iso.descriptor", "OUT data may be read-only", out_readonly),
    CASE("backend.iso.empty", "iso.empty", "without data the number of packets is not looked at", empty),
    CASE("backend.iso.descriptors.odd", "iso.descriptor", "descriptors begin anywhere in a page", descs_odd),
    CASE("backend.iso.descriptors.split", "iso.descriptor", "a descriptor lies in two pages", descs_split),
    CASE("backend.iso.descriptors.two-pages", "iso.descriptor", "descriptors go on in another page",
         descs_split_between),
    CASE("backend.iso.packet.ends-with-data", "iso.bounds", "a packet may end where the data end", at_the_end),
    CASE("hostile.backend.iso.packet.one-beyond", "iso.bounds", "a packet ends a byte behind the data", beyond_by_one),
    CASE("hostile.backend.iso.packet.first", "iso.bounds", "the first packet ends behind the data", first_beyond),
    CASE("hostile.backend.iso.packet.empty-beyond", "iso.bounds", "an empty packet lies behind the data",
         offset_beyond),
    CASE("hostile.backend.iso.packet.offset-far", "iso.bounds", "a packet's offset of all ones", offset_far),
    CASE("hostile.backend.iso.packet.length-far", "iso.bounds", "a packet's length of all ones", length_far),
    CASE("hostile.backend.iso.packet.wraps", "iso.bounds", "offset and length make 0 in 32 bits", sum_wraps),
    CASE("hostile.backend.iso.packet.halves", "iso.bounds", "offset and length of half of all numbers", both_half),
    CASE("hostile.backend.iso.packet.next-page", "iso.bounds", "a packet in the page behind the data", page_further),
    CASE("hostile.backend.iso.descriptors.readonly-in", "iso.descriptor segment.grant-bad",
         "read-only descriptors of an IN transfer", descs_readonly_in),
    CASE("hostile.backend.iso.descriptors.readonly-out", "iso.descriptor segment.grant-bad",
         "read-only descriptors of an OUT transfer", descs_readonly_out),
    CASE("hostile.backend.iso.descriptors.unknown", "segment.grant-bad", "descriptors in no grant", descs_unknown),
    {0},
};
