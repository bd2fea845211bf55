// SPDX-License-Identifier: MIT
/*
 * Goal: a device in use that is reset, suspended or resumed is the same device afterwards to all its drivers,
 * at the same address; and if it is not the same, it is gone and found anew (guest.h).
 */
#include "test/class_bed.h"

enum { PORT_SUSPEND = 0x0004 };

static uint16_t port_status(struct bed *bed, uint8_t port)
{
    struct hcd *hcd = bed->kind == BED_LOOP ? loop_hcd_hcd(bed->loop) : front_hcd(bed->front);
    const uint8_t setup[8] = {0xa3, 0, 0, 0, port, 0, 4, 0};
    uint8_t raw[4];
    assert_int_equal(hcd->ops->hub_control(hcd, setup, raw, 4, bed->now_ns), 4);
    return (uint16_t)(raw[0] | raw[1] << 8);
}

static void expect_echo(struct bed *bed, unsigned int port)
{
    static const uint8_t bytes[3000] = {1, 2, 3, [2999] = 9};
    bed_run(bed, SECOND, NULL); /* what was under way comes first */
    assert_int_equal(acm_unsent(bed->ports[port].acm), 0);
    bed->ports[port].nr_received = 0;
    bed_write(bed, port, bytes, sizeof(bytes));
    bed_run(bed, SECOND, NULL);
    assert_int_equal(bed->ports[port].nr_received, sizeof(bytes));
    assert_memory_equal(bed->ports[port].received, bytes, sizeof(bytes));
}

static void expect_key(struct bed *bed, unsigned int port, const char *text)
{
    bed->ports[port].nr_typed = 0;
    memset(bed->ports[port].typed, 0, BED_TYPED);
    assert_int_equal(keyboard_type(bed_device(bed, port), text), 0);
    bed_run(bed, SECOND, NULL);
    assert_string_equal(bed->ports[port].typed, text);
}

/* A serial port on 1, open and writing; a keyboard on 2 with a key held down. */
static void open_both(struct bed *bed, enum bed_kind kind)
{
    static const uint8_t bytes[200000] = {7};
    const uint8_t held[KEYBOARD_KEYS] = {4};
    bed_open(bed, kind, 2);
    bed_plug_ready(bed, 1, bed_serial(USBIF_SPEED_HIGH));
    bed_plug_ready(bed, 2, bed_keyboard(USBIF_SPEED_LOW));
    assert_int_equal(acm_open(bed->ports[1].acm), 0);
    acm_set_line(bed->ports[1].acm, &(struct acm_line){.baud = 300, .bits = 8});
    hid_set_leds(bed->ports[2].hid, KEYBOARD_CAPS_LOCK);
    keyboard_press(bed_device(bed, 2), 0, held);
    bed_run(bed, SECOND, NULL);
    assert_int_equal(bed->ports[2].keys_down, 1);
    bed_write(bed, 1, bytes, sizeof(bytes));
}

/* Two at once: address 0 is one device's at a time (USB 2.0 section 9.1.2). */
static void test_class_power_reset(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        open_both(&bed, kind);
        uint8_t addresses[3] = {0, bed.ports[1].device->address, bed.ports[2].device->address};
        for (unsigned int i = 0; i < 5; i++) {
            assert_int_equal(guest_reset_device(bed.ports[1].device), 0);
            assert_int_equal(guest_reset_device(bed.ports[2].device), 0);
            assert_int_equal(guest_reset_device(bed.ports[2].device), -EBUSY);
            assert_int_equal(guest_suspend(bed.ports[2].device), -EBUSY);
            assert_int_equal(guest_resume(bed.ports[2].device), -EBUSY);
            assert_int_equal(bed.ports[2].events[GUEST_RESET], i);
            bed_run(&bed, SECOND, NULL);
            for (unsigned int p = 1; p <= 2; p++) {
                assert_int_equal(bed.ports[p].events[GUEST_RESET], i + 1);
                assert_int_equal(bed.ports[p].ready, 1);
                assert_int_equal(bed.ports[p].device->address, addresses[p]);
            }
            assert_int_equal(bed.ports[2].keys_down, 0);
            expect_key(&bed, 2, "again");
            expect_echo(&bed, 1);
            /* What drivers had set is set again. */
            assert_int_equal(keyboard_protocol(bed_device(&bed, 2)), 0);
            assert_int_equal(keyboard_leds(bed_device(&bed, 2)), KEYBOARD_CAPS_LOCK);
            assert_int_equal(serial_line(bed_device(&bed, 1)).baud, 300);
            assert_int_equal(serial_control_lines(bed_device(&bed, 1)), SERIAL_DTR | SERIAL_RTS);
        }
        /* A third device gets an address of its own. */
        bed_plug_ready(&bed, 3, bed_keyboard(USBIF_SPEED_FULL));
        assert_int_not_equal(bed.ports[3].device->address, addresses[1]);
        assert_int_not_equal(bed.ports[3].device->address, addresses[2]);
        if (kind == BED_LOOP)
            assert_int_equal(loop_hcd_address0_conflicts(bed.loop), 0);
        bed_close(&bed);
    }
}

/* ---- devices that come back different ---- */

static struct usb_device_ops odd_ops;
static struct {
    uint16_t value; /* of the GET_DESCRIPTOR that is answered otherwise; 1: GET_STATUS; 2: no SET_REPORT */
    const uint8_t *bytes; /* NULL: stalls */
    uint32_t n;
} odd;

static int odd_intercept(struct usb_device *device, struct device_endpoint *ep, const struct usb_setup *setup)
{
    bool status = odd.value == 1 && setup->type == 0x80 && setup->request == 0;
    bool descriptor = odd.value && setup->type == 0x80 && setup->request == 6 && setup->value == odd.value;
    (void)device;
    if (odd.value == 2 && setup->type == 0x21 && setup->request == 9)
        return DEVICE_WAIT;
    if (!status && !descriptor)
        return DEVICE_PASS;
    return odd.bytes ? device_control_in(ep, setup, odd.bytes, odd.n) : -EPIPE;
}

static struct usb_device *odd_keyboard(void)
{
    struct usb_device *device = bed_keyboard(USBIF_SPEED_FULL);
    memset(&odd, 0, sizeof(odd));
    odd_ops = *device->ops;
    odd_ops.intercept = odd_intercept;
    device->ops = &odd_ops;
    return device;
}

static void test_class_power_reset_other_device(void **state)
{
    (void)state;
    uint8_t other_device[18] = {18, 1, 0x00, 2, 0, 0, 0, 64, 0x09, 0x12, 0x99, 0x99, 0, 0, 0, 0, 0, 1};
    const struct {
        uint16_t value;
        const uint8_t *bytes;
        uint32_t n;
        unsigned int ready; /* after the reset, in all */
    } rows[] = {
        {0x0100, other_device, 18, 2}, /* another one */
        {0x0100, NULL, 0, 1},          /* says nothing any more */
        {0x0200, NULL, 0, 1},          /* the same, later */
        {0x0200, other_device, 9, 1},  /* nonsense */
        {0x0300, NULL, 0, 1},          /* strings do not matter */
    };
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bed bed;
        bed_open(&bed, i % 2 ? BED_SPINE : BED_LOOP, 2);
        bed_plug_ready(&bed, 1, odd_keyboard());
        uint8_t address = bed.ports[1].device->address;
        odd.value = rows[i].value;
        odd.bytes = rows[i].bytes;
        odd.n = rows[i].n;
        assert_int_equal(guest_reset_device(bed.ports[1].device), 0);
        bed_run(&bed, 20 * SECOND, NULL);
        bool same = rows[i].value == 0x0300;
        assert_int_equal(bed.ports[1].events[GUEST_RESET], same);
        assert_int_equal(bed.ports[1].gone, !same);
        assert_int_equal(bed.ports[1].ready, rows[i].ready);
        assert_int_equal(bed.ports[1].failed, !same && rows[i].ready == 1);
        if (rows[i].ready == 2)
            assert_int_not_equal(bed.ports[1].device->address, address);
        /* Neither address 0 nor the old one is lost: another device enumerates. */
        bed_plug(&bed, 2, bed_keyboard(USBIF_SPEED_LOW));
        bed_run(&bed, 5 * SECOND, NULL);
        assert_int_equal(bed.ports[2].ready, 1);
        expect_key(&bed, 2, "ok");
        bed_close(&bed);
    }
}

/* guest.h: however often a device comes back as another one, no address is lost (rule ADR-07: 127 of them).
 */
static void test_class_power_reset_addresses(void **state)
{
    (void)state;
    uint8_t other[18] = {18, 1, 0x00, 2, 0, 0, 0, 64, 0x09, 0x12, 0, 0, 0, 0, 0, 0, 0, 1};
    struct bed bed;
    bed_open(&bed, BED_LOOP, 2);
    bed_plug_ready(&bed, 1, odd_keyboard());
    odd.n = 18;
    for (unsigned int i = 1; i <= 260; i++) {
        /* It fails after it was given its address again, or before. */
        other[10] = (uint8_t)i;
        odd.value = 0x0100;
        odd.bytes = i % 2 ? other : NULL;
        assert_int_equal(guest_reset_device(bed.ports[1].device), 0);
        while (bed.ports[1].gone < i)
            assert_true(bed_step(&bed));
        if (i % 2 == 0)
            odd.value = 0;
        bed_run(&bed, 5 * SECOND, NULL);
        assert_int_equal(bed.ports[1].gone, i);
        assert_int_equal(bed.ports[1].ready, i + 1);
        assert_int_not_equal(bed.ports[1].device->address, 0);
    }
    bed_close(&bed);
}

/* USB 2.0 section 7.1.7.6, 7.1.7.7: nothing goes to a suspended device, and what waits goes afterwards. */
static void test_class_power_suspend(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        struct guest_xfer xfer = {0};
        uint8_t setup[8];
        open_both(&bed, kind);
        uint8_t address = bed.ports[1].device->address;
        for (unsigned int i = 0; i < 5; i++) {
            for (unsigned int p = 1; p <= 2; p++) {
                assert_int_equal(guest_resume(bed.ports[p].device), -EBUSY);
                assert_int_equal(guest_suspend(bed.ports[p].device), 0);
            }
            bed_run(&bed, SECOND, NULL);
            for (uint8_t p = 1; p <= 2; p++) {
                assert_int_equal(bed.ports[p].events[GUEST_SUSPENDED], i + 1);
                assert_int_equal(port_status(&bed, p) & PORT_SUSPEND, PORT_SUSPEND);
                assert_null(bed.ports[p].device->in_flight);
                assert_int_equal(guest_suspend(bed.ports[p].device), -EBUSY);
            }
            guest_setup(setup, 0x80, 0, 0, 0, 0);
            assert_int_equal(guest_control(&xfer, bed.ports[1].device, setup, NULL), -EHOSTUNREACH);
            uint32_t unsent = acm_unsent(bed.ports[1].acm);
            assert_int_equal(acm_write(bed.ports[1].acm, "x", 1), unsent < 100000 ? 1 : 0);
            hid_set_leds(bed.ports[2].hid, (uint8_t)(i + 1));
            assert_int_equal(keyboard_type(bed_device(&bed, 2), "z"), 0);
            unsigned int typed = bed.ports[2].nr_typed;
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(bed.ports[2].nr_typed, typed);
            assert_int_not_equal(keyboard_leds(bed_device(&bed, 2)), i + 1);
            for (unsigned int p = 1; p <= 2; p++)
                assert_int_equal(guest_resume(bed.ports[p].device), 0);
            bed_run(&bed, SECOND, NULL);
            for (uint8_t p = 1; p <= 2; p++) {
                assert_int_equal(bed.ports[p].events[GUEST_RESUMED], i + 1);
                assert_int_equal(port_status(&bed, p) & PORT_SUSPEND, 0);
            }
            assert_int_equal(bed.ports[2].nr_typed, typed + 1);
            assert_int_equal(keyboard_leds(bed_device(&bed, 2)), i + 1);
            expect_key(&bed, 2, "up");
            expect_echo(&bed, 1);
        }
        assert_int_equal(bed.ports[1].device->address, address);
        assert_int_equal(bed.ports[1].ready, 1);
        bed_close(&bed);
    }
}

/* guest.h: what else may happen around a suspend. */
static void test_class_power_suspend_and(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        open_both(&bed, kind);
        /* A request that is under way is taken back, and made again. */
        hid_set_leds(bed.ports[2].hid, 0x1f);
        assert_int_equal(guest_suspend(bed.ports[2].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(guest_resume(bed.ports[2].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(keyboard_leds(bed_device(&bed, 2)), 0x1f);
        /* A reset ends a suspend. */
        assert_int_equal(guest_suspend(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(guest_reset_device(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].events[GUEST_RESET], 1);
        assert_int_equal(port_status(&bed, 1) & PORT_SUSPEND, 0);
        expect_echo(&bed, 1);
        /* Closed, and unplugged, while suspended. */
        assert_int_equal(guest_suspend(bed.ports[1].device), 0);
        assert_int_equal(guest_suspend(bed.ports[2].device), 0);
        bed_run(&bed, SECOND, NULL);
        acm_close(bed.ports[1].acm);
        assert_int_equal(bed.ports[1].closed, 1);
        bed_unplug(&bed, 2);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[2].gone, 1);
        bed_close(&bed);
    }
}

/* guest.h: not one byte is lost by a suspend in mid-traffic. */
static void test_class_power_suspend_traffic(void **state)
{
    (void)state;
    static uint8_t bytes[300000];
    uint64_t seed = bed_seed(), x = seed | 1;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)bed_prng(&x);
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        unsigned int suspends = 0;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_FULL));
        assert_int_equal(acm_open(bed.ports[1].acm), 0);
        bed_write(&bed, 1, bytes, sizeof(bytes));
        while (bed.ports[1].nr_received < sizeof(bytes)) {
            for (unsigned int i = bed_prng(&x) % 20; i > 0; i--)
                bed_step(&bed);
            if (guest_suspend(bed.ports[1].device))
                continue;
            bed_run(&bed, SECOND / 10, NULL);
            assert_int_equal(bed.ports[1].events[GUEST_SUSPENDED], ++suspends);
            assert_int_equal(guest_resume(bed.ports[1].device), 0);
            while (bed.ports[1].events[GUEST_RESUMED] < suspends && bed_step(&bed))
                continue;
            assert_int_equal(bed.ports[1].events[GUEST_RESUMED], suspends);
        }
        bed_run(&bed, SECOND, NULL);
        assert_true(suspends > 3);
        assert_int_equal(bed.ports[1].nr_received, sizeof(bytes));
        if (memcmp(bed.ports[1].received, bytes, sizeof(bytes)) != 0)
            fail_msg("seed %" PRIu64 ": what came back differs", seed);
        bed_close(&bed);
    }
}

/* guest.h: a device that slept too well is reset. */
static void test_class_power_resume_dead(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, odd_keyboard());
        assert_int_equal(guest_suspend(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        odd.value = 1;
        assert_int_equal(guest_resume(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].events[GUEST_RESUMED], 0);
        assert_int_equal(bed.ports[1].events[GUEST_RESET], 1);
        expect_key(&bed, 1, "awake");
        /* A request that the device sleeps over is made again. */
        odd.value = 2;
        hid_set_leds(bed.ports[1].hid, KEYBOARD_CAPS_LOCK);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(guest_suspend(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        odd.value = 0;
        assert_int_equal(keyboard_leds(bed_device(&bed, 1)), 0);
        assert_int_equal(guest_resume(bed.ports[1].device), 0);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(keyboard_leds(bed_device(&bed, 1)), KEYBOARD_CAPS_LOCK);
        bed_close(&bed);
    }
}

static void on_finished(struct storage_request *request)
{
    ++*(unsigned int *)request->context;
}

/* storage.h: a reset in the middle costs the request, not the disk. */
static void test_class_power_storage(void **state)
{
    (void)state;
    for (unsigned int steps = 0; steps < 24; steps++) {
        struct bed bed;
        struct usb_device *disk;
        unsigned int finished = 0;
        void *buffer;
        const struct disk_config config = {.bytes = 1 << 20};
        bed_open(&bed, steps % 2 ? BED_SPINE : BED_LOOP, 2);
        assert_int_equal(disk_create(&config, &disk), 0);
        uint64_t size;
        memset(disk_memory(disk, &size), 0x5a, 1 << 20);
        bed_plug_ready(&bed, 1, disk);
        assert_int_equal(guest_buffer_alloc(bed.guest, 1 << 19, &buffer), 0);
        struct storage_request r = {
            .blocks = 1024, .buffer = buffer, .done = on_finished, .context = &finished};
        assert_int_equal(storage_submit(bed.ports[1].storage, &r), 0);
        for (unsigned int i = 0; i < steps; i++)
            bed_step(&bed);
        assert_int_equal(guest_reset_device(bed.ports[1].device), 0);
        bed_run(&bed, 10 * SECOND, NULL);
        assert_int_equal(finished, 1);
        assert_true(r.status == 0 || r.status == -EIO);
        assert_int_equal(bed.ports[1].events[GUEST_RESET], 1);
        memset(buffer, 0, 1 << 19);
        assert_int_equal(storage_submit(bed.ports[1].storage, &r), 0);
        bed_run(&bed, 10 * SECOND, NULL);
        assert_int_equal(finished, 2);
        assert_int_equal(r.status, 0);
        assert_int_equal(((uint8_t *)buffer)[(1 << 19) - 1], 0x5a);
        guest_buffer_free(bed.guest, buffer, 1 << 19);
        bed_close(&bed);
    }
}

/* guest.h: unplugged after any number of steps of a reset, a suspend or a resume, nothing is left. */
static void test_class_power_unplug_anywhere(void **state)
{
    (void)state;
    for (unsigned int what = 0; what < 3; what++) {
        bool done = false;
        for (unsigned int steps = 0; !done; steps++) {
            struct bed bed;
            bed_open(&bed, steps % 2 ? BED_LOOP : BED_SPINE, 2);
            bed_plug_ready(&bed, 1, bed_keyboard(USBIF_SPEED_FULL));
            struct guest_device *device = bed.ports[1].device;
            if (what == 0) {
                assert_int_equal(guest_reset_device(device), 0);
            } else {
                assert_int_equal(guest_suspend(device), 0);
                if (what == 2) {
                    bed_run(&bed, SECOND, NULL);
                    assert_int_equal(guest_resume(device), 0);
                }
            }
            for (unsigned int i = 0; i < steps; i++)
                bed_step(&bed);
            const unsigned int *events = bed.ports[1].events;
            done = what == 0   ? events[GUEST_RESET]
                   : what == 1 ? events[GUEST_SUSPENDED]
                               : events[GUEST_RESUMED];
            bed_unplug(&bed, 1);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(bed.ports[1].gone, 1);
            bed_plug_ready(&bed, 1, bed_keyboard(USBIF_SPEED_LOW));
            expect_key(&bed, 1, "new");
            bed_close(&bed);
            assert_true(steps < 300);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_power_reset),
        cmocka_unit_test(test_class_power_reset_other_device),
        cmocka_unit_test(test_class_power_reset_addresses),
        cmocka_unit_test(test_class_power_suspend),
        cmocka_unit_test(test_class_power_suspend_and),
        cmocka_unit_test(test_class_power_suspend_traffic),
        cmocka_unit_test(test_class_power_resume_dead),
        cmocka_unit_test(test_class_power_storage),
        cmocka_unit_test(test_class_power_unplug_anywhere),
    };
    return cmocka_run_group_tests_name("guest: reset, suspend, resume", tests, NULL, NULL);
}
