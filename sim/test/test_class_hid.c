// SPDX-License-Identifier: MIT
/*
 * Goal: what is typed on a keyboard is what the guest's driver says, at every speed and whatever goes wrong
 * on the way. Section numbers are those of HID 1.11.
 */
#include "test/class_bed.h"

static const char *const sentence = "The quick brown Fox, 42 times: {over} the \"lazy\" dog?\n";

static bool sentence_typed(const struct bed *bed)
{
    return strcmp(bed->ports[1].typed, sentence) == 0 && bed->ports[1].keys_down == 0;
}

static void test_class_hid_types(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        for (uint8_t speed = USBIF_SPEED_LOW; speed <= USBIF_SPEED_HIGH; speed++) {
            struct bed bed;
            /* A low-speed keyboard on a USB 1.1 controller too (rule CONN-13). */
            bed_open(&bed, kind, speed == USBIF_SPEED_HIGH ? 2 : 1);
            bed_plug_ready(&bed, 1, bed_keyboard(speed));
            struct usb_device *k = bed_device(&bed, 1);
            assert_int_equal(bed.ports[1].device->speed, speed);
            assert_string_equal(bed.ports[1].device->strings[1], "Simulated keyboard");
            assert_int_equal(keyboard_protocol(k), 0); /* boot */
            assert_int_equal(keyboard_idle(k), 0);
            assert_int_equal(keyboard_type(k, sentence), 0);
            assert_true(bed_run(&bed, SECOND, sentence_typed));
            hid_set_leds(bed.ports[1].hid, KEYBOARD_NUM_LOCK);
            hid_set_leds(bed.ports[1].hid, KEYBOARD_SCROLL_LOCK);
            hid_set_leds(bed.ports[1].hid, KEYBOARD_CAPS_LOCK); /* the latest wins */
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(keyboard_leds(k), KEYBOARD_CAPS_LOCK);
            assert_int_equal(hid_stats(bed.ports[1].hid).failures, 0);
            bed_close(&bed);
        }
    }
}

/* hid.h: each key once, whatever its place in the report; roll over changes nothing (appendix C). */
static void test_class_hid_keys(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, BED_LOOP, 2);
    bed_plug_ready(&bed, 1, bed_keyboard(USBIF_SPEED_LOW));
    struct usb_device *k = bed_device(&bed, 1);
    struct bed_port *port = &bed.ports[1];
    static const struct {
        uint8_t modifiers, keys[KEYBOARD_KEYS];
        unsigned int down;
        const char *typed;
    } rows[] = {
        {0, {4, 5}, 2, "ab"},         {0, {5, 6, 4}, 3, "abc"},     {0, {1, 1, 1, 1, 1, 1}, 3, "abc"},
        {0xff, {5, 6, 4}, 11, "abc"}, {0x20, {7, 7, 7}, 2, "abcD"}, {0, {0, 0, 0, 0, 0, 7}, 1, "abcD"},
        {0, {2, 3, 0xff}, 1, "abcD"}, /* 2 and 3 are errors; 0xff is a key without a character */
        {0, {0}, 0, "abcD"},
    };
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(keyboard_press(k, rows[i].modifiers, rows[i].keys), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->keys_down, rows[i].down);
        assert_string_equal(port->typed, rows[i].typed);
    }
    assert_int_equal(hid_stats(port->hid).ignored, 1);
    assert_int_equal(hid_ascii(0x38, 0), '/');
    assert_int_equal(hid_ascii(0x39, 0), 0);
    assert_int_equal(hid_ascii(3, 0), 0);
    bed_close(&bed);
}

/* hid.h: a halt is cleared and no key is lost; one that stays ends the driver, and not in a loop for ever. */
static void test_class_hid_stall(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, bed_keyboard(USBIF_SPEED_LOW));
        struct usb_device *k = bed_device(&bed, 1);
        for (unsigned int i = 0; i < 30; i++) {
            const char text[2] = {sentence[i], 0};
            device_halt(k, 0x81);
            assert_int_equal(keyboard_type(k, text), 0);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(bed.ports[1].nr_typed, i + 1);
            assert_int_equal(hid_stats(bed.ports[1].hid).failures, i + 1);
        }
        device_wedge(k, 0x81, true);
        bed_run(&bed, 10 * SECOND, NULL);
        assert_int_equal(bed.ports[1].hid_status, -EPIPE);
        assert_int_equal(hid_stats(bed.ports[1].hid).failures, 30 + 10);
        assert_false(hid_busy(bed.ports[1].hid));
        bed_close(&bed);
    }
}

/* ---- keyboards that are none ---- */

static struct usb_device_ops odd_ops;
static struct {
    uint8_t stall_request; /* class requests that stall */
    uint32_t report;       /* bytes of each report, 0: as it should be */
    unsigned int asked;
} odd;
static int (*honest_in)(struct usb_device *device, struct device_endpoint *ep);

static int odd_intercept(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    (void)device;
    (void)ep;
    if (setup->type != 0x21 || setup->request != odd.stall_request)
        return DEVICE_PASS;
    odd.asked++;
    return -EPIPE;
}

static int odd_in(struct usb_device *device, struct device_endpoint *ep)
{
    static const uint8_t junk[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (!odd.report)
        return honest_in(device, ep);
    device_in_copy(ep, junk, odd.report);
    odd.report = 0;
    return DEVICE_DONE;
}

static struct usb_device *odd_keyboard(uint8_t stall_request)
{
    struct usb_device *device = bed_keyboard(USBIF_SPEED_LOW);
    memset(&odd, 0, sizeof(odd));
    odd.stall_request = stall_request;
    odd_ops = *device->ops;
    honest_in = device->ops->in;
    odd_ops.intercept = odd_intercept;
    odd_ops.in = odd_in;
    device->ops = &odd_ops;
    return device;
}

/* Section 7.2: SET_PROTOCOL is what makes reports mean something; idle and LEDs may be missing. */
static void test_class_hid_odd(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug(&bed, 1, odd_keyboard(11));
        bed_run(&bed, 10 * SECOND, NULL);
        assert_int_equal(bed.ports[1].hid_status, -EPIPE);
        assert_int_equal(odd.asked, 1);
        assert_false(hid_busy(bed.ports[1].hid));
        bed_unplug(&bed, 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].gone, 1);

        bed_plug_ready(&bed, 2, odd_keyboard(10));
        assert_int_equal(odd.asked, 1);
        for (uint32_t n = 1; n < 8; n++) {
            odd.report = n;
            device_kick(bed_device(&bed, 2), 0x81);
            bed_run(&bed, SECOND, NULL);
        }
        assert_int_equal(hid_stats(bed.ports[2].hid).ignored, 7);
        assert_int_equal(bed.ports[2].keys_down, 0);
        odd.stall_request = 9;
        hid_set_leds(bed.ports[2].hid, 7);
        keyboard_type(bed_device(&bed, 2), "x");
        bed_run(&bed, SECOND, NULL);
        assert_string_equal(bed.ports[2].typed, "x");
        assert_int_equal(odd.asked, 2);
        bed_close(&bed);
    }
}

/* guest.h: after any number of steps, an unplugged keyboard leaves nothing behind. */
static void test_class_hid_unplug_anywhere(void **state)
{
    (void)state;
    unsigned int typed = 0;
    for (unsigned int steps = 0; typed < 20; steps += 3) {
        struct bed bed;
        assert_true(steps < 3000);
        bed_open(&bed, steps % 2 ? BED_LOOP : BED_SPINE, 2);
        bed_plug(&bed, 1, bed_keyboard(USBIF_SPEED_LOW));
        for (unsigned int i = 0; i < steps; i++) {
            if (bed.ports[1].hid && keyboard_queued(bed_device(&bed, 1)) < 2)
                keyboard_type(bed_device(&bed, 1), "z");
            bed_step(&bed);
        }
        typed = bed.ports[1].nr_typed;
        bed_unplug(&bed, 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].gone, bed.ports[1].ready);
        assert_null(bed.ports[1].hid);
        bed_close(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_hid_types),           cmocka_unit_test(test_class_hid_keys),
        cmocka_unit_test(test_class_hid_stall),           cmocka_unit_test(test_class_hid_odd),
        cmocka_unit_test(test_class_hid_unplug_anywhere),
    };
    return cmocka_run_group_tests_name("guest: hid", tests, NULL, NULL);
}
