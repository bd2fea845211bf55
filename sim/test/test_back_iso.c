// SPDX-License-Identifier: MIT
/* Goal: isochronous requests with the descriptors of Linux, read once, checked, and given back filled in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV LAB_ADDRESS

/* struct usb_iso_packet_descriptor of Linux (rule ISO-02), written out here. */
struct desc {
    uint32_t offset, length, actual_length;
    int32_t status;
};

/*
 * An isochronous request of n packets of size bytes: data from the start of the buffer pages,
 * descriptors from byte `at` of page 16 on, in as many segments as that takes.
 */
static struct usbif_urb_request iso(struct raw_front *f, bool in, unsigned int n, uint32_t size, uint32_t at)
{
    struct usbif_urb_request request = raw_request(0x150, RAW_PIPE(RAW_ISO, DEV, 2, in));
    struct usbif_urb_request descs = raw_request(0, 0);
    uint32_t base = 16 * PVUSB_PAGE_SIZE + at;
    for (unsigned int i = 0; i < n; i++) {
        const struct desc desc = {i * size, size, 0x5555, 0x5555};
        memcpy(f->page + base + i * sizeof(desc), &desc, sizeof(desc));
    }
    raw_buffer(f, &request, 0, n * size);
    raw_buffer(f, &descs, base, (uint32_t)(n * sizeof(struct desc)));
    for (unsigned int i = 0; i < descs.nr_buffer_segs; i++)
        request.seg[request.nr_buffer_segs + i] = descs.seg[i];
    request.u.isoc.interval = 8;
    request.u.isoc.start_frame = 1000; /* rule ISO-11: without effect */
    request.u.isoc.number_of_packets = (uint16_t)n;
    request.u.isoc.nr_frame_desc_segs = descs.nr_buffer_segs;
    return request;
}

static struct desc desc_of(struct raw_front *f, uint32_t at, unsigned int i)
{
    struct desc desc;
    memcpy(&desc, f->page + 16 * PVUSB_PAGE_SIZE + at + i * sizeof(desc), sizeof(desc));
    return desc;
}

static struct usbif_urb_response take(struct lab *lab)
{
    struct raw_front *f = &lab->front[0];
    assert_int_equal(f->nr_rsp, 1);
    f->nr_rsp = 0;
    return f->rsp[0];
}

/* MAL-15, ISO-01, ISO-02, ISO-06, ISO-08, ISO-11: sizes, places and segments; packet i moves i bytes less. */
static void test_iso_in(void **state)
{
    static const struct {
        unsigned int n;
        uint32_t size, at;
    } cases[] = {{1, 64, 0},      {8, 192, 100},  {8, 192, 4095}, {32, 188, 4096 - 16}, {256, 192, 0},
                 {256, 224, 40},  {3, 1024, 4090}, {256, 1, 4095}, {12, 5120, 0},       {15, 4096, 0}};
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        unsigned int n = cases[c].n;
        memset(f->page, 0xee, RAW_PAGES * (size_t)PVUSB_PAGE_SIZE);
        struct usbif_urb_request request = iso(f, true, n, cases[c].size, cases[c].at);
        lab_send(&lab, &request);
        assert_int_equal(lab.rig.host.nr_held, 1);
        struct host_urb *urb = lab.rig.host.held[0];
        assert_int_equal(urb->type, RAW_ISO);
        assert_int_equal(urb->endpoint, 2);
        assert_int_equal(urb->interval, 8);
        assert_int_equal(urb->nr_packets, n);
        assert_int_equal(urb->length, n * cases[c].size);
        assert_int_equal(lab_maps(&lab), 2 + request.nr_buffer_segs + request.u.isoc.nr_frame_desc_segs);
        for (unsigned int i = 0; i < n; i++) {
            assert_int_equal(urb->packets[i].offset, i * cases[c].size);
            assert_int_equal(urb->packets[i].length, cases[c].size);
            assert_int_equal(urb->packets[i].actual_length, 0); /* not what the guest had there */
            assert_int_equal(urb->packets[i].status, -EXDEV);
            urb->packets[i].actual_length = cases[c].size - (i % cases[c].size);
            urb->packets[i].status = i == 2 ? -EPROTO : 0;
            host_urb_write(urb, i * cases[c].size, "P", 1);
        }
        urb->error_count = n > 2;
        urb->start_frame = 0xfffe;
        lab_complete(&lab, 0, 0, NULL, n);
        struct usbif_urb_response rsp = take(&lab);
        assert_int_equal(rsp.id, 0x150);
        assert_int_equal(rsp.status, 0);
        assert_int_equal(rsp.actual_length, n);
        assert_int_equal(rsp.error_count, n > 2);
        assert_int_equal(rsp.start_frame, 0xfffe);
        for (unsigned int i = 0; i < n; i++) {
            struct desc desc = desc_of(f, cases[c].at, i);
            assert_int_equal(desc.offset, i * cases[c].size);
            assert_int_equal(desc.length, cases[c].size);
            assert_int_equal(desc.actual_length, cases[c].size - (i % cases[c].size));
            assert_int_equal(desc.status, i == 2 ? -EPROTO : 0);
            assert_int_equal(f->page[i * cases[c].size], 'P');
        }
        /* SEC-05: canaries on both sides of the descriptors. */
        if (cases[c].at > 0)
            assert_int_equal(f->page[16 * PVUSB_PAGE_SIZE + cases[c].at - 1], 0xee);
        assert_int_equal(f->page[16 * PVUSB_PAGE_SIZE + cases[c].at + n * sizeof(struct desc)], 0xee);
        assert_int_equal(lab_maps(&lab), 2);
    }
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* ISO-01, PIPE-08: OUT data may be read-only; the descriptors must be writable, for both directions. */
static void test_iso_out(void **state)
{
    struct lab lab;
    uint8_t seen[300];
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < sizeof(seen); i++)
        f->page[i] = (uint8_t)(i * 3);
    struct usbif_urb_request request = iso(f, false, 3, 100, 4096 - 20);
    assert_int_equal(request.u.isoc.nr_frame_desc_segs, 2);
    request.seg[0].gref = f->ro[0];
    lab_send(&lab, &request);
    struct host_urb *urb = lab.rig.host.held[0];
    assert_false(urb->in);
    assert_int_equal(host_urb_read(urb, 0, seen, 300), 300);
    assert_memory_equal(seen, f->page, 300);
    for (unsigned int i = 0; i < 3; i++) {
        urb->packets[i].actual_length = 100;
        urb->packets[i].status = 0;
    }
    lab_complete(&lab, 0, 0, NULL, 300);
    struct usbif_urb_response rsp = take(&lab);
    assert_int_equal(rsp.actual_length, 300);
    assert_int_equal(desc_of(f, 4096 - 20, 2).actual_length, 100);
    assert_int_equal(desc_of(f, 4096 - 20, 2).status, 0);

    for (unsigned int i = 0; i < 2; i++) {
        request = iso(f, i, 3, 100, 0);
        request.seg[1].gref = f->ro[16];
        lab_send(&lab, &request);
        lab_expect(&lab, 0x150, -108, 0);
        assert_int_equal(lab_maps(&lab), 2); /* the data was mapped by then */
    }
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* ISO-09: Linux sends a transfer without data with no descriptors and leaves the number of packets set. */
static void test_iso_empty(void **state)
{
    static const uint16_t numbers[] = {0, 1, 8, 257, 65535};
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct usbif_urb_request request = raw_request(9, RAW_PIPE(RAW_ISO, DEV, 2, 1));
        request.u.isoc.number_of_packets = numbers[i];
        request.u.isoc.nr_frame_desc_segs = 0;
        lab_send(&lab, &request);
        assert_int_equal(lab.rig.host.nr_held, 1);
        assert_int_equal(lab.rig.host.held[0]->nr_packets, 0);
        lab_complete(&lab, 0, 0, NULL, 0);
        lab_expect(&lab, 9, 0, 0);
    }
    lab_dispose(&lab);
}

/*
 * ISO-06: an iso request that is cancelled or loses its device gives its descriptors back too: nothing was
 * done.
 */
static void test_iso_ended_early(void **state)
{
    for (unsigned int how = 0; how < 2; how++) {
        struct lab lab;
        (void)state;
        lab_ready(&lab, 4);
        struct raw_front *f = &lab.front[0];
        struct usbif_urb_request request = iso(f, true, 8, 64, 0);
        lab_send(&lab, &request);
        if (how == 0) {
            request = raw_unlink(1, RAW_PIPE(RAW_ISO, DEV, 2, 1), 0x150);
            lab_send(&lab, &request);
            lab_expect(&lab, 0x150, -71, 0);
            lab_expect(&lab, 1, 0, 0);
        } else {
            scripted_host_unplug(&lab.rig.host, "1-1");
            lab_run(&lab);
            lab_expect(&lab, 0x150, -19, 0);
        }
        for (unsigned int i = 0; i < 8; i++) {
            assert_int_equal(desc_of(f, 0, i).status, -EXDEV);
            assert_int_equal(desc_of(f, 0, i).actual_length, 0);
        }
        assert_int_equal(lab_maps(&lab), 2);
        lab_dispose(&lab);
    }
}

/* XFR-11: error_count and start_frame are of isochronous transfers; a failed transfer keeps them. */
static void test_iso_result(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = iso(&lab.front[0], true, 8, 64, 0);
    lab_send(&lab, &request);
    lab.rig.host.held[0]->error_count = 8;
    lab.rig.host.held[0]->start_frame = 77;
    lab_complete(&lab, 0, -EPROTO, NULL, 0);
    struct usbif_urb_response rsp = take(&lab);
    assert_int_equal(rsp.status, -71);
    assert_int_equal(rsp.error_count, 8);
    assert_int_equal(rsp.start_frame, 77);
    lab_send(&lab, &request); /* the same memory: nothing is left of before */
    lab_complete(&lab, 0, 0, NULL, 0);
    rsp = take(&lab);
    assert_int_equal(rsp.error_count, 0);
    assert_int_equal(rsp.start_frame, 0);
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso_in),
        cmocka_unit_test(test_iso_out),
        cmocka_unit_test(test_iso_empty),
        cmocka_unit_test(test_iso_ended_early),
        cmocka_unit_test(test_iso_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
