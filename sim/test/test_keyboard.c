// SPDX-License-Identifier: MIT
/*
 * Goal: the keyboard is one in every bit a driver looks at. Section numbers are those of HID 1.11.
 */
#include "devices/keyboard.h"
#include "test/test_device_util.h"

#define MS UINT64_C(1000000)

static const uint8_t key_a[KEYBOARD_KEYS] = {4};

static struct usb_device *open_keyboard(struct bench *bench, uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(keyboard_create(speed, &device), 0);
    bench_open(bench, device);
    bench->host->ops->reset(bench->host, bench->device);
    assert_int_equal(bench_control(bench, 0x00, 9, 1, 0, 0, NULL), 0);
    return device;
}

static void step(struct bench *bench, uint64_t now_ns)
{
    bench->host->ops->step(bench->host, now_ns);
}

/* Section 7.1, appendix B.1 and E; USB 2.0 section 5.7.3: 8 bytes fit a low-speed packet. */
static void test_keyboard_descriptors(void **state)
{
    (void)state;
    for (uint8_t speed = USBIF_SPEED_LOW; speed <= USBIF_SPEED_HIGH; speed++) {
        struct bench b;
        uint8_t config[64], hid[64], report[128], device[18];
        open_keyboard(&b, speed);
        assert_int_equal(b.host->ops->speed(b.host, b.device), speed);
        assert_int_equal(bench_control(&b, 0x80, 6, 0x0100, 0, 18, device), 18);
        assert_int_equal(device[7], speed == USBIF_SPEED_LOW ? 8 : 64);
        assert_int_equal(bench_control(&b, 0x80, 6, 0x0200, 0, 64, config), 34);
        const uint8_t interface[9] = {9, 4, 0, 0, 1, 3, 1, 1, 0};
        assert_memory_equal(config + 9, interface, 9);
        const uint8_t endpoint[7] = {7, 5, 0x81, 3, 8, 0, speed == USBIF_SPEED_HIGH ? 7 : 10};
        assert_memory_equal(config + 27, endpoint, 7);
        assert_int_equal(bench_control(&b, 0x81, 6, 0x2100, 0, 64, hid), 9);
        assert_memory_equal(config + 18, hid, 9); /* section 7.1: the same one */
        assert_int_equal(bench_control(&b, 0x81, 6, 0x2200, 0, 128, report), hid[7]);
        assert_int_equal(report[0], 0x05);
        assert_int_equal(report[hid[7] - 1], 0xc0);
        assert_int_equal(bench_control(&b, 0x81, 6, 0x2201, 0, 128, report), -EPIPE);
        assert_int_equal(bench_control(&b, 0x81, 6, 0x2200, 1, 128, report), -EPIPE);
        /* USB 2.0 section 9.6.2: only what can do high speed has a qualifier. */
        assert_int_equal(bench_control(&b, 0x80, 6, 0x0600, 0, 10, device),
                         speed == USBIF_SPEED_HIGH ? 10 : -EPIPE);
        bench_close(&b);
    }
}

/* Appendix B.1, E.6: what the items of the report descriptor add up to is the report of 8 bytes. */
static void test_keyboard_report_descriptor(void **state)
{
    (void)state;
    struct bench b;
    uint8_t d[128];
    unsigned int size = 0, count = 0, in = 0, out = 0, depth = 0, max = 0;
    open_keyboard(&b, 0);
    int n = bench_control(&b, 0x81, 6, 0x2200, 0, 128, d);
    for (int i = 0; i < n; i += 1 + (d[i] & 3)) {
        switch (d[i] & 0xfcu) {
        case 0x74:
            size = d[i + 1];
            break;
        case 0x94:
            count = d[i + 1];
            break;
        case 0x80:
            in += size * count;
            break;
        case 0x90:
            out += size * count;
            break;
        case 0xa0:
            depth++;
            break;
        case 0xc0:
            depth--;
            break;
        case 0x28:
            max = d[i + 1];
            break;
        }
    }
    assert_int_equal(in, 64);
    assert_int_equal(out, 8);
    assert_int_equal(depth, 0);
    assert_int_equal(max, 0x65);
    bench_close(&b);
}

/* Section 7.2: requests that have an answer, and those that must stall. */
static void test_keyboard_requests(void **state)
{
    (void)state;
    struct bench b;
    uint8_t byte = 5, report[8];
    struct usb_device *k = open_keyboard(&b, 0);
    assert_int_equal(bench_control(&b, 0xa1, 3, 0, 0, 1, &byte), 1);
    assert_int_equal(byte, 1); /* 7.2.6: report protocol at first */
    assert_int_equal(bench_control(&b, 0xa1, 2, 0, 0, 1, &byte), 1);
    assert_int_equal(byte, 125); /* 7.2.4: 500 ms */
    byte = 5;
    assert_int_equal(bench_control(&b, 0x21, 9, 0x0200, 0, 1, &byte), 1);
    assert_int_equal(keyboard_leds(k), 5);
    byte = 0;
    assert_int_equal(bench_control(&b, 0xa1, 1, 0x0200, 0, 1, &byte), 1);
    assert_int_equal(byte, 5);
    assert_int_equal(bench_control(&b, 0x21, 11, 0, 0, 0, NULL), 0);
    assert_int_equal(keyboard_protocol(k), 0);
    assert_int_equal(bench_control(&b, 0x21, 10, 0x0300, 0, 0, NULL), 0);
    assert_int_equal(keyboard_idle(k), 3);
    assert_int_equal(bench_control(&b, 0xa1, 1, 0x0100, 0, 8, report), 8);
    static const struct {
        uint8_t type, request;
        uint16_t value, index, length;
    } wrong[] = {
        {0xa1, 1, 0x0300, 0, 8}, {0xa1, 1, 0x0101, 0, 8}, {0x21, 9, 0x0100, 0, 1},  {0x21, 9, 0x0200, 0, 2},
        {0x21, 9, 0x0200, 0, 0}, {0x21, 11, 2, 0, 0},     {0x21, 10, 0x0101, 0, 0}, {0xa1, 2, 1, 0, 1},
        {0xa1, 4, 0, 0, 1},      {0x21, 12, 0, 0, 0},     {0x21, 11, 0, 1, 0},      {0x21, 11, 0, 0x100, 0},
        {0x20, 11, 0, 0, 0},     {0x41, 11, 0, 0, 0},     {0x22, 11, 0, 0x81, 0},
    };
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t data[8] = {0};
        assert_int_equal(bench_control(&b, wrong[i].type, wrong[i].request, wrong[i].value, wrong[i].index,
                                       wrong[i].length, data),
                         -EPIPE);
    }
    assert_int_equal(keyboard_leds(k), 5);
    /* USB 2.0 section 9.1.1.5: a reset makes all as it was. */
    b.host->ops->reset(b.host, b.device);
    assert_int_equal(keyboard_leds(k), 0);
    assert_int_equal(keyboard_protocol(k), 1);
    assert_int_equal(keyboard_idle(k), 125);
    assert_int_equal(bench_control(&b, 0x21, 11, 0, 0, 0, NULL), -EPIPE); /* no interface yet */
    bench_close(&b);
}

/* keyboard.h: NAK, then one report per transfer in the order of the keys. */
static void test_keyboard_reports(void **state)
{
    (void)state;
    struct bench b;
    static struct turb t;
    uint32_t actual;
    struct usb_device *k = open_keyboard(&b, 0);
    assert_int_equal(bench_control(&b, 0x21, 10, 0, 0, 0, NULL), 0);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &t);
    step(&b, 5000 * MS);
    assert_int_equal(t.completed, 0);
    assert_int_equal(keyboard_press(k, KEYBOARD_LEFT_SHIFT, key_a), 0);
    assert_int_equal(t.completed, 1);
    assert_int_equal(t.urb.actual, 8);
    const uint8_t pressed[8] = {2, 0, 4};
    assert_memory_equal(t.bytes, pressed, 8);
    assert_int_equal(keyboard_press(k, 0, NULL), 0);
    assert_int_equal(keyboard_queued(k), 1);
    assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, &actual), 0);
    const uint8_t none[8] = {0};
    assert_memory_equal(t.bytes, none, 8);
    /* GET_REPORT tells what the host has seen (7.2.1), and does not take it. */
    keyboard_press(k, 0, key_a);
    uint8_t report[8] = {9};
    assert_int_equal(bench_control(&b, 0xa1, 1, 0x0100, 0, 8, report), 8);
    assert_memory_equal(report, none, 8);
    /* Too little room is a babble, and no key is lost by it (USB 2.0 section 8.7.4). */
    assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 4, &actual), -EOVERFLOW);
    assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, &actual), 0);
    assert_int_equal(t.bytes[2], 4);
    bench_close(&b);
}

/* Section 7.2.4: again every idle time, from the last report on; a change comes at once. */
static void test_keyboard_idle(void **state)
{
    (void)state;
    struct bench b;
    static struct turb t;
    struct usb_device *k = open_keyboard(&b, 0);
    step(&b, 1000 * MS);
    keyboard_press(k, 0, key_a);
    assert_int_equal(b.host->ops->deadline(b.host), UINT64_MAX); /* nobody asks */
    turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, NULL);
    assert_int_equal(bench_control(&b, 0x21, 10, 25 << 8, 0, 0, NULL), 0); /* 100 ms */
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &t);
    assert_int_equal(b.host->ops->deadline(b.host), 1100 * MS);
    step(&b, 1100 * MS - 1);
    assert_int_equal(t.completed, 0);
    step(&b, 1100 * MS);
    assert_int_equal(t.completed, 1);
    assert_int_equal(t.bytes[2], 4);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &t);
    assert_int_equal(t.completed, 0);
    step(&b, 1150 * MS);
    keyboard_press(k, 0, NULL);
    assert_int_equal(t.completed, 1);
    assert_int_equal(t.bytes[2], 0);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &t);
    assert_int_equal(b.host->ops->deadline(b.host), 1250 * MS);
    /* A shorter time that has passed already counts at once; 0 is never. */
    step(&b, 1200 * MS);
    assert_int_equal(bench_control(&b, 0x21, 10, 5 << 8, 0, 0, NULL), 0);
    assert_int_equal(t.completed, 1);
    turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, 8);
    turb_submit(&b, &t);
    assert_int_equal(bench_control(&b, 0x21, 10, 0, 0, 0, NULL), 0);
    assert_int_equal(b.host->ops->deadline(b.host), UINT64_MAX);
    step(&b, 100000 * MS);
    assert_int_equal(t.completed, 0);
    b.host->ops->cancel(b.host, b.device, &t.urb);
    bench_close(&b);
}

/* keyboard.h: HID Usage Tables section 10 for the US layout; all or nothing. */
static void test_keyboard_type(void **state)
{
    (void)state;
    struct bench b;
    static struct turb t;
    static const struct {
        char c;
        uint8_t modifiers, key;
    } keys[] = {{'a', 0, 0x04},  {'Z', 2, 0x1d}, {'1', 0, 0x1e},  {'0', 0, 0x27},  {'!', 2, 0x1e},
                {'#', 2, 0x20},  {')', 2, 0x27}, {'\n', 0, 0x28}, {'\t', 0, 0x2b}, {' ', 0, 0x2c},
                {'-', 0, 0x2d},  {'_', 2, 0x2d}, {'\\', 0, 0x31}, {'|', 2, 0x31},  {';', 0, 0x33},
                {'\'', 0, 0x34}, {'"', 2, 0x34}, {'`', 0, 0x35},  {'~', 2, 0x35},  {',', 0, 0x36},
                {'<', 2, 0x36},  {'.', 0, 0x37}, {'/', 0, 0x38},  {'?', 2, 0x38}};
    struct usb_device *k = open_keyboard(&b, 0);
    for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char text[2] = {keys[i].c, 0};
        const uint8_t down[8] = {keys[i].modifiers, 0, keys[i].key}, up[8] = {0};
        assert_int_equal(keyboard_type(k, text), 0);
        assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, NULL), 0);
        assert_memory_equal(t.bytes, down, 8);
        assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, NULL), 0);
        assert_memory_equal(t.bytes, up, 8);
    }
    assert_int_equal(keyboard_type(k, "ab\xe4"), -EILSEQ);
    assert_int_equal(keyboard_type(k, "\x01"), -EILSEQ);
    assert_int_equal(keyboard_queued(k), 0);
    char text[KEYBOARD_QUEUE / 2 + 1];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(keyboard_type(k, text), 0);
    assert_int_equal(keyboard_queued(k), KEYBOARD_QUEUE);
    assert_int_equal(keyboard_type(k, "y"), -ENOBUFS);
    assert_int_equal(keyboard_press(k, 0, NULL), -ENOBUFS);
    b.host->ops->reset(b.host, b.device);
    assert_int_equal(keyboard_queued(k), 0);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyboard_descriptors), cmocka_unit_test(test_keyboard_report_descriptor),
        cmocka_unit_test(test_keyboard_requests),    cmocka_unit_test(test_keyboard_reports),
        cmocka_unit_test(test_keyboard_idle),        cmocka_unit_test(test_keyboard_type),
    };
    return cmocka_run_group_tests_name("device: keyboard", tests, NULL, NULL);
}
