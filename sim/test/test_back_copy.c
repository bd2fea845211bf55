// SPDX-License-Identifier: MIT
/*
 * Grant copy at the backend (backend.h enum back_buffers): small data of a frontend that does not keep its grants is copied
 * and nothing of the guest's is mapped for it; what the guest sees is the same.
 */
#include "back_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BULK_IN   RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 1)
#define BULK_OUT  RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 0)
#define RINGS     2u
#define CANARY    0xcc
#define SMALL_MAX 4096u

static void ready(struct lab *lab, enum back_buffers buffers)
{
    lab_init(lab, USB_VER_USB20, 4);
    lab->rig.buffers = buffers;
    rig_start_back(&lab->rig);
    lab_run(lab);
    lab_plug(lab, 1, "1-1", USBIF_SPEED_HIGH);
    raw_front_connect(&lab->front[0]);
    lab_run(lab);
    lab_expect_event(lab, 1, USBIF_SPEED_HIGH);
    lab_set_address(lab, 0, 1, LAB_ADDRESS);
    scripted_host_clear_log(&lab->rig.host);
}

static bool is_copied(enum back_buffers buffers, uint32_t length)
{
    return buffers == BACK_BUFFERS_COPY || length <= SMALL_MAX;
}

/* SEG-02, SEG-07, SEG-13, SEC-05: every byte where it belongs, none elsewhere, also after a short transfer. */
static void test_back_copy_in(void **state)
{
    static const struct {
        uint32_t offset, length, actual;
    } cases[] = {{0, 1, 1},          {4095, 2, 2},      {100, 4096, 4096}, {100, 4096, 3996}, {100, 4096, 3997}, {7, 64, 0},
                 {100, 4097, 4097}, {1, 61440, 61440}, {0, 65536, 65536}, {4000, 61440, 97}};
    static uint8_t data[65536];
    (void)state;
    for (unsigned int i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + i / 251);
    for (int mode = 0; mode < 2; mode++) {
        enum back_buffers buffers = mode ? BACK_BUFFERS_COPY : BACK_BUFFERS_BEST;
        struct lab lab;
        ready(&lab, buffers);
        struct raw_front *f = &lab.front[0];
        for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            size_t all = RAW_PAGES * (size_t)PVUSB_PAGE_SIZE;
            bool copied = is_copied(buffers, cases[i].length);
            struct usbif_urb_request request = raw_request(7, BULK_IN);
            raw_buffer(f, &request, cases[i].offset, cases[i].length);
            memset(f->page, CANARY, all);
            uint64_t before = back_stats(lab.rig.back).copied_bytes;
            lab_send(&lab, &request);
            assert_int_equal(lab.rig.host.held[0]->length, cases[i].length);
            assert_int_equal(lab_maps(&lab), RINGS + (copied ? 0 : request.nr_buffer_segs));
            lab_complete(&lab, 0, 0, data, cases[i].actual);
            lab_expect(&lab, 7, 0, (int32_t)cases[i].actual);
            assert_int_equal(back_stats(lab.rig.back).copied_bytes - before, copied ? cases[i].actual : 0);
            assert_memory_equal(f->page + cases[i].offset, data, cases[i].actual);
            for (size_t b = 0; b < all; b++) {
                if (b < cases[i].offset || b >= cases[i].offset + cases[i].actual)
                    assert_int_equal(f->page[b], CANARY);
            }
        }
        lab_dispose(&lab);
    }
}

/* PIPE-08: OUT data, also from pages that may only be read; a copy: what the guest writes later does not count. */
static void test_back_copy_out(void **state)
{
    struct lab lab;
    uint8_t seen[1000], meant[1000];
    (void)state;
    ready(&lab, BACK_BUFFERS_BEST);
    struct raw_front *f = &lab.front[0];
    for (int readonly = 0; readonly < 2; readonly++) {
        const grant_ref_t *refs = readonly ? f->ro : f->rw;
        struct usbif_urb_request request = raw_request(8, BULK_OUT);
        for (unsigned int i = 0; i < 2 * PVUSB_PAGE_SIZE; i++)
            f->page[i] = (uint8_t)(i * 7 + i / 255);
        memcpy(meant, f->page + 3996, sizeof(meant));
        raw_segment(&request, refs[0], 3996, 100);
        raw_segment(&request, refs[1], 0, 900);
        lab_send(&lab, &request);
        memset(f->page, CANARY, 2 * PVUSB_PAGE_SIZE);
        assert_int_equal(host_urb_read(lab.rig.host.held[0], 0, seen, sizeof(seen)), sizeof(seen));
        assert_memory_equal(seen, meant, sizeof(seen));
        lab_complete(&lab, 0, 0, NULL, 1000);
        lab_expect(&lab, 8, 0, 1000);
        assert_int_equal(f->page[0], CANARY);
    }
    lab_dispose(&lab);
}

/* SEG-08: a page that cannot be used is refused before the device hears of it; one that goes meanwhile, afterwards. */
static void test_back_copy_bad_pages(void **state)
{
    struct lab lab;
    (void)state;
    ready(&lab, BACK_BUFFERS_BEST);
    struct raw_front *f = &lab.front[0];
    const struct {
        uint32_t pipe;
        grant_ref_t ref;
    } bad[] = {{BULK_IN, f->ro[0]}, {BULK_IN, 0xffffffff}, {BULK_OUT, 5}, {BULK_OUT, f->rw[0] + 5000}};
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct usbif_urb_request request = raw_request(1, bad[i].pipe);
        raw_segment(&request, f->rw[1], 0, 64);
        raw_segment(&request, bad[i].ref, 0, 64);
        lab_send(&lab, &request);
        lab_expect(&lab, 1, -108, 0);
        assert_int_equal(lab.rig.host.nr_held, 0);
    }
    struct usbif_urb_request request = raw_request(2, BULK_IN);
    raw_segment(&request, f->rw[2], 0, 64);
    lab_send(&lab, &request);
    assert_int_equal(f->xen->ops->grant_revoke(f->xen, f->rw[2]), 0);
    lab_complete(&lab, 0, 0, "abcd", 4);
    lab_expect(&lab, 2, -108, 0);
    assert_int_equal(f->page[2 * PVUSB_PAGE_SIZE], 0);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* Data that goes out waits in a place of its own for each request. */
static void test_back_copy_out_many(void **state)
{
    struct lab lab;
    uint8_t seen;
    (void)state;
    ready(&lab, BACK_BUFFERS_BEST);
    struct raw_front *f = &lab.front[0];
    for (uint16_t i = 0; i < 16; i++) {
        struct usbif_urb_request request = raw_request(i, BULK_OUT);
        f->page[i * PVUSB_PAGE_SIZE] = (uint8_t)('a' + i);
        raw_buffer(f, &request, i * PVUSB_PAGE_SIZE, 1);
        lab_send(&lab, &request);
    }
    for (unsigned int i = 0; i < 16; i++) {
        assert_int_equal(host_urb_read(lab.rig.host.held[i], 0, &seen, 1), 1);
        assert_int_equal(seen, 'a' + i);
    }
    for (uint16_t i = 0; i < 16; i++) {
        lab_complete(&lab, 0, 0, NULL, 1);
        lab_expect(&lab, i, 0, 1);
    }
    lab_dispose(&lab);
}

/* Sixteen at once, completed in another order, each with its own bytes; and some cut off by an unlink or an unplug. */
static void test_back_copy_many(void **state)
{
    struct lab lab;
    (void)state;
    ready(&lab, BACK_BUFFERS_COPY);
    struct raw_front *f = &lab.front[0];
    for (uint16_t i = 0; i < 16; i++) {
        struct usbif_urb_request request = raw_request(i, BULK_IN);
        raw_buffer(f, &request, i * PVUSB_PAGE_SIZE, 100);
        raw_front_put(f, &request);
    }
    raw_front_push(f);
    lab_run(&lab);
    assert_int_equal(lab.rig.host.nr_held, 16);
    for (uint16_t i = 0; i < 12; i++) {
        char data[100];
        memset(data, 'p' - i, sizeof(data));
        lab_complete(&lab, 15u - i, 0, data, sizeof(data));
        lab_expect(&lab, (uint16_t)(15 - i), 0, sizeof(data));
    }
    for (unsigned int i = 4; i < 16; i++)
        assert_int_equal(f->page[i * PVUSB_PAGE_SIZE + 99], 'a' + i);
    scripted_host_unplug(&lab.rig.host, "1-1");
    lab_run(&lab);
    for (uint16_t i = 0; i < 4; i++)
        lab_expect(&lab, i, -19, 0);
    lab_expect_event(&lab, 1, 0);
    lab_dispose(&lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_copy_in),
        cmocka_unit_test(test_back_copy_out),
        cmocka_unit_test(test_back_copy_bad_pages),
        cmocka_unit_test(test_back_copy_out_many),
        cmocka_unit_test(test_back_copy_many),
    };
    return cmocka_run_group_tests_name("back_copy", tests, NULL, NULL);
}
