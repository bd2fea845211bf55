// SPDX-License-Identifier: MIT
/*
 * Goal: the bytes of requests are exactly those of usbif.h, and answers mean what the rules say (sections 5
 * to 12).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

#define ISO  USBIF_PIPE_TYPE_ISOC
#define INT  USBIF_PIPE_TYPE_INT
#define CTRL USBIF_PIPE_TYPE_CTRL
#define BULK USBIF_PIPE_TYPE_BULK

static uint32_t word_at(const uint8_t *bytes, unsigned int at, unsigned int size)
{
    uint32_t value = 0;
    for (unsigned int i = 0; i < size; i++)
        value |= (uint32_t)bytes[at + i] << (8 * i);
    return value;
}

/* ---- requests ---- */

struct request_row {
    struct hcd_urb urb;
    uint32_t pipe; /* as bytes 4..7, little endian */
    uint16_t flags;
    uint8_t u[8]; /* bytes 12..19 */
};

/* Rules PIPE-01, PIPE-04, CTL-01, SNO-01, XFR-01, ISO-01, ISO-05, SEG-10, SEG-14 and section 0.1. */
static const struct request_row requests[] = {
    {{.port = 1,
      .device = 5,
      .type = CTRL,
      .in = true,
      .length = 18,
      .setup = {0x80, 6, 0x34, 0x12, 0x78, 0x56, 18, 0}},
     0x80000581,
     0,
     {0x80, 6, 0x34, 0x12, 0x78, 0x56, 18, 0}},
    {{.port = 3, .type = CTRL, .setup = {0, 5, 7, 0, 0, 0, 0, 0}}, 0x80000003, 0, {0, 5, 7, 0, 0, 0, 0, 0}},
    {{.port = 2, .device = 1, .type = CTRL, .length = 4, .setup = {0x21, 9, 0, 2, 1, 0, 4, 0}},
     0x80000102,
     0,
     {0x21, 9, 0, 2, 1, 0, 4, 0}},
    {{.port = 31, .device = 127, .endpoint = 15, .type = BULK, .length = 512}, 0xc007ff1f, 0, {0}},
    {{.port = 1, .device = 64, .endpoint = 8, .type = BULK, .in = true, .length = 512, .short_not_ok = true},
     0xc0044081,
     1,
     {0}},
    {{.port = 1, .device = 1, .endpoint = 1, .type = BULK, .interval = 9, .start_frame = 9},
     0xc0008101,
     0,
     {0}},
    {{.port = 2, .device = 1, .endpoint = 3, .type = INT, .in = true, .length = 8, .interval = 0x1234},
     0x40018182,
     0,
     {0x34, 0x12}},
    {{.port = 2, .device = 1, .endpoint = 3, .type = INT, .length = 8, .interval = 1}, 0x40018102, 0, {1}},
    {{.port = 4,
      .device = 0x55,
      .endpoint = 1,
      .type = ISO,
      .in = true,
      .length = 64,
      .interval = 8,
      .start_frame = 0x4321,
      .nr_packets = 3},
     0x0000d584,
     0,
     {8, 0, 0x21, 0x43, 3, 0, 1, 0}},
};

static void test_front_urbs_request_bytes(void **state)
{
    struct frig frig;
    struct pvusb_iso_desc packets[3] = {
        {.length = 20}, {.offset = 20, .length = 20}, {.offset = 40, .length = 24}};
    (void)state;
    frig_start(&frig, 2, 31);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        const struct request_row *row = &requests[i];
        struct hcd_urb urb = row->urb;
        struct usbif_urb_request request;
        struct hcd_urb plain = frig_data(&frig, BULK, 1, true, NULL, 0);
        urb.complete = plain.complete;
        urb.context = plain.context;
        urb.buffer = urb.length ? frig.buffer + 256 : NULL;
        urb.packets = packets;
        assert_int_equal(frig_submit(&frig, &urb), 0);
        request = frig_take(&frig);
        const uint8_t *bytes = (const uint8_t *)&request;
        unsigned int segs = (urb.length > 0 ? 1u : 0u) + (urb.type == ISO ? 1u : 0u);
        assert_true(word_at(bytes, 0, 2) < 16); /* rule ID-02 */
        assert_int_equal(word_at(bytes, 2, 2), urb.length > 0);
        assert_int_equal(word_at(bytes, 4, 4), row->pipe);
        assert_int_equal(word_at(bytes, 8, 2), row->flags);
        assert_int_equal(word_at(bytes, 10, 2), urb.length);
        assert_memory_equal(bytes + 12, row->u, 8);
        if (urb.length > 0) {
            assert_int_not_equal(word_at(bytes, 20, 4), 0);
            assert_int_equal(word_at(bytes, 24, 2), 256);
            assert_int_equal(word_at(bytes, 26, 2), urb.length);
        }
        for (unsigned int at = 20 + 8 * segs; at < sizeof(request); at++)
            assert_int_equal(bytes[at], 0);
        frig_answer(&frig, request.id, 0, (int32_t)urb.length);
        assert_int_equal(frig_count_done(&frig, &urb), 1);
        frig.nr_done = 0;
    }
    frig_dispose(&frig);
}

/* ---- segments ---- */

struct segments_row {
    uint32_t length;
    uint32_t offset;
    int rc;
    unsigned int nr;
    uint16_t buffer_length;
};

/* Rules SEG-02, SEG-03, SEG-04, SEG-14, PERF-02. */
static const struct segments_row segments[] = {
    {0, 0, 0, 0, 0},
    {1, 0, 0, 1, 1},
    {1, 4095, 0, 1, 1},
    {2, 4095, 0, 2, 2},
    {4096, 0, 0, 1, 4096},
    {4096, 1, 0, 2, 4096},
    {4097, 0, 0, 2, 4097},
    {5000, 100, 0, 2, 5000},
    {57344, 0, 0, 14, 57344},
    {61440, 0, 0, 15, 61440},
    {61440, 1, 0, 16, 61440},
    {61441, 0, 0, 16, 61441},
    {61441, 1, 0, 16, 61441},
    {61441, 2048, 0, 16, 61441},
    {61441, 4094, 0, 16, 61441},
    {61441, 4095, 0, 16, 61441},
    {61442, 4094, 0, 16, 61442},
    {61442, 4095, -EMSGSIZE, 0, 0},
    {65535, 0, 0, 16, 65535},
    {65535, 1, 0, 16, 65535},
    {65535, 2, -EMSGSIZE, 0, 0},
    {65536, 0, 0, 16, 0},
    {65536, 1, -EMSGSIZE, 0, 0},
    {65537, 0, -EMSGSIZE, 0, 0},
    {131072, 0, -EMSGSIZE, 0, 0},
    {UINT32_MAX, 0, -EMSGSIZE, 0, 0},
    {UINT32_MAX, 4095, -EMSGSIZE, 0, 0},
};

static void check_segments(const struct usbif_urb_request *request, const struct segments_row *row)
{
    uint32_t sum = 0;
    assert_int_equal(request->nr_buffer_segs, row->nr);
    assert_int_equal(request->buffer_length, row->buffer_length);
    for (unsigned int s = 0; s < row->nr; s++) {
        uint32_t end = (uint32_t)request->seg[s].offset + request->seg[s].length;
        assert_int_equal(request->seg[s].offset, s == 0 ? row->offset : 0);
        assert_true(s + 1 < row->nr ? end == RAW_PAGE : end <= RAW_PAGE);
        for (unsigned int t = 0; t < s; t++)
            assert_int_not_equal(request->seg[t].gref, request->seg[s].gref);
        sum += request->seg[s].length;
    }
    assert_int_equal(sum, row->length);
}

/* The bytes go where they should, one way or the other, and the bytes around them stay. */
static void check_transfer(struct frig *frig, const struct segments_row *row, bool in)
{
    static uint8_t data[65536];
    static uint8_t moved[65536];
    uint8_t *at = frig->buffer + RAW_PAGE + row->offset;
    struct hcd_urb urb = frig_data(frig, BULK, 1, in, at, row->length);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    assert_int_equal(frig_submit(frig, &urb), row->rc);
    if (row->rc) {
        frig_expect_no_request(frig);
        return;
    }
    struct usbif_urb_request request = frig_take(frig);
    check_segments(&request, row);
    memset(frig->buffer, 0xee, FRIG_BUFFER);
    if (!in)
        memcpy(at, data, row->length);
    assert_int_equal(raw_back_copy(&frig->back, &request, in, in ? data : moved, row->length), row->length);
    frig_answer(frig, request.id, 0, (int32_t)row->length);
    assert_int_equal(urb.status, 0);
    assert_int_equal(urb.actual, row->length);
    assert_memory_equal(in ? at : moved, data, row->length);
    assert_int_equal(at[-1], 0xee);
    assert_int_equal(at[row->length], 0xee);
}

static void test_front_urbs_segments(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        check_transfer(&frig, &segments[i], true);
        check_transfer(&frig, &segments[i], false);
    }
    frig_dispose(&frig);
}

/* Rules PIPE-08, SEG-11: what the backend may do with a page, and until when. */
static void test_front_urbs_grants(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int in = 0; in < 2; in++) {
        uint8_t *pages;
        struct hcd_urb urb = frig_data(&frig, BULK, 1, in, frig.buffer + 100, 5000);
        unsigned int before = fakexen_local_balance(frig.rig.local).grants;
        assert_int_equal(frig_submit(&frig, &urb), 0);
        assert_int_equal(fakexen_local_balance(frig.rig.local).grants, before + 2);
        struct usbif_urb_request request = frig_take(&frig);
        assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 2, true, &pages), in ? 0 : -EACCES);
        if (in)
            raw_back_unmap_segments(&frig.back, pages, 2);
        assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 2, false, &pages), 0);
        raw_back_unmap_segments(&frig.back, pages, 2);
        frig_answer(&frig, request.id, 0, 0);
        assert_int_equal(raw_back_map_segments(&frig.back, &request, 0, 2, false, &pages), -ENOENT);
        assert_int_equal(fakexen_local_balance(frig.rig.local).grants, before);
    }
    frig_dispose(&frig);
}

/* hcd.h: what submit refuses, with nothing on the ring. */
static void test_front_urbs_refused(void **state)
{
    struct frig frig;
    static uint8_t foreign[64];
    struct pvusb_iso_desc packets[257] = {{.length = 64}, {.offset = 65}};
    (void)state;
    frig_start(&frig, 2, 4);
    const struct hcd_urb good = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    struct hcd_urb bad[20];
    const int expected[] = {-EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EFAULT,   -EFAULT,
                            -EFAULT, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EMSGSIZE, -EFAULT};
    for (size_t i = 0; i < 20; i++)
        bad[i] = good;
    bad[0].port = 0;
    bad[1].port = 5;
    bad[2].port = 255;
    bad[3].device = 128;
    bad[4].endpoint = 16;
    bad[5].type = 4;
    bad[6].buffer = foreign;
    bad[7].buffer = frig.buffer + FRIG_BUFFER - 63; /* one byte past the end */
    bad[8].buffer = frig.buffer - 1;
    bad[9].buffer = NULL;
    for (unsigned int i = 10; i < 15; i++) {
        bad[i].type = ISO;
        bad[i].packets = packets;
        bad[i].nr_packets = 1;
    }
    bad[10].nr_packets = 0; /* rule ISO-08 */
    bad[11].nr_packets = 257;
    bad[12].packets = NULL;
    bad[13].nr_packets = 2; /* the second lies outside (rule ISO-07) */
    bad[14].length = 65536; /* 16 pages and the descriptors (rule ISO-12) */
    void *gone;
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 1, &gone), 0);
    frig.hcd->ops->buffer_free(frig.hcd, gone, 1);
    bad[15].buffer = gone;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(frig_submit(&frig, &bad[i]), expected[i]);
        assert_int_equal(frig_unlink(&frig, &bad[i], -ENOENT), -EINVAL);
    }
    frig_expect_no_request(&frig);
    assert_int_equal(frig.nr_done, 0);
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, 0, &gone), -EINVAL);
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, SIZE_MAX, &gone), -EINVAL);
    assert_int_equal(frig.hcd->ops->buffer_alloc(frig.hcd, (size_t)1 << 29, &gone), -ENOMEM);
    frig_dispose(&frig);

    frig_init(&frig, 2, 4); /* not connected yet */
    struct hcd_urb urb = frig_data(&frig, BULK, 1, true, NULL, 0);
    assert_int_equal(frig_submit(&frig, &urb), -ESHUTDOWN);
    frig_dispose(&frig);
}

/*
 * The page granted last is mapped by a backend that guessed its reference; then one more cannot be granted.
 */
static struct {
    struct frig_spy spy;
    struct frig *frig;
    unsigned int left;
    bool map;
    uint8_t *page;
} guess;

static int guess_grant(struct xen *xen, domid_t to, const void *addr, bool readonly, grant_ref_t *out)
{
    if (guess.left == 0)
        return -ENOSPC;
    int rc = guess.spy.real->grant(xen, to, addr, readonly, out);
    if (--guess.left == 0 && guess.map) {
        struct usbif_urb_request request = {.seg = {{.gref = *out}}};
        assert_int_equal(raw_back_map_segments(&guess.frig->back, &request, 0, 1, false, &guess.page), 0);
    }
    return rc;
}

/*
 * Rules SEG-16, SEC-09: a request that cannot be made leaves nothing behind, even if the backend got ahead of
 * it.
 */
static void test_front_urbs_grant_fails(void **state)
{
    (void)state;
    for (unsigned int n = 0; n < 16; n++) {
        struct frig frig;
        frig_start(&frig, 2, 4);
        memset(&guess, 0, sizeof(guess));
        guess.frig = &frig;
        guess.left = n;
        guess.map = n > 0;
        frig_spy(&guess.spy, front_xen(frig.rig.front));
        guess.spy.ops.grant = guess_grant;
        unsigned int before = fakexen_local_balance(frig.rig.local).grants;
        struct hcd_urb urb = frig_data(&frig, BULK, 1, true, frig.buffer, 65536);
        assert_int_equal(frig_submit(&frig, &urb), 0);
        assert_int_equal(frig_count_done(&frig, &urb), 0); /* never from inside (hcd.h) */
        assert_int_equal(front_deadline(frig.rig.front), frig.rig.now_ns);
        frig_run(&frig);
        assert_int_equal(frig_count_done(&frig, &urb), 1);
        assert_int_equal(urb.status, -ENOSPC);
        frig_expect_no_request(&frig);
        assert_int_equal(fakexen_local_balance(frig.rig.local).grants, before + guess.map);
        guess.left = UINT32_MAX;
        guess.map = false;
        assert_int_equal(frig_submit(&frig, &urb), 0); /* the same slot, all 16 segments */
        struct usbif_urb_request request = frig_take(&frig);
        frig_answer(&frig, request.id, 0, 65536);
        assert_int_equal(urb.status, 0);
        if (n > 0)
            raw_back_unmap_segments(&frig.back, guess.page, 1);
        frig_run(&frig);
        assert_int_equal(fakexen_local_balance(frig.rig.local).grants, before);
        frig_dispose(&frig);
    }
}

/* ---- answers ---- */

/* Rules STA-02, STA-03, SNO-02, SNO-03, MAL-66, MAL-67. */
static void test_front_urbs_status(void **state)
{
    static const struct {
        int32_t status;
        int32_t actual;
        bool in;
        bool short_not_ok;
        int expected;
        uint32_t expected_actual;
    } row[] = {
        {0, 64, true, false, 0, 64},
        {0, 5, true, false, 0, 5},
        {-19, 0, true, false, -ENODEV, 0},
        {-22, 0, true, false, -EINVAL, 0},
        {-32, 0, true, false, -EPIPE, 0},
        {-32, 7, true, false, -EPIPE, 7},
        {-71, 0, true, false, -EPROTO, 0},
        {-75, 64, true, false, -EOVERFLOW, 64},
        {-108, 0, true, false, -ESHUTDOWN, 0},
        {-121, 5, true, true, -EREMOTEIO, 5}, /* kernel backends (rule SNO-02) */
        {5, 0, true, false, -ESHUTDOWN, 0},
        {-1, 0, true, false, -ESHUTDOWN, 0},
        {-104, 0, true, false, -ESHUTDOWN, 0},
        {-115, 0, true, false, -ESHUTDOWN, 0},
        {INT32_MAX, 0, true, false, -ESHUTDOWN, 0},
        {INT32_MIN, 0, true, false, -ESHUTDOWN, 0},
        {0, -1, true, false, 0, 0},
        {0, INT32_MIN, true, false, 0, 0},
        {0, 65, true, false, 0, 64},
        {0, INT32_MAX, true, false, 0, 64},
        {0, 63, true, true, -EREMOTEIO, 63},
        {0, 0, true, true, -EREMOTEIO, 0},
        {0, -5, true, true, -EREMOTEIO, 0},
        {0, 64, true, true, 0, 64},
        {0, 100, true, true, 0, 64},
        {0, 63, false, true, 0, 63},
        {-32, 63, true, true, -EPIPE, 63},
    };
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        for (uint8_t type = INT; type <= BULK; type++) {
            struct hcd_urb urb = frig_data(&frig, type, type == CTRL ? 0 : 3, row[i].in, frig.buffer, 64);
            urb.short_not_ok = row[i].short_not_ok;
            frig.nr_done = 0;
            assert_int_equal(frig_submit(&frig, &urb), 0);
            assert_int_equal(urb.status, -EINPROGRESS);
            struct usbif_urb_request request = frig_take(&frig);
            assert_int_equal(request.transfer_flags, row[i].short_not_ok);
            frig_answer(&frig, request.id, row[i].status, row[i].actual);
            assert_int_equal(frig_count_done(&frig, &urb), 1);
            assert_int_equal(urb.status, row[i].expected);
            assert_int_equal(urb.actual, row[i].expected_actual);
        }
    }
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_dispose(&frig);
}

/*
 * Rules ID-02, ID-07, RING-01, RING-13, STA-08: 15 URBs at once, answered in several orders, many times
 * round.
 */
static void test_front_urbs_order(void **state)
{
    static const unsigned int step[] = {1, 14, 7, 4}; /* coprime to 15 */
    struct frig frig;
    struct hcd_urb urb[15];
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int round = 0; round < 40; round++) {
        uint16_t id[15];
        unsigned int seen = 0;
        frig.nr_done = 0;
        for (unsigned int i = 0; i < 15; i++) {
            urb[i] = frig_control(&frig, (const uint8_t[8]){0x80, 6, 0, 0, 0, 0, 64, 0}, frig.buffer);
            urb[i].setup[2] = (uint8_t)i;
            assert_int_equal(frig_submit(&frig, &urb[i]), 0);
        }
        for (unsigned int i = 0; i < 15; i++) {
            struct usbif_urb_request request = frig_take(&frig);
            assert_int_equal(request.u.ctrl[2], i);
            assert_true(request.id < 16);
            assert_false(seen & 1u << request.id);
            seen |= 1u << request.id;
            id[i] = request.id;
        }
        for (unsigned int i = 0; i < 15; i++) {
            unsigned int which = i * step[round % 4] % 15;
            frig_answer(&frig, id[which], 0, (int32_t)which);
            assert_int_equal(frig.nr_done, i + 1);
            assert_ptr_equal(frig.done[i], &urb[which]);
            assert_int_equal(urb[which].actual, which);
        }
    }
    assert_int_equal(front_stats(frig.rig.front).urbs, 600);
    assert_int_equal(front_stats(frig.rig.front).requests, 600);
    assert_int_equal(front_stats(frig.rig.front).responses, 600);
    frig_dispose(&frig);
}

/* Rules RING-05, RING-06, RING-07, RING-15. */
static void test_front_urbs_notify(void **state)
{
    struct frig frig;
    struct hcd_urb urb[3];
    (void)state;
    frig_start(&frig, 2, 4);
    frig.back.events = 0;
    for (unsigned int i = 0; i < 3; i++) {
        urb[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
        assert_int_equal(frig_submit(&frig, &urb[i]), 0); /* at once, without a step */
        raw_back_drain(&frig.back);
        assert_int_equal(frig.back.events, 1); /* the backend has not asked again */
        assert_int_equal(frig.back.urb->req_prod, i + 1);
    }
    for (unsigned int i = 0; i < 3; i++)
        raw_back_put(&frig.back, (struct usbif_urb_response){.id = frig_take(&frig).id});
    frig.back.urb->rsp_prod = frig.back.rsp_prod;
    frig_run(&frig);
    assert_int_equal(frig.nr_done, 0); /* not told */
    raw_back_plug(&frig.back, 1, USBIF_SPEED_HIGH);
    frig_run(&frig);
    assert_int_equal(frig.nr_done, 3);
    assert_int_equal(front_stats(frig.rig.front).plug_events, 1);
    assert_int_equal(frig.back.urb->rsp_event, 4);
    assert_int_equal(front_stats(frig.rig.front).notifications, 1);
    assert_int_equal(front_stats(frig.rig.front).grants, 3);
    raw_back_take(&frig.back, &(struct usbif_urb_request){0}); /* empty: asks for an event */
    assert_int_equal(frig_submit(&frig, &urb[0]), 0);
    raw_back_drain(&frig.back);
    assert_int_equal(frig.back.events, 2);
    frig_dispose(&frig);
}

/* frontend.h: a recorder sees what was on the ring, once each way. */
static unsigned int tapped[2];

static void tap_submitted(void *context, const struct hcd_urb *urb)
{
    (void)context;
    assert_int_equal(urb->status, -EINPROGRESS);
    tapped[0]++;
}

static void tap_returned(void *context, const struct hcd_urb *urb)
{
    (void)context;
    assert_int_not_equal(urb->status, -EINPROGRESS);
    tapped[1]++;
}

static void test_front_urbs_tap(void **state)
{
    const struct front_tap tap = {.submitted = tap_submitted, .returned = tap_returned};
    struct frig frig;
    struct hcd_urb urb[16];
    (void)state;
    frig_start(&frig, 2, 4);
    front_set_tap(frig.rig.front, &tap);
    tapped[0] = tapped[1] = 0;
    for (unsigned int i = 0; i < 16; i++) {
        urb[i] = frig_control(&frig, (const uint8_t[8]){0x80, 6, 0, 0, 0, 0, 64, 0}, frig.buffer);
        assert_int_equal(frig_submit(&frig, &urb[i]), 0);
    }
    assert_int_equal(tapped[0], 15);
    assert_int_equal(frig_unlink(&frig, &urb[15], -ENOENT), 0);
    assert_int_equal(tapped[1], 0);
    frig_answer(&frig, frig_take(&frig).id, 0, 0);
    assert_int_equal(tapped[1], 1);
    frig_dispose(&frig);
    assert_int_equal(tapped[0], 15);
    assert_int_equal(tapped[1], 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_urbs_request_bytes), cmocka_unit_test(test_front_urbs_segments),
        cmocka_unit_test(test_front_urbs_grants),        cmocka_unit_test(test_front_urbs_refused),
        cmocka_unit_test(test_front_urbs_grant_fails),   cmocka_unit_test(test_front_urbs_status),
        cmocka_unit_test(test_front_urbs_order),         cmocka_unit_test(test_front_urbs_notify),
        cmocka_unit_test(test_front_urbs_tap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
