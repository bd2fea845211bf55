// SPDX-License-Identifier: MIT
/* Requests of the URB ring that are copied only as far as they are used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pvusb/ring.h>

enum { SLOTS = 64 };

/* One page and the two ends of the ring in it. */
struct fixture {
    _Alignas(64) uint8_t page[PVUSB_PAGE_SIZE];
    struct pvusb_ring_front front;
    struct pvusb_ring_back back;
};

/* The frontend's index, whatever it has put there. */
static void publish(struct fixture *f, uint32_t index)
{
    memcpy(f->page, &index, sizeof(index)); /* req_prod is the first word */
}

static void fixture_init(struct fixture *f, uint32_t index)
{
    pvusb_ring_front_init(&f->front, &pvusb_urb_ring[0], f->page);
    pvusb_ring_front_attach(&f->front, &pvusb_urb_ring[0], f->page, index);
    pvusb_ring_back_attach(&f->back, &pvusb_urb_ring[0], f->page, index);
    publish(f, index);
}

/* RING-04, SEG-10: what a request does not use is neither written nor read. */
static void test_ring_requests_are_copied_as_far_as_used(void **state)
{
    (void)state;
    struct fixture f;
    struct usbif_urb_request sent, got;
    memset(&sent, 0x11, sizeof(sent));
    sent.pipe = (uint32_t)USBIF_PIPE_TYPE_BULK << USBIF_PIPE_TYPE_SHIFT;
    for (uint16_t segs = 0; segs < PVUSB_SEGMENTS_MAX; segs++) {
        fixture_init(&f, 0);
        memset(f.page + SLOTS, 0x22, 148);
        memset(&got, 0x33, sizeof(got));
        sent.nr_buffer_segs = segs;
        const size_t bytes = 20 + 8u * segs;
        assert_true(pvusb_ring_front_put_urb(&f.front, &sent));
        assert_true(pvusb_ring_front_push(&f.front));
        assert_memory_equal(f.page + SLOTS, &sent, bytes);
        assert_int_equal(f.page[SLOTS + bytes], 0x22);
        assert_int_equal(pvusb_ring_back_take_urb(&f.back, &got), PVUSB_OK);
        assert_memory_equal(&got, &sent, bytes);
        assert_int_equal(((const uint8_t *)&got)[bytes], 0x33);
        assert_int_equal(pvusb_ring_back_take_urb(&f.back, &got), PVUSB_EMPTY);
    }
}

/* RING-09: a request is as impossible when only part of it would be copied. */
static void test_ring_used_part_of_impossible_requests(void **state)
{
    (void)state;
    struct fixture f;
    struct usbif_urb_request request = {0};
    fixture_init(&f, 0xfffffff0u);
    publish(&f, 0xfffffff0u + 17);
    assert_int_equal(pvusb_ring_back_take_urb(&f.back, &request), PVUSB_RING_OVERFLOW);
    publish(&f, 0xfffffff0u - 1);
    assert_int_equal(pvusb_ring_back_take_urb(&f.back, &request), PVUSB_RING_UNDERFLOW);
    for (unsigned int i = 0; i < 16; i++)
        assert_true(pvusb_ring_front_put_urb(&f.front, &request));
    assert_false(pvusb_ring_front_put_urb(&f.front, &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_requests_are_copied_as_far_as_used),
        cmocka_unit_test(test_ring_used_part_of_impossible_requests),
    };
    return cmocka_run_group_tests_name("ring: what is used of a request", tests, NULL, NULL);
}
