// SPDX-License-Identifier: MIT
/* Goal: the tablet is one in every bit a driver looks at. Section numbers are those of HID 1.11. */
#include "devices/tablet.h"
#include "test/test_device_util.h"

static struct usb_device *open_tablet(struct bench *bench)
{
    struct usb_device *device;
    assert_int_equal(tablet_create(&device), 0);
    bench_open(bench, device);
    bench->host->ops->reset(bench->host, bench->device);
    assert_int_equal(bench_control(bench, 0x00, 9, 1, 0, 0, NULL), 0);
    return device;
}

/* Section 7.1; what the items of the report descriptor add up to is the report of 6 bytes (section 6.2.2). */
static void test_tablet_descriptors(void **state)
{
    (void)state;
    struct bench b;
    uint8_t config[64], hid[64], d[128];
    unsigned int size = 0, count = 0, in = 0;
    int depth = 0;
    open_tablet(&b);
    assert_int_equal(b.host->ops->speed(b.host, b.device), USBIF_SPEED_FULL);
    assert_int_equal(bench_control(&b, 0x80, 6, 0x0200, 0, 64, config), 34);
    const uint8_t interface[9] = {9, 4, 0, 0, 1, 3, 0, 0, 0};
    assert_memory_equal(config + 9, interface, 9);
    const uint8_t endpoint[7] = {7, 5, 0x81, 3, 6, 0, 10};
    assert_memory_equal(config + 27, endpoint, 7);
    assert_int_equal(bench_control(&b, 0x81, 6, 0x2100, 0, 64, hid), 9);
    assert_memory_equal(config + 18, hid, 9);
    int n = bench_control(&b, 0x81, 6, 0x2200, 0, 128, d);
    assert_int_equal(n, hid[7]);
    for (int i = 0; i < n; i += 1 + (d[i] & 3)) {
        const uint8_t item = d[i] & 0xfcu;
        if (item == 0x74)
            size = d[i + 1];
        else if (item == 0x94)
            count = d[i + 1];
        else if (item == 0x80)
            in += size * count;
        depth += item == 0xa0 ? 1 : item == 0xc0 ? -1 : 0;
    }
    assert_int_equal(depth, 0);
    assert_int_equal(in, 48);
    bench_close(&b);
}

/* Section 5.6: a move is told once, the last one of several; places that are none are cut off. */
static void test_tablet_moves(void **state)
{
    (void)state;
    struct bench b;
    struct turb t;
    uint8_t report[8];
    struct usb_device *device = open_tablet(&b);
    const struct tablet_state first = {.buttons = 1, .x = 1, .y = 2};
    const struct tablet_state last = {.buttons = 0xff, .x = 0x1234, .y = 0xffff, .wheel = -1};
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 6);
    turb_submit(&b, &t);
    assert_int_equal(t.completed, 0);
    tablet_move(device, &first);
    assert_int_equal(t.completed, 1);
    const uint8_t one[6] = {1, 1, 0, 2, 0, 0};
    assert_int_equal(host_urb_read(&t.urb, 0, report, 6), 6);
    assert_memory_equal(report, one, 6);
    tablet_move(device, &first);
    tablet_move(device, &last);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 6);
    turb_submit(&b, &t);
    assert_int_equal(t.completed, 1);
    const uint8_t two[6] = {7, 0x34, 0x12, 0xff, 0x7f, 0xff};
    assert_int_equal(host_urb_read(&t.urb, 0, report, 6), 6);
    assert_memory_equal(report, two, 6);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 6);
    turb_submit(&b, &t);
    assert_int_equal(t.completed, 0); /* nothing new */
    assert_int_equal(bench_control(&b, 0xa1, 1, 0x0100, 0, 8, report), 6);
    assert_int_equal(report[5], 0); /* the wheel counts from report to report */
    assert_int_equal(bench_control(&b, 0x21, 10, 0, 0, 0, NULL), 0);
    assert_int_equal(bench_control(&b, 0x21, 10, 0x0100, 0, 0, NULL), -EPIPE);
    assert_int_equal(bench_control(&b, 0x21, 11, 0, 0, 0, NULL), -EPIPE);
    b.host->ops->cancel(b.host, b.device, &t.urb);
    assert_int_equal(t.completed, 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tablet_descriptors),
        cmocka_unit_test(test_tablet_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
