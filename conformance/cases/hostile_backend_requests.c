// SPDX-License-Identifier: MIT
/* Requests that no driver should send: each is answered once, as the rules say, and the connector goes on. */
#include <string.h>

#include "../front.h"
#include "backend_groups.h"

enum grant { RW, RO, UNKNOWN };

struct row {
    uint32_t pipe;
    uint16_t segs; /* as it is written, more than 16 too */
    struct {
        uint16_t offset, length;
    } seg[2];
    enum grant grant;
    uint16_t buffer_length;
    uint8_t u[8];
    int32_t status; /* or REFUSED */
};

#define REFUSED 1 /* any error: the contract recommends one, and known backends have others */

#define IN       FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, 1)
#define OUT      FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 1, 0)
#define CTRL_IN  FRONT_PIPE(FRONT_CTRL, CONFORM_ADDRESS, 0, 1)
#define CTRL_OUT FRONT_PIPE(FRONT_CTRL, CONFORM_ADDRESS, 0, 0)
#define ISO_IN   FRONT_PIPE(FRONT_ISO, CONFORM_ADDRESS, 4, 1)
#define ZERO(in) FRONT_PIPE(FRONT_CTRL, 0, 0, in)
#define GET_18   {0x80, 6, 0, 1, 0, 0, 18, 0}
/* u.isoc: interval, start_frame, number_of_packets, nr_frame_desc_segs */
#define ISO(n, segs) {1, 0, 0, 0, (uint8_t)(n), (uint8_t)((n) >> 8), (uint8_t)(segs), (uint8_t)((segs) >> 8)}

static bool is_error(int32_t status)
{
    static const int32_t errors[] = {-19, -22, -32, -71, -75, -108};
    for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (status == errors[i])
            return true;
    return false;
}

static void check(struct conform *t, const struct row *row)
{
    struct front *f = front_number(t, 0);
    struct usbif_urb_request request = front_request(t, row->pipe);
    request.nr_buffer_segs = row->segs;
    request.buffer_length = row->buffer_length;
    memcpy(request.u.ctrl, row->u, 8);
    for (unsigned int i = 0; i < USBIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        grant_ref_t ref = row->grant == UNKNOWN ? 8000 : front_ref(f, i, row->grant == RO);
        request.seg[i] = (struct usbif_request_segment){.gref = ref};
    }
    for (unsigned int i = 0; i < 2; i++) {
        request.seg[i].offset = row->seg[i].offset;
        request.seg[i].length = row->seg[i].length;
    }
    front_send(t, &request);
    struct usbif_urb_response rsp = front_response(f, request.id);
    if (row->status != REFUSED)
        conform_equal(t, "rsp.status", row->status, rsp.status);
    else if (!is_error(rsp.status))
        conform_fail(t, "rsp.status: expected an error of usbif.h, actual %d", rsp.status);
    conform_equal(t, "rsp.actual_length", 0, rsp.actual_length);
    if (row->status == REFUSED) {
        struct probe_entry log[1];
        conform_equal(t, "transfers at the device", 0, probe_log(t, log, 1));
    }
    front_check_works(t);
}

/* name, id, requirement, title, the row */
#define ROWS(X)                                                                                              \
    X(segs_17, "segs-17", "segment.count", "17 segments",                                                    \
      {IN, 17, .status = REFUSED})                                                                             \
    X(segs_65535, "segs-65535", "segment.count", "65535 segments",                                           \
      {IN, 65535, .status = REFUSED})                                                                          \
    X(segs_control, "segs-control", "segment.count", "17 segments of a control request",                     \
      {CTRL_IN, 17, .u = GET_18, .status = REFUSED})                                                           \
    X(out_without_segs, "out-without-segs", "segment.length-mismatch", "OUT data without segments",          \
      {OUT, 0, .buffer_length = 64, .status = -22})                                                          \
    X(in_without_segs, "in-without-segs", "segment.length-mismatch", "IN data without segments",             \
      {IN, 0, .buffer_length = 64, .status = -22})                                                           \
    X(control_out_long, "control-out-long", "control.out-too-long", "a control OUT whose data is missing",   \
      {CTRL_OUT, 0, .u = {0x21, 6, 0, 0, 0, 0, 8}, .status = REFUSED})                                         \
    X(control_out_short, "control-out-short", "control.out-too-long", "a control OUT with one byte too few", \
      {CTRL_OUT, 1, {{0, 7}}, .buffer_length = 7, .u = {0x40, 6, 0, 0, 0, 0, 8}, .status = REFUSED})           \
    X(sum_more, "sum-more", "segment.length-mismatch", "segments longer than buffer_length, OUT",            \
      {OUT, 1, {{0, 4096}}, .buffer_length = 8, .status = -22})                                              \
    X(sum_one_more, "sum-one-more", "segment.length-mismatch",                                               \
      "segments one byte longer than buffer_length",                                                         \
      {IN, 1, {{0, 65}}, .buffer_length = 64, .status = -22})                                                \
    X(sum_less, "sum-less", "segment.length-mismatch", "segments shorter than buffer_length, OUT",           \
      {OUT, 1, {{0, 8}}, .buffer_length = 4096, .status = -22})                                              \
    X(sum_one_less, "sum-one-less", "segment.length-mismatch",                                               \
      "segments one byte shorter than buffer_length",                                                        \
      {IN, 1, {{0, 8}}, .buffer_length = 9, .status = -22})                                                  \
    X(crosses, "crosses", "segment.page-cross", "a segment that leaves its page",                            \
      {IN, 1, {{4000, 200}}, .buffer_length = 200, .status = REFUSED})                                         \
    X(crosses_by_one, "crosses-by-one", "segment.page-cross", "a segment that leaves its page by a byte",    \
      {IN, 1, {{4000, 97}}, .buffer_length = 97, .status = REFUSED})                                           \
    X(second_crosses, "second-crosses", "segment.page-cross", "a second segment that leaves its page",       \
      {IN, 2, {{0, 8}, {4095, 2}}, .buffer_length = 10, .status = REFUSED})                                    \
    X(all_ones, "all-ones", "segment.page-cross", "offset and length of all ones",                           \
      {IN, 1, {{65535, 65535}}, .buffer_length = 65535, .status = REFUSED})                                    \
    X(grant_unknown_in, "grant-unknown-in", "segment.grant-bad", "a grant reference that is not in use, IN", \
      {IN, 1, {{0, 8}}, UNKNOWN, 8, .status = -108})                                                         \
    X(grant_unknown_out, "grant-unknown-out", "segment.grant-bad",                                           \
      "grant references that are not in use, OUT",                                                           \
      {OUT, 2, {{0, 8}, {0, 8}}, UNKNOWN, 16, .status = -108})                                               \
    X(grant_readonly, "grant-readonly", "segment.grant-bad pipe.direction-grant",                            \
      "IN data into a read-only grant",                                                                      \
      {IN, 1, {{0, 8}}, RO, 8, .status = -108})                                                              \
    X(iso_segs_17, "iso-segs-17", "iso.segments", "17 segments, two of them descriptors",                    \
      {ISO_IN, 15, .u = ISO(1, 2), .status = REFUSED})                                                         \
    X(iso_segs_wrap, "iso-segs-wrap", "iso.segments", "65535 segments of descriptors",                       \
      {ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .u = ISO(1, 65535), .status = REFUSED})                        \
    X(iso_packets_65535, "iso-packets-65535", "iso.packets", "65535 packets",                                \
      {ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .u = ISO(65535, 1), .status = REFUSED})                        \
    X(iso_packets_0, "iso-packets-0", "iso.packets", "no packets",                                           \
      {ISO_IN, 1, {{0, 8}, {0, 16}}, .buffer_length = 8, .u = ISO(0, 1), .status = REFUSED})                   \
    X(iso_packets_257, "iso-packets-257", "iso.packets", "257 packets",                                      \
      {ISO_IN, 1, {{0, 8}, {0, 4096}}, .buffer_length = 8, .u = ISO(257, 1), .status = REFUSED})               \
    X(iso_desc_long, "iso-desc-long", "iso.descriptor", "more room for descriptors than packets",            \
      {ISO_IN, 1, {{0, 8}, {0, 4096}}, .buffer_length = 8, .u = ISO(1, 1), .status = REFUSED})                 \
    X(iso_desc_short, "iso-desc-short", "iso.descriptor", "less room for descriptors than packets",          \
      {ISO_IN, 1, {{0, 8}, {0, 16}}, .buffer_length = 8, .u = ISO(2, 1), .status = REFUSED})                   \
    X(iso_no_desc, "iso-no-desc", "iso.no-descriptors", "data without descriptors",                          \
      {ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .u = ISO(8, 0), .status = REFUSED})                            \
    X(iso_desc_crosses, "iso-desc-crosses", "iso.segments segment.page-cross",                               \
      "descriptors that leave their page",                                                                   \
      {ISO_IN, 1, {{0, 8}, {4090, 16}}, .buffer_length = 8, .u = ISO(1, 1), .status = REFUSED})                \
    X(zero_bulk, "zero-bulk", "control.address-0.allowed", "a bulk request to device 0",                     \
      {FRONT_PIPE(FRONT_BULK, 0, 1, 1) | 1, .status = -19})                                                  \
    X(zero_int, "zero-int", "control.address-0.allowed", "an interrupt request to device 0",                 \
      {FRONT_PIPE(FRONT_INT, 0, 1, 1) | 1, .status = -19})                                                   \
    X(zero_iso, "zero-iso", "control.address-0.allowed", "an isochronous request to device 0",               \
      {FRONT_PIPE(FRONT_ISO, 0, 1, 1) | 1, .status = -19})                                                   \
    X(port_0, "port-0", "control.address-0.empty-port", "device 0 at port 0",                                  \
      {ZERO(1), .u = GET_18, .status = -19})                                                                 \
    X(port_5, "port-5", "control.address-0.empty-port", "device 0 at a port beyond the last",                  \
      {ZERO(1) | 5, .u = GET_18, .status = -19})                                                             \
    X(port_31, "port-31", "control.address-0.empty-port", "device 0 at port 31",                               \
      {ZERO(1) | 31, .u = GET_18, .status = -19})                                                            \
    X(empty_port, "empty-port", "control.address-0.empty-port", "device 0 at an empty port",                 \
      {ZERO(1) | 2, .u = GET_18, .status = -19})                                                             \
    X(empty_port_address, "empty-port-address", "control.address-0.empty-port",                              \
      "SET_ADDRESS at an empty port",                                                                        \
      {ZERO(0) | 2, .u = {0, 5, 9}, .status = -19})                                                          \
    X(zero_set_configuration, "zero-set-configuration", "control.address-0.allowed",                         \
      "SET_CONFIGURATION to device 0",                                                                       \
      {ZERO(0) | 1, .u = {0, 9, 1}, .status = -22})                                                          \
    X(zero_get_status, "zero-get-status", "control.address-0.allowed", "GET_STATUS to device 0",             \
      {ZERO(1) | 1, .u = {0x80}, .status = -22})                                                             \
    X(zero_vendor, "zero-vendor", "control.address-0.allowed", "a vendor request to device 0",               \
      {ZERO(1) | 1, .u = {0xc0, 5}, .status = -22})                                                          \
    X(address_128, "address-128", "control.set-address.range", "address 128",                                \
      {ZERO(0) | 1, .u = {0, 5, 128}, .status = REFUSED})                                                      \
    X(address_256, "address-256", "control.set-address.range", "address 256",                                \
      {ZERO(0) | 1, .u = {0, 5, 0, 1}, .status = REFUSED})                                                     \
    X(address_65535, "address-65535", "control.set-address.range", "address 65535",                          \
      {ZERO(0) | 1, .u = {0, 5, 0xff, 0xff}, .status = REFUSED})                                               \
    X(address_128_moved, "address-128-moved", "control.set-address.range",                                   \
      "address 128 for a device that has one",                                                               \
      {CTRL_OUT, .u = {0, 5, 128}, .status = REFUSED})                                                         \
    X(nobody, "nobody", "address.unmapped", "a control request to an address of nobody",                     \
      {FRONT_PIPE(FRONT_CTRL, 77, 0, 1), .u = GET_18, .status = -19})                                        \
    X(nobody_bulk, "nobody-bulk", "address.unmapped", "a bulk request to an address of nobody",              \
      {FRONT_PIPE(FRONT_BULK, 127, 1, 1), .status = -19})                                                    \
    X(in_pipe_out_setup, "in-pipe-out-setup", "control.direction-mismatch",                                  \
      "an OUT setup packet in an IN pipe",                                                                   \
      {CTRL_IN, 1, {{0, 8}}, .buffer_length = 8, .u = {0x40, 6, 0, 0, 0, 0, 8}, .status = -22})              \
    X(out_pipe_in_setup, "out-pipe-in-setup", "control.direction-mismatch",                                  \
      "an IN setup packet in an OUT pipe",                                                                   \
      {CTRL_OUT, 1, {{0, 18}}, .buffer_length = 18, .u = GET_18, .status = -22})                             \
    X(setup_zero, "setup-zero", "control.setup-zero", "a setup packet of zeros to device 0",                 \
      {ZERO(0) | 1, .status = -22})                                                                          \
    X(endpoint_unknown, "endpoint-unknown", "pipe.endpoint-unknown", "an endpoint that the device has not",  \
      {FRONT_PIPE(FRONT_BULK, CONFORM_ADDRESS, 9, 1), .status = -32})

#define RUN(name, id, requirement, title, ...)         \
    static void name(struct conform *t)                \
    {                                                  \
        static const struct row row = __VA_ARGS__;     \
        check(t, &row);                                \
    }
ROWS(RUN)

#define ENTRY(name, id, requirement, title, ...) \
    {"hostile.backend.request." id, requirement, title, name, .needs = "device"},

const struct conform_case hostile_backend_request_cases[] = {ROWS(ENTRY){0}};
