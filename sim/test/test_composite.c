// SPDX-License-Identifier: MIT
/*
 * Goal: functions keep apart in a composite device, and no device gets endpoints that its speed does not have
 * (USB 2.0 sections 5.5.3 to 5.8.3).
 */
#include "devices/keyboard.h"
#include "devices/serial.h"
#include "test/test_device_util.h"

static struct usb_device *make(uint8_t speed, bool serial_first)
{
    struct function *f[2];
    struct usb_device *device;
    assert_int_equal(serial_function(&(struct serial_config){.loopback = true}, &f[!serial_first]), 0);
    assert_int_equal(keyboard_function(&f[serial_first]), 0);
    assert_int_equal(composite_create(speed, f, 2, &device), 0);
    return device;
}

/* composite.h; ECN "Interface Association Descriptors", and CDC 1.2 section 5.2.3.2: the union follows. */
static void test_composite_descriptors(void **state)
{
    (void)state;
    struct bench b;
    uint8_t d[256];
    bench_open(&b, make(USBIF_SPEED_HIGH, false));
    assert_int_equal(bench_control(&b, 0x80, 6, 0x0100, 0, 18, d), 18);
    const uint8_t class[3] = {0xef, 2, 1};
    assert_memory_equal(d + 4, class, 3);
    assert_int_equal(bench_control(&b, 0x80, 6, 0x0200, 0, 256, d), 9 + 25 + 8 + 58);
    assert_int_equal(d[2], 9 + 25 + 8 + 58);
    assert_int_equal(d[4], 3);
    assert_int_equal(d[9 + 2], 0); /* keyboard: interface 0 */
    assert_int_equal(d[9 + 18 + 2], 0x81);
    const uint8_t association[8] = {8, 11, 1, 2, 2, 2, 1, 0};
    assert_memory_equal(d + 34, association, 8);
    assert_int_equal(d[42 + 2], 1);
    const uint8_t join[5] = {5, 0x24, 6, 1, 2};
    assert_memory_equal(d + 42 + 23, join, 5);
    assert_int_equal(d[42 + 28 + 2], 0x82);
    assert_int_equal(d[42 + 44 + 2], 0x83);
    assert_int_equal(d[42 + 51 + 2], 0x03);
    bench_close(&b);
    bench_open(&b, make(USBIF_SPEED_FULL, true));
    assert_int_equal(bench_control(&b, 0x80, 6, 0x0200, 0, 256, d), 9 + 25 + 8 + 58);
    assert_int_equal(d[9 + 2], 0);
    assert_int_equal(d[75 + 2], 2); /* keyboard: interface 2, endpoint 3 */
    assert_int_equal(d[75 + 18 + 2], 0x83);
    bench_close(&b);
}

/* composite.h: each request and transfer reaches its own function, and no other. */
static void test_composite_functions(void **state)
{
    (void)state;
    struct bench b;
    static struct turb t, k;
    uint8_t line[7] = {0x00, 0xc2, 0x01, 0, 0, 0, 8}, byte = 2;
    struct usb_device *device = make(USBIF_SPEED_HIGH, false);
    bench_open(&b, device);
    assert_int_equal(bench_control(&b, 0x21, 0x22, 3, 1, 0, NULL), -EPIPE); /* not configured yet */
    assert_int_equal(bench_control(&b, 0x00, 9, 1, 0, 0, NULL), 0);
    assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 1, 7, line), 7);
    assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 2, 7, line), -EPIPE);
    assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 0, 7, line), -EPIPE);
    assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 3, 7, line), -EPIPE);
    assert_int_equal(bench_control(&b, 0x21, 9, 0x0200, 0, 1, &byte), 1);
    assert_int_equal(bench_control(&b, 0x21, 9, 0x0200, 1, 1, &byte), -EPIPE);
    assert_int_equal(keyboard_leds(device), 2);
    assert_int_equal(serial_line(device).baud, 115200);
    turb_init(&k, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &k);
    turb_init(&t, USBIF_PIPE_TYPE_BULK, 0x03, 5);
    memcpy(t.bytes, "hello", 5);
    turb_submit(&b, &t);
    assert_int_equal(t.completed, 1);
    assert_int_equal(k.completed, 0);
    assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_BULK, 0x83, 512, NULL), 0);
    assert_memory_equal(t.bytes, "hello", 5);
    keyboard_type(device, "a");
    assert_int_equal(k.completed, 1);
    /* USB 2.0 section 9.4.10: another interface is none of the keyboard's business. */
    assert_int_equal(bench_control(&b, 0x01, 11, 0, 1, 0, NULL), 0);
    assert_int_equal(keyboard_leds(device), 2);
    assert_int_equal(keyboard_queued(device), 1);
    assert_int_equal(serial_line(device).baud, 9600);
    assert_int_equal(bench_control(&b, 0x00, 9, 1, 0, 0, NULL), 0);
    assert_int_equal(keyboard_leds(device), 0);
    bench_close(&b);
}

/* composite.h: what cannot be is refused, and nothing leaks. */
static void test_composite_refused(void **state)
{
    (void)state;
    struct function *f[COMPOSITE_FUNCTIONS_MAX + 1];
    struct usb_device *device;
    for (unsigned int i = 0; i <= COMPOSITE_FUNCTIONS_MAX; i++)
        assert_int_equal(keyboard_function(&f[i]), 0);
    assert_int_equal(composite_create(USBIF_SPEED_FULL, f, COMPOSITE_FUNCTIONS_MAX + 1, &device), -EINVAL);
    assert_int_equal(composite_create(USBIF_SPEED_FULL, f, 0, &device), -EINVAL);
    assert_int_equal(keyboard_function(&f[0]), 0);
    assert_int_equal(composite_create(USBIF_SPEED_HIGH + 1, f, 1, &device), -EINVAL);
    assert_int_equal(keyboard_function(&f[0]), 0);
    assert_int_equal(serial_function(&(struct serial_config){0}, &f[1]), 0);
    assert_int_equal(composite_create(USBIF_SPEED_LOW, f, 2, &device), -EINVAL);
    for (unsigned int i = 0; i < COMPOSITE_FUNCTIONS_MAX; i++)
        assert_int_equal(keyboard_function(&f[i]), 0);
    assert_int_equal(composite_create(USBIF_SPEED_LOW, f, COMPOSITE_FUNCTIONS_MAX, &device), 0);
    device_destroy(device);
}

/* USB 2.0 sections 5.5.3, 5.6.3, 5.7.3 and 5.8.3. */
static void test_composite_packets(void **state)
{
    (void)state;
    static const struct {
        uint8_t speed, packet0, type;
        uint16_t packet;
        int rc;
    } rows[] = {
        {USBIF_SPEED_LOW, 8, 3, 8, 0},
        {USBIF_SPEED_LOW, 8, 3, 9, -EINVAL},
        {USBIF_SPEED_LOW, 8, 2, 8, -EINVAL},
        {USBIF_SPEED_LOW, 8, 1, 8, -EINVAL},
        {USBIF_SPEED_LOW, 16, 3, 8, -EINVAL},
        {USBIF_SPEED_FULL, 8, 3, 64, 0},
        {USBIF_SPEED_FULL, 64, 3, 65, -EINVAL},
        {USBIF_SPEED_FULL, 24, 3, 8, -EINVAL},
        {USBIF_SPEED_FULL, 64, 2, 8, 0},
        {USBIF_SPEED_FULL, 64, 2, 48, -EINVAL},
        {USBIF_SPEED_FULL, 64, 2, 128, -EINVAL},
        {USBIF_SPEED_FULL, 64, 1, 1023, 0},
        {USBIF_SPEED_FULL, 64, 1, 1024, -EINVAL},
        {USBIF_SPEED_HIGH, 64, 2, 512, 0},
        {USBIF_SPEED_HIGH, 64, 2, 64, -EINVAL},
        {USBIF_SPEED_HIGH, 64, 3, 1024, 0},
        {USBIF_SPEED_HIGH, 64, 3, 1025, -EINVAL},
        {USBIF_SPEED_HIGH, 32, 2, 512, -EINVAL},
        {USBIF_SPEED_HIGH, 64, 1, 1024, 0},
        {USBIF_SPEED_HIGH, 64, 1, 1025, -EINVAL},
        {USBIF_SPEED_FULL, 64, 3, 0, -EINVAL},
    };
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const struct usb_device_ops ops = {0};
        const uint8_t d[18] = {18, 1, 0, 2, 0, 0, 0, rows[i].packet0, 9, 18, 1, 0, 0, 1, 0, 0, 0, 1};
        const uint8_t c[25] = {9,
                               2,
                               25,
                               0,
                               1,
                               1,
                               0,
                               0x80,
                               50,
                               9,
                               4,
                               0,
                               0,
                               1,
                               0xff,
                               0,
                               0,
                               0,
                               7,
                               5,
                               0x81,
                               rows[i].type,
                               (uint8_t)rows[i].packet,
                               (uint8_t)(rows[i].packet >> 8),
                               1};
        const uint8_t *configs[1] = {c};
        struct usb_descriptors descriptors = {.device = d, .configurations = configs, .speed = rows[i].speed};
        struct usb_device device;
        int rc = device_init(&device, &ops, &descriptors);
        if (rc != rows[i].rc)
            fail_msg("row %u: %d", i, rc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_composite_descriptors),
        cmocka_unit_test(test_composite_functions),
        cmocka_unit_test(test_composite_refused),
        cmocka_unit_test(test_composite_packets),
    };
    return cmocka_run_group_tests_name("device: composite", tests, NULL, NULL);
}
