// SPDX-License-Identifier: MIT
/*
 * Goal: isochronous requests carry their descriptors and nothing else, and a hostile answer stays inside
 * them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "front_rig.h"

static struct hcd_urb iso_urb(struct frig *frig, bool in, struct pvusb_iso_desc *packets, uint16_t count,
                              uint32_t each)
{
    struct hcd_urb urb = frig_data(frig, USBIF_PIPE_TYPE_ISOC, 3, in, frig->buffer, count * each);
    for (uint16_t i = 0; i < count; i++)
        packets[i] = (struct pvusb_iso_desc){.offset = i * each, .length = each};
    urb.packets = packets;
    urb.nr_packets = count;
    urb.interval = 1;
    return urb;
}

/* Rules ISO-01, ISO-02, ISO-03, ISO-12, SEG-04, PIPE-08. */
static void test_front_iso_layout(void **state)
{
    static const struct {
        uint16_t packets;
        uint32_t each;
        uint32_t offset;
        int rc;
        uint16_t data_segs;
    } row[] = {
        {1, 0, 0, 0, 0},      {1, 100, 0, 0, 1},    {8, 192, 4000, 0, 2},        {256, 16, 0, 0, 1},
        {256, 240, 0, 0, 15}, {20, 3072, 0, 0, 15}, {20, 3072, 1, -EMSGSIZE, 0}, {32, 3072, 0, -EMSGSIZE, 0},
        {32, 1920, 0, 0, 15},
    };
    static struct pvusb_iso_desc packets[256];
    struct frig frig;
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(row) / sizeof(row[0]); i++) {
        const bool in = i & 1;
        const uint16_t count = row[i / 2].packets;
        uint8_t *page;
        frig_start(&frig, 2, 4);                /* fresh pages: what is not ours is zero */
        memset(packets, 0xee, sizeof(packets)); /* the guest's neighbouring bytes */
        struct hcd_urb urb = iso_urb(&frig, in, packets, count, row[i / 2].each);
        urb.buffer = frig.buffer + row[i / 2].offset;
        assert_int_equal(frig_submit(&frig, &urb), row[i / 2].rc);
        if (!row[i / 2].rc) {
            struct usbif_urb_request request = frig_take(&frig);
            assert_int_equal(request.nr_buffer_segs, row[i / 2].data_segs);
            assert_int_equal(request.u.isoc.nr_frame_desc_segs, 1);
            assert_int_equal(request.u.isoc.number_of_packets, count);
            assert_int_equal(request.seg[row[i / 2].data_segs].offset, 0);
            assert_int_equal(request.seg[row[i / 2].data_segs].length, 16u * count);
            /* Written by the backend whatever the direction of the data. */
            assert_int_equal(
                raw_back_map_segments(&frig.back, &request, row[i / 2].data_segs, 1, true, &page), 0);
            const struct raw_iso *desc = (const struct raw_iso *)page;
            for (unsigned int p = 0; p < count; p++) {
                assert_int_equal(desc[p].word[0], p * row[i / 2].each);
                assert_int_equal(desc[p].word[1], row[i / 2].each);
            }
            for (size_t at = 16u * count; at < RAW_PAGE; at++)
                assert_int_equal(page[at], 0);
            assert_true((const uint8_t *)packets < page || (const uint8_t *)packets >= page + RAW_PAGE);
            raw_back_unmap_segments(&frig.back, page, 1);
            frig_answer(&frig, request.id, 0, 0);
            assert_int_equal(frig_count_done(&frig, &urb), 1);
        }
        frig_dispose(&frig);
    }
}

/* Rules ISO-06, ISO-11, STA-03, SEC-09. */
static void test_front_iso_results(void **state)
{
    static const struct {
        uint32_t actual;
        int32_t status;
        uint32_t expected_actual;
        int32_t expected_status;
    } row[] = {
        {100, 0, 100, 0},         {0, 0, 0, 0},       {101, 0, 100, 0},           {UINT32_MAX, 0, 100, 0},
        {0x80000000u, 0, 100, 0}, {0, -18, 0, -18},   {50, -71, 50, -71},         {0, -4095, 0, -4095},
        {0, -4096, 0, -EPROTO},   {7, 1, 7, -EPROTO}, {0, INT32_MIN, 0, -EPROTO}, {0, INT32_MAX, 0, -EPROTO},
    };
    enum { N = sizeof(row) / sizeof(row[0]) };
    struct pvusb_iso_desc packets[N];
    struct frig frig;
    uint8_t *page;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = iso_urb(&frig, true, packets, N, 100);
    urb.short_not_ok = true; /* means nothing here */
    assert_int_equal(frig_submit(&frig, &urb), 0);
    struct usbif_urb_request request = frig_take(&frig);
    assert_int_equal(raw_back_map_segments(&frig.back, &request, request.nr_buffer_segs, 1, true, &page), 0);
    for (unsigned int i = 0; i < N; i++) {
        struct raw_iso *desc = (struct raw_iso *)page + i;
        desc->word[0] = 0xffffffff; /* where the packets lie is not the backend's to say */
        desc->word[1] = 0xffffffff;
        desc->word[2] = row[i].actual;
        desc->word[3] = (uint32_t)row[i].status;
    }
    raw_back_unmap_segments(&frig.back, page, 1);
    raw_back_respond(&frig.back,
                     (struct usbif_urb_response){
                         .id = request.id, .start_frame = 0x8765, .actual_length = 77, .error_count = 1000});
    frig_run(&frig);
    assert_int_equal(urb.status, 0);
    assert_int_equal(urb.actual, 77);
    assert_int_equal(urb.start_frame, 0x8765);
    assert_int_equal(urb.error_count, N); /* a counter of its own, never beyond the packets */
    for (unsigned int i = 0; i < N; i++) {
        assert_int_equal(packets[i].offset, i * 100);
        assert_int_equal(packets[i].length, 100);
        assert_int_equal(packets[i].actual_length, row[i].expected_actual);
        assert_int_equal(packets[i].status, row[i].expected_status);
    }
    frig_dispose(&frig);
}

/* Rules ISO-02, ISO-03: each slot has descriptors of its own, ended with the response. */
static void test_front_iso_many(void **state)
{
    enum { N = 10 }; /* as many as streams may hold */
    static struct pvusb_iso_desc packets[N][4];
    struct frig frig;
    struct hcd_urb urb[N];
    struct usbif_urb_request request[N];
    uint8_t *page;
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int i = 0; i < N; i++) {
        urb[i] = iso_urb(&frig, true, packets[i], 4, 10 + i);
        assert_int_equal(frig_submit(&frig, &urb[i]), 0);
        request[i] = frig_take(&frig);
    }
    for (unsigned int i = 0; i < N; i++) {
        assert_int_equal(raw_back_map_segments(&frig.back, &request[i], 1, 1, true, &page), 0);
        struct raw_iso *desc = (struct raw_iso *)page;
        assert_int_equal(desc[3].word[0], 3 * (10 + i));
        for (unsigned int p = 0; p < 4; p++)
            desc[p].word[2] = i % 10;
        raw_back_unmap_segments(&frig.back, page, 1);
    }
    for (unsigned int i = N; i-- > 0;) {
        frig_answer(&frig, request[i].id, 0, 4 * (int32_t)i);
        assert_int_equal(raw_back_map_segments(&frig.back, &request[i], 1, 1, false, &page), -ENOENT);
        for (unsigned int p = 0; p < 4; p++)
            assert_int_equal(packets[i][p].actual_length, i % 10);
    }
    frig_dispose(&frig);
}

/* Rules STA-02, ISO-04: a backend without isochronous transfers; the packets stay as they were. */
static void test_front_iso_unsupported(void **state)
{
    struct pvusb_iso_desc packets[2];
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    struct hcd_urb urb = iso_urb(&frig, true, packets, 2, 32);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    frig_answer(&frig, frig_take(&frig).id, -108, 0);
    assert_int_equal(urb.status, -ESHUTDOWN);
    assert_int_equal(urb.error_count, 0);
    assert_int_equal(packets[1].actual_length, 0);
    assert_int_equal(packets[1].status, 0);
    frig_dispose(&frig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_iso_layout),
        cmocka_unit_test(test_front_iso_results),
        cmocka_unit_test(test_front_iso_many),
        cmocka_unit_test(test_front_iso_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
