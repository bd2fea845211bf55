// SPDX-License-Identifier: MIT
/* Goal: a request becomes the transfer that it describes, and its result the response that the rules want. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV      LAB_ADDRESS
#define BULK_IN  RAW_PIPE(RAW_BULK, DEV, 1, 1)
#define BULK_OUT RAW_PIPE(RAW_BULK, DEV, 1, 0)
#define CANARY   0xee

/* ---- pipes ---- */

/* PIPE-02, PIPE-05, XFR-01: what of the pipe word reaches the host; control always goes to endpoint 0. */
static void test_urbs_pipe(void **state)
{
    static const struct {
        uint32_t pipe;
        const char *log;
        uint8_t endpoint, type;
        bool in;
    } cases[] = {
        {RAW_PIPE(RAW_BULK, DEV, 1, 1), "submit ep 1 bulk in 0; ", 1, 3, true},
        {RAW_PIPE(RAW_BULK, DEV, 15, 0), "submit ep 15 bulk out 0; ", 15, 3, false},
        {RAW_PIPE(RAW_BULK, DEV, 0, 1), "submit ep 0 bulk in 0; ", 0, 3, true},
        {RAW_PIPE(RAW_INT, DEV, 8, 1), "submit ep 8 int in 0; ", 8, 1, true},
        {RAW_PIPE(RAW_INT, DEV, 2, 0) | 31, "submit ep 2 int out 0; ", 2, 1, false},
        {RAW_PIPE(RAW_CTRL, DEV, 5, 1) | 7, "submit ep 0 control in 0; ", 0, 2, true},
        {RAW_PIPE(RAW_CTRL, DEV, 15, 0), "submit ep 0 control out 0; ", 0, 2, false},
    };
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct usbif_urb_request request = raw_request(0xffff, cases[i].pipe);
        memset(&request.u, 0, sizeof(request.u));
        request.u.intr.interval = 8; /* in a control request: wRequest bits that no intercept knows */
        scripted_host_clear_log(&lab.rig.host);
        lab_send(&lab, &request);
        assert_string_equal(lab.rig.host.log, cases[i].log);
        const struct host_urb *urb = lab.rig.host.held[0];
        assert_int_equal(urb->endpoint, cases[i].endpoint);
        assert_int_equal(urb->type, cases[i].type);
        assert_int_equal(urb->in, cases[i].in);
        if (cases[i].type == RAW_INT)
            assert_int_equal(urb->interval, 8);
        if (cases[i].type == RAW_CTRL)
            assert_memory_equal(urb->setup, request.u.ctrl, 8);
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 0xffff, 0, 0);
    }
    lab_dispose(&lab);
}

/* ---- buffers ---- */

/* SEG-02, SEG-07, SEG-11, SEG-13, SEC-05: IN data lands where it should, byte for byte, and nowhere else. */
static void test_urbs_segments_in(void **state)
{
    static const struct {
        uint32_t offset, length, actual;
    } cases[] = {
        {0, 1, 1},       {4095, 1, 1},        {100, 5000, 5000}, {4095, 2, 2},        {0, 4096, 4096},
        {1, 61440, 61440}, {4095, 61441, 61441}, {0, 65536, 65536}, {100, 5000, 3996}, {100, 5000, 3997},
        {100, 5000, 3995}, {0, 64, 4},         {0, 64, 0},        {4000, 61440, 8192}, {8191, 8194, 8193},
    };
    static uint8_t data[65536];
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t all = RAW_PAGES * (size_t)PVUSB_PAGE_SIZE;
        struct usbif_urb_request request = raw_request(7, BULK_IN);
        raw_buffer(f, &request, cases[i].offset, cases[i].length);
        memset(f->page, CANARY, all);
        lab_send(&lab, &request);
        assert_int_equal(lab.rig.host.held[0]->length, cases[i].length);
        assert_int_equal(lab_maps(&lab), 2 + request.nr_buffer_segs);
        lab_complete(&lab, 0, 0, data, cases[i].actual);
        lab_expect(&lab, 7, 0, (int32_t)cases[i].actual);
        assert_memory_equal(f->page + cases[i].offset, data, cases[i].actual);
        for (size_t b = 0; b < all; b++) {
            if (b < cases[i].offset || b >= cases[i].offset + cases[i].actual)
                assert_int_equal(f->page[b], CANARY);
        }
    }
    lab_dispose(&lab);
}

/*
 * PIPE-08, SEG-02, STA-06: OUT data is read from the segments, from read-only grants too; all of it or a
 * part.
 */
static void test_urbs_segments_out(void **state)
{
    struct lab lab;
    uint8_t seen[5000];
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < 3 * PVUSB_PAGE_SIZE; i++)
        f->page[i] = (uint8_t)(i * 7 + i / 255);
    for (int readonly = 0; readonly < 2; readonly++) {
        struct usbif_urb_request request = raw_request(8, BULK_OUT);
        const grant_ref_t *refs = readonly ? f->ro : f->rw;
        raw_segment(&request, refs[0], 100, 3996);
        raw_segment(&request, refs[1], 0, 1004);
        lab_send(&lab, &request);
        const struct host_urb *urb = lab.rig.host.held[0];
        assert_int_equal(host_urb_read(urb, 0, seen, sizeof(seen)), 5000);
        assert_memory_equal(seen, f->page + 100, 5000);
        lab_complete(&lab, 0, 0, NULL, readonly ? 100 : 5000);
        lab_expect(&lab, 8, 0, readonly ? 100 : 5000);
    }
    lab_dispose(&lab);
}

/*
 * MAL-10, SEG-07, SEG-15: empty segments between others; one page in many segments, each with its own offset.
 */
static void test_urbs_odd_segments(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    memset(f->page, CANARY, PVUSB_PAGE_SIZE);
    struct usbif_urb_request request = raw_request(9, BULK_IN);
    raw_segment(&request, f->rw[0], 4096, 0);
    raw_segment(&request, f->rw[0], 10, 2);
    raw_segment(&request, f->rw[0], 0, 0);
    raw_segment(&request, f->rw[0], 0, 3);
    raw_segment(&request, f->rw[0], 4095, 1);
    raw_segment(&request, f->rw[0], 4096, 0);
    lab_send(&lab, &request);
    assert_int_equal(lab_maps(&lab), 8);
    lab_complete(&lab, 0, 0, "abcdef", 6);
    lab_expect(&lab, 9, 0, 6);
    assert_memory_equal(f->page, "cde\xee\xee\xee\xee\xee\xee\xee" "ab\xee", 13);
    assert_int_equal(f->page[4095], 'f');
    assert_int_equal(f->page[PVUSB_PAGE_SIZE], 0);
    lab_dispose(&lab);
}

static uint32_t rsp_before;
static unsigned int unmaps;
static unsigned int answers;

static void watch_unmap(struct lab *lab, enum lab_call call)
{
    if (call == LAB_UNMAP) {
        unmaps++;
        assert_int_equal(raw_front_rsp_prod(&lab->front[0]), rsp_before); /* not yet answered */
    }
    if (call == LAB_NOTIFY) {
        assert_int_equal(lab_maps(lab), 2);
        assert_int_equal(raw_front_rsp_prod(&lab->front[0]), rsp_before + answers);
    }
}

/* SEG-11, PERF-04: unmapped, then answered, then notified; one unmap for one request. */
static void test_urbs_unmap_first(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_request(11, BULK_IN);
    raw_buffer(&lab.front[0], &request, 5, 10000);
    lab_send(&lab, &request);
    rsp_before = raw_front_rsp_prod(&lab.front[0]);
    unmaps = 0;
    answers = 1;
    lab_hook(&lab, watch_unmap);
    lab_complete(&lab, 0, 0, NULL, 0);
    assert_int_equal(unmaps, 1);
    lab_expect(&lab, 11, 0, 0);

    struct usbif_urb_request unlink = raw_unlink(12, BULK_IN, 11);
    lab_unhook(&lab);
    lab_send(&lab, &request);
    rsp_before = raw_front_rsp_prod(&lab.front[0]);
    answers = 2; /* both in one push */
    lab_hook(&lab, watch_unmap);
    lab_send(&lab, &unlink);
    assert_int_equal(unmaps, 2);
    lab_expect(&lab, 11, -71, 0);
    lab_expect(&lab, 12, 0, 0);
    lab_dispose(&lab);
}

/* ---- results ---- */

/* STA-01, STA-06, STA-09, XFR-02 to XFR-04, SNO-02: every status a host can give; lengths survive. */
static void test_urbs_status(void **state)
{
    static const struct {
        int32_t host, wire;
    } cases[] = {
        {0, 0},           {-EREMOTEIO, 0},   {-ENODEV, -19},    {-EINVAL, -22},      {-EPIPE, -32},
        {-EPROTO, -71},   {-EILSEQ, -71},    {-ETIME, -71},     {-ETIMEDOUT, -71},   {-ECONNRESET, -71},
        {-ENOENT, -71},   {-EOVERFLOW, -75}, {-ESHUTDOWN, -108}, {-ENOMEM, -108},    {-EIO, -108},
        {-EXDEV, -108},   {1, -108},         {115, -108},       {-EINPROGRESS, -108},
    };
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int flag = 0; flag < 2; flag++) {
            struct usbif_urb_request request = raw_request((uint16_t)i, BULK_IN);
            request.transfer_flags = (uint16_t)(flag ? 0xffff : 0xfffe);
            raw_buffer(&lab.front[0], &request, 0, 64);
            lab_send(&lab, &request);
            assert_int_equal(lab.rig.host.held[0]->short_not_ok, flag);
            lab.rig.host.held[0]->error_count = 9; /* means nothing here (rule XFR-11) */
            lab.rig.host.held[0]->start_frame = 9;
            lab_complete(&lab, 0, cases[i].host, "short", 5);
            lab_expect(&lab, (uint16_t)i, cases[i].wire, 5);
            assert_memory_equal(lab.front[0].page, "short", 5);
        }
    }
    lab_dispose(&lab);
}

/* RING-13, XFR-07: answers in order of completion, matched by id. */
static void test_urbs_completion_order(void **state)
{
    static const unsigned int order[] = {3, 0, 2, 1, 0};
    static const uint16_t ids[] = {13, 10, 14, 12, 11};
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (uint16_t i = 0; i < 5; i++) {
        struct usbif_urb_request request = raw_request((uint16_t)(10 + i), BULK_IN);
        raw_buffer(f, &request, i * PVUSB_PAGE_SIZE, 64);
        raw_front_put(f, &request);
    }
    raw_front_push(f);
    lab_run(&lab);
    unsigned int before = f->notified;
    for (unsigned int i = 0; i < 5; i++) {
        lab_complete(&lab, order[i], 0, "0123456789", i);
        lab_expect(&lab, ids[i], 0, (int32_t)i);
    }
    assert_int_equal(f->notified, before + 5);
    assert_int_equal(back_stats(lab.rig.back).responses, back_stats(lab.rig.back).requests);
    lab_dispose(&lab);
}

/* RING-14: 16 bytes of a slot are written, the other 132 are the frontend's. */
static void test_urbs_rest_of_slot(void **state)
{
    struct lab lab;
    uint8_t before[148];
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    struct usbif_urb_request request = raw_request(5, BULK_IN);
    memcpy(before, &request, sizeof(before));
    lab_send(&lab, &request);
    uint32_t at = raw_front_rsp_prod(f);
    assert_memory_equal(raw_front_slot(f, at), before, 148);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 5, 0, 0);
    assert_memory_equal(raw_front_slot(f, at) + 16, before + 16, 132);
    lab_dispose(&lab);
}

static uint32_t published;

static enum lab_call look_when;

static void look_at_ring(struct lab *lab, enum lab_call call)
{
    if (call == look_when)
        published = raw_front_rsp_prod(&lab->front[0]);
}

/* RING-13: responses are published while later requests are still being served, so that the guest can go on. */
static void test_urbs_published_early(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    uint32_t before = raw_front_rsp_prod(f);
    for (uint16_t id = 0; id < 5; id++) {
        struct usbif_urb_request request = raw_request(id, id < 4 ? RAW_PIPE(RAW_BULK, 99, 1, 1) : BULK_IN);
        if (id == 4)
            raw_buffer(f, &request, 0, 64);
        raw_front_put(f, &request);
    }
    look_when = LAB_MAP;
    lab_hook(&lab, look_at_ring);
    raw_front_push(f);
    unsigned int events = f->notified;
    lab_run(&lab);
    lab_unhook(&lab);
    assert_int_equal(published - before, 4);
    assert_int_equal(f->notified, events + 1); /* RING-05: still one event for them all */
    lab_complete(&lab, 0, 0, NULL, 0);
    look_when = LAB_UNMASK; /* and before the backend looks after itself */
    lab_hook(&lab, look_at_ring);
    before = raw_front_rsp_prod(f);
    struct usbif_urb_request request = raw_request(9, RAW_PIPE(RAW_BULK, 99, 1, 1));
    lab_send(&lab, &request);
    lab_unhook(&lab);
    assert_int_equal(published - before, 1);
    lab_dispose(&lab);
}

/* RING-05, RING-06: one event for a batch; none is lost when the guest pushes while we answer. */
static void test_urbs_batches(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int round = 0; round < 50; round++) {
        unsigned int n = 1 + round % 16;
        for (unsigned int i = 0; i < n; i++) {
            struct usbif_urb_request request = raw_request((uint16_t)i, RAW_PIPE(RAW_BULK, 99, 1, 1));
            raw_front_put(f, &request);
        }
        unsigned int before = f->notified;
        assert_true(raw_front_push(f)); /* the backend sleeps, so it must have asked */
        lab_run(&lab);
        assert_int_equal(f->notified, before + 1);
        for (unsigned int i = 0; i < n; i++)
            lab_expect(&lab, (uint16_t)i, -19, 0);
        lab_expect_none(&lab);
    }
    lab_dispose(&lab);
}

static unsigned int pushed_between;

static void push_before_unmask(struct lab *lab, enum lab_call call)
{
    if (call != LAB_NOTIFY || pushed_between >= 8)
        return;
    uint16_t id = (uint16_t)(100 + pushed_between++);
    raw_front_take(&lab->front[0]); /* or the next response is none to notify of */
    struct usbif_urb_request request = raw_request(id, RAW_PIPE(RAW_BULK, 99, 1, 1));
    raw_front_send(&lab->front[0], &request);
}

/* RING-06: requests that come between the last look and sleep. */
static void test_urbs_push_while_answering(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    pushed_between = 0;
    lab_hook(&lab, push_before_unmask);
    struct usbif_urb_request request = raw_request(1, RAW_PIPE(RAW_BULK, 99, 1, 1));
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -19, 0);
    for (uint16_t i = 0; i < 8; i++)
        lab_expect(&lab, (uint16_t)(100 + i), -19, 0);
    lab_expect_none(&lab);
    lab_dispose(&lab);
}

/* RING-01: more than a ring of requests, 3 rings deep, with every slot used. */
static void test_urbs_many(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < 1000; i++) {
        struct usbif_urb_request request = raw_request((uint16_t)(i * 257), BULK_IN);
        raw_buffer(&lab.front[0], &request, i, 1 + i);
        lab_send(&lab, &request);
        lab_complete(&lab, 0, 0, "x", 1);
        lab_expect(&lab, (uint16_t)(i * 257), 0, 1);
        lab_expect_none(&lab);
        scripted_host_clear_log(&lab.rig.host);
    }
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urbs_pipe),
        cmocka_unit_test(test_urbs_segments_in),
        cmocka_unit_test(test_urbs_segments_out),
        cmocka_unit_test(test_urbs_odd_segments),
        cmocka_unit_test(test_urbs_unmap_first),
        cmocka_unit_test(test_urbs_status),
        cmocka_unit_test(test_urbs_completion_order),
        cmocka_unit_test(test_urbs_rest_of_slot),
        cmocka_unit_test(test_urbs_batches),
        cmocka_unit_test(test_urbs_published_early),
        cmocka_unit_test(test_urbs_push_while_answering),
        cmocka_unit_test(test_urbs_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
