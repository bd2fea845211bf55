// SPDX-License-Identifier: MIT
/* Goal: every row of section 18 that a frontend can send gets its LAB answer, once, and harms nobody. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV LAB_ADDRESS

/* ---- requests that are answered or passed on by themselves ---- */

enum where { REFUSED, TO_DEVICE };
enum gref { RW, RO, UNKNOWN };

struct row {
    const char *id;
    uint32_t pipe;
    uint16_t segs; /* seg[].gref of these are good; more than 16 is written as it is */
    struct {
        uint16_t offset, length;
    } seg[2];
    enum gref gref;
    uint32_t buffer_length;
    uint16_t flags;
    uint8_t setup[8]; /* u of the request */
    enum where where;
    int32_t status; /* REFUSED: the answer */
};

#define BULK_OUT RAW_PIPE(RAW_BULK, DEV, 1, 0)
#define BULK_IN  RAW_PIPE(RAW_BULK, DEV, 1, 1)
#define CTRL_OUT RAW_PIPE(RAW_CTRL, DEV, 0, 0)
#define CTRL_IN  RAW_PIPE(RAW_CTRL, DEV, 0, 1)
#define ISO_IN   RAW_PIPE(RAW_ISO, DEV, 1, 1)
/* u.isoc: interval, start_frame, number_of_packets, nr_frame_desc_segs */
#define ISO(n, segs) {1, 0, 0, 0, (uint8_t)(n), (uint8_t)((n) >> 8), (uint8_t)(segs), (uint8_t)((segs) >> 8)}
#define GET_18 {0x80, 6, 0, 1, 0, 0, 18, 0}

static const struct row rows[] = {
    {"MAL-01 17", BULK_IN, 17, .buffer_length = 0, .status = -22},
    {"MAL-01 65535", BULK_IN, 65535, .buffer_length = 0, .status = -22},
    {"MAL-01 control", CTRL_IN, 17, .buffer_length = 0, .setup = GET_18, .status = -22},
    {"MAL-02", BULK_OUT, 0, .buffer_length = 64, .status = -22},
    {"MAL-03", BULK_IN, 0, .buffer_length = 64, .status = -22},
    {"MAL-05", CTRL_OUT, 0, .setup = {0x40, 1, 0, 0, 0, 0, 8, 0}, .status = -22},
    {"MAL-05 one short", CTRL_OUT, 1, {{0, 7}}, .buffer_length = 7, .setup = {0x40, 1, 0, 0, 0, 0, 8, 0},
     .status = -22},
    {"MAL-06", BULK_OUT, 1, {{0, 4096}}, .buffer_length = 8, .status = -22},
    {"MAL-06 IN", BULK_IN, 1, {{0, 4096}}, .buffer_length = 8, .status = -22},
    {"MAL-06 one", BULK_IN, 1, {{0, 65}}, .buffer_length = 64, .status = -22},
    {"MAL-07", BULK_OUT, 1, {{0, 8}}, .buffer_length = 4096, .status = -22},
    {"MAL-07 IN", BULK_IN, 1, {{0, 8}}, .buffer_length = 9, .status = -22},
    {"MAL-09", BULK_IN, 1, {{4000, 200}}, .buffer_length = 200, .status = -22},
    {"MAL-09 one", BULK_IN, 1, {{4000, 97}}, .buffer_length = 97, .status = -22},
    {"MAL-09 second", BULK_IN, 2, {{0, 8}, {4095, 2}}, .buffer_length = 10, .status = -22},
    {"SEG-06 fits", BULK_IN, 1, {{4000, 96}}, .buffer_length = 96, .where = TO_DEVICE},
    {"MAL-10", BULK_IN, 1, {{4096, 0}}, .buffer_length = 0, .where = TO_DEVICE},
    {"SEG-07 (0,0)", BULK_IN, 1, {{0, 0}}, .buffer_length = 0, .where = TO_DEVICE},
    {"MAL-11", BULK_IN, 1, {{65535, 65535}}, .buffer_length = 65535, .status = -22},
    {"MAL-12", BULK_IN, 1, {{0, 8}}, UNKNOWN, .buffer_length = 8, .status = -108},
    {"MAL-12 OUT", BULK_OUT, 2, {{0, 8}, {0, 8}}, UNKNOWN, .buffer_length = 16, .status = -108},
    {"MAL-13", BULK_IN, 1, {{0, 8}}, RO, .buffer_length = 8, .status = -108},
    {"PIPE-08 OUT", BULK_OUT, 1, {{0, 8}}, RO, .buffer_length = 8, .where = TO_DEVICE},
    {"MAL-16", ISO_IN, 15, .buffer_length = 0, .setup = ISO(1, 2), .status = -22},
    {"MAL-16 wrap", ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .setup = ISO(1, 65535), .status = -22},
    {"MAL-17", ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .setup = ISO(65535, 1), .status = -22},
    {"ISO-08 0", ISO_IN, 1, {{0, 8}, {0, 16}}, .buffer_length = 8, .setup = ISO(0, 1), .status = -22},
    {"ISO-08 257", ISO_IN, 1, {{0, 8}, {0, 4096}}, .buffer_length = 8, .setup = ISO(257, 1), .status = -22},
    {"MAL-18", ISO_IN, 1, {{0, 8}, {0, 4096}}, .buffer_length = 8, .setup = ISO(1, 1), .status = -22},
    {"ISO-07 too few", ISO_IN, 1, {{0, 8}, {0, 16}}, .buffer_length = 8, .setup = ISO(2, 1), .status = -22},
    {"ISO-10", ISO_IN, 1, {{0, 8}}, .buffer_length = 8, .setup = ISO(8, 0), .status = -22},
    {"MAL-16 desc crosses", ISO_IN, 1, {{0, 8}, {4090, 16}}, .buffer_length = 8, .setup = ISO(1, 1),
     .status = -22},
    {"MAL-20 bulk", RAW_PIPE(RAW_BULK, 0, 1, 1) | 1, .status = -19},
    {"MAL-20 int", RAW_PIPE(RAW_INT, 0, 1, 1) | 1, .status = -19},
    {"MAL-20 iso", RAW_PIPE(RAW_ISO, 0, 1, 1) | 1, .status = -19},
    {"MAL-21", RAW_PIPE(RAW_CTRL, 0, 0, 1), .setup = GET_18, .status = -19},
    {"MAL-22", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 5, .setup = GET_18, .status = -19},
    {"MAL-22 31 (ADR-08)", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 31, .setup = GET_18, .status = -19},
    {"CTL-03", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 2, .setup = GET_18, .status = -19},
    {"CTL-03 SET_ADDRESS", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 2, .setup = {0, 5, 9}, .status = -19},
    {"MAL-23 SET_CONFIGURATION", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .setup = {0, 9, 1}, .status = -22},
    {"MAL-23 GET_STATUS", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 1, .setup = {0x80, 0, 0, 0, 0, 0, 0}, .status = -22},
    {"MAL-23 C0/05", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 1, .setup = {0xc0, 5}, .status = -22},
    {"CTL-02 any descriptor", RAW_PIPE(RAW_CTRL, 0, 0, 1) | 1, .setup = {0x81, 6, 7, 0x22},
     .where = TO_DEVICE},
    {"MAL-24 128", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .setup = {0, 5, 128, 0}, .status = -22},
    {"MAL-24 256", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .setup = {0, 5, 0, 1}, .status = -22},
    {"MAL-24 0x7fff", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .setup = {0, 5, 0xff, 0x7f}, .status = -22},
    {"MAL-24 65535", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .setup = {0, 5, 0xff, 0xff}, .status = -22},
    {"MAL-24 addressed", CTRL_OUT, .setup = {0, 5, 128, 0}, .status = -22},
    {"MAL-26", CTRL_IN, 1, {{0, 1}}, .buffer_length = 1, .setup = {0xc0, 5, 0, 0, 0, 0, 1},
     .where = TO_DEVICE},
    {"MAL-26 40/05", CTRL_OUT, .setup = {0x40, 5, 9}, .where = TO_DEVICE},
    {"MAL-27", RAW_PIPE(RAW_CTRL, 77, 0, 1), .setup = GET_18, .status = -19},
    {"MAL-27 bulk", RAW_PIPE(RAW_BULK, 127, 1, 1), .status = -19},
    {"MAL-31 bit 6", BULK_IN | 1u << 6, .where = TO_DEVICE},
    {"MAL-31 bits 19-29", BULK_IN | 0x3ff80000u, .where = TO_DEVICE},
    {"MAL-32", BULK_IN, .flags = 0xfffe, .where = TO_DEVICE},
    {"MAL-34 IN pipe", RAW_PIPE(RAW_CTRL, DEV, 0, 1), 1, {{0, 8}}, .buffer_length = 8,
     .setup = {0x40, 1, 0, 0, 0, 0, 8}, .status = -22},
    {"MAL-34 OUT pipe", CTRL_OUT, 1, {{0, 18}}, .buffer_length = 18, .setup = GET_18, .status = -22},
    {"MAL-35", CTRL_OUT, .where = TO_DEVICE},
    {"MAL-35 device 0", RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, .status = -22},
};

static grant_ref_t gref_of(struct lab *lab, enum gref kind, unsigned int page)
{
    switch (kind) {
    case RW:
        return lab->front[0].rw[page];
    case RO:
        return lab->front[0].ro[page];
    case UNKNOWN:
        break;
    }
    return 8000;
}

static struct usbif_urb_request build(struct lab *lab, const struct row *row, uint16_t id)
{
    struct usbif_urb_request request = raw_request(id, row->pipe);
    request.nr_buffer_segs = row->segs;
    request.buffer_length = (uint16_t)row->buffer_length;
    request.transfer_flags = row->flags;
    memcpy(request.u.ctrl, row->setup, 8);
    for (unsigned int i = 0; i < 16; i++)
        request.seg[i] = (struct usbif_request_segment){.gref = gref_of(lab, row->gref, i)};
    for (unsigned int i = 0; i < 2; i++) {
        request.seg[i].offset = row->seg[i].offset;
        request.seg[i].length = row->seg[i].length;
    }
    return request;
}

static void check_row(struct lab *lab, const struct row *row, uint16_t id)
{
    struct usbif_urb_request request = build(lab, row, id);
    lab_send(lab, &request);
    if (row->where == TO_DEVICE) {
        lab_expect_none(lab);
        assert_int_equal(lab->rig.host.nr_held, 1);
        assert_false(lab->rig.host.held[0]->short_not_ok);
        assert_int_equal(lab_maps(lab), 2 + row->segs);
        lab_complete(lab, 0, 0, NULL, 0);
        lab_expect(lab, id, 0, 0);
    } else {
        assert_int_equal(lab->rig.host.nr_held, 0);
        assert_string_equal(lab->rig.host.log, "");
        lab_expect(lab, id, row->status, 0);
    }
    lab_expect_none(lab);
    assert_int_equal(lab_maps(lab), 2);
    lab_check_alive(lab, 0);
    scripted_host_clear_log(&lab->rig.host);
}

/* MAL-01 to 03, 05 to 07, 09 to 13, 16 to 18, 20 to 24, 26, 27, 31, 32, 34, 35; STA-05, STA-08. */
static void test_malformed_rows(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].id);
        check_row(&lab, &rows[i], (uint16_t)(0xff00 + i)); /* ids are opaque (rule ID-01) */
    }
    assert_int_equal(back_state(lab.rig.back), XenbusStateConnected);
    lab_dispose(&lab);
}

/* MAL-31: a frontend that sets undefined bits is noted, but not once for every request. */
static void test_malformed_pipe_bits_logged(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < 3; i++) {
        struct usbif_urb_request request = raw_request(1, BULK_IN | 0x40);
        lab_send(&lab, &request);
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 1, 0, 0);
    }
    const char *line = strstr(lab.rig.log, "undefined bits");
    assert_non_null(line);
    assert_null(strstr(line + 1, "undefined bits"));
    raw_front_set_state(&lab.front[0], XenbusStateClosed);
    lab_run(&lab);
    raw_front_unmake(&lab.front[0]);
    raw_front_set_state(&lab.front[0], XenbusStateInitialising);
    lab_run(&lab);
    raw_front_connect(&lab.front[0]);
    struct usbif_urb_request request = raw_request(1, BULK_IN | 1u << 29);
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -19, 0);
    assert_non_null(strstr(line + 1, "undefined bits")); /* by then it is another frontend, perhaps */
    lab_dispose(&lab);
}

/* MAL-04: the device has 18 bytes, the guest no room: nothing is written anywhere. */
static void test_malformed_control_in_without_room(void **state)
{
    struct lab lab;
    static const uint8_t setup[8] = GET_18;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_control(4, DEV, setup);
    lab_send(&lab, &request);
    lab_complete(&lab, 0, 0, "0123456789abcdefgh", 18);
    lab_expect(&lab, 4, 0, 0);
    raw_segment(&request, lab.front[0].rw[0], 0, 4);
    memset(lab.front[0].page, 0xee, 16);
    lab_send(&lab, &request);
    lab_complete(&lab, 0, -EOVERFLOW, "0123456789abcdefgh", 18);
    lab_expect(&lab, 4, -75, 4);
    assert_memory_equal(lab.front[0].page, "0123\xee\xee\xee\xee", 8);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/*
 * MAL-08, SEG-03: 65536 bytes do not fit into buffer_length, which reads 0. MAL-36: wLength 4097 and 65535.
 */
static void test_malformed_large(void **state)
{
    struct lab lab;
    static uint8_t data[65536];
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 13 + i / 256);
    struct usbif_urb_request request = raw_request(8, BULK_IN);
    raw_buffer(&lab.front[0], &request, 0, 65536);
    assert_int_equal(request.nr_buffer_segs, 16);
    assert_int_equal(request.buffer_length, 0);
    lab_send(&lab, &request);
    assert_int_equal(lab_maps(&lab), 18);
    lab_complete(&lab, 0, 0, data, 65536);
    lab_expect(&lab, 8, 0, 65536);
    assert_memory_equal(lab.front[0].page, data, 65536);

    for (uint32_t length = 4097; length <= 65535; length += 65535 - 4097) {
        const uint8_t setup[8] = {0xc0, 1, 0, 0, 0, 0, (uint8_t)length, (uint8_t)(length >> 8)};
        memset(lab.front[0].page, 0, 65536);
        request = raw_control(36, DEV, setup);
        raw_buffer(&lab.front[0], &request, 0, length);
        lab_send(&lab, &request);
        lab_complete(&lab, 0, 0, data, length);
        lab_expect(&lab, 36, 0, (int32_t)length);
        assert_memory_equal(lab.front[0].page, data, length);
        assert_int_equal(lab.front[0].page[length], 0);
    }
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-14: a grant withdrawn while it is mapped. The transfer ends in the page; the next one cannot map it. */
static void test_malformed_revoked_grant(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    struct usbif_urb_request request = raw_request(14, BULK_IN);
    raw_buffer(f, &request, 0, 64);
    lab_send(&lab, &request);
    assert_int_equal(f->xen->ops->grant_revoke(f->xen, f->rw[0]), 0);
    assert_int_equal(f->xen->ops->grant_end(f->xen, f->rw[0]), -EBUSY);
    lab_complete(&lab, 0, 0, "still there", 11);
    lab_expect(&lab, 14, 0, 11);
    assert_memory_equal(f->page, "still there", 11);
    lab_send(&lab, &request);
    lab_expect(&lab, 14, -108, 0);
    assert_int_equal(f->xen->ops->grant_end(f->xen, f->rw[0]), 0);
    lab_send(&lab, &request);
    lab_expect(&lab, 14, -108, 0);
    assert_int_equal(f->xen->ops->grant(f->xen, 0, f->page, false, &f->rw[0]), 0);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-19: packets that reach out of the data; every bound by one. MAL-15: iso is served. */
static void test_malformed_iso_bounds(void **state)
{
    static const struct {
        uint32_t offset, length;
        int32_t status;
    } packets[] = {
        {0, 64, 0},           {64, 0, 0},          {63, 1, 0},         {0, 65, -22},
        {1, 64, -22},         {65, 0, -22},        {64, 1, -22},       {0xffffffff, 1, -22},
        {1, 0xffffffff, -22}, {0xffffffc0, 64, -22}, {0, 0x80000000, -22},
    };
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        const uint32_t desc[8] = {0, 0, 7, 7, packets[i].offset, packets[i].length, 7, 7};
        const uint8_t isoc[8] = ISO(2, 1);
        struct usbif_urb_request request = raw_request(19, ISO_IN);
        memcpy(f->page + PVUSB_PAGE_SIZE + 40, desc, sizeof(desc));
        memcpy(request.u.ctrl, isoc, 8);
        raw_buffer(f, &request, 0, 64);
        request.seg[1] = (struct usbif_request_segment){.gref = f->rw[1], .offset = 40, .length = 32};
        lab_send(&lab, &request);
        assert_int_equal(lab.rig.host.nr_held, packets[i].status ? 0 : 1);
        if (!packets[i].status)
            lab_complete(&lab, 0, 0, NULL, 0);
        else
            assert_memory_equal(f->page + PVUSB_PAGE_SIZE + 40, desc, sizeof(desc));
        lab_expect(&lab, 19, packets[i].status, 0);
        assert_int_equal(lab_maps(&lab), 2);
    }
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-25, CTL-07: a second address for an addressed device; the old one is gone. */
static void test_malformed_set_address_again(void **state)
{
    struct lab lab;
    static const uint8_t move[8] = {0, 5, 5};
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_control(25, DEV, move);
    lab_send(&lab, &request);
    lab_expect(&lab, 25, 0, 0);
    request = raw_request(26, BULK_IN);
    lab_send(&lab, &request);
    lab_expect(&lab, 26, -19, 0);
    request = raw_request(27, RAW_PIPE(RAW_BULK, 5, 1, 1));
    lab_send(&lab, &request);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 27, 0, 0);
    assert_null(strstr(lab.rig.host.log, "control"));
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-28 to MAL-30, UNL-05, UNL-07: unlinks of nothing. */
static void test_malformed_unlinks(void **state)
{
    static const struct {
        uint32_t pipe;
        int32_t status;
    } unlinks[] = {
        {RAW_PIPE(RAW_BULK, DEV, 1, 1), 0},      {RAW_PIPE(RAW_BULK, 77, 1, 1), -19},
        {RAW_PIPE(RAW_CTRL, 0, 0, 0), -19},      {RAW_PIPE(RAW_CTRL, 0, 0, 0) | 5, -19},
        {RAW_PIPE(RAW_CTRL, 0, 0, 0) | 31, -19}, {RAW_PIPE(RAW_CTRL, 0, 0, 0) | 1, 0},
        {RAW_PIPE(RAW_CTRL, 0, 0, 0) | 2, 0},    {RAW_PIPE(RAW_ISO, DEV, 9, 0) | 31, 0},
    };
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(unlinks) / sizeof(unlinks[0]); i++) {
        struct usbif_urb_request request = raw_unlink(28, unlinks[i].pipe, 4711);
        lab_send(&lab, &request);
        lab_expect(&lab, 28, unlinks[i].status, 0);
        lab_expect_none(&lab);
    }
    assert_string_equal(lab.rig.host.log, "");
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-33: what the host says of an endpoint that is not there reaches the guest. */
static void test_malformed_endpoint(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_request(33, RAW_PIPE(RAW_BULK, DEV, 5, 1));
    lab_send(&lab, &request);
    assert_string_equal(lab.rig.host.log, "submit ep 5 bulk in 0; ");
    lab_complete(&lab, 0, -EPIPE, NULL, 0);
    lab_expect(&lab, 33, -32, 0);
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_rows),
        cmocka_unit_test(test_malformed_pipe_bits_logged),
        cmocka_unit_test(test_malformed_control_in_without_room),
        cmocka_unit_test(test_malformed_large),
        cmocka_unit_test(test_malformed_revoked_grant),
        cmocka_unit_test(test_malformed_iso_bounds),
        cmocka_unit_test(test_malformed_set_address_again),
        cmocka_unit_test(test_malformed_unlinks),
        cmocka_unit_test(test_malformed_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
