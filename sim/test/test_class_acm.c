// SPDX-License-Identifier: MIT
/*
 * Goal: every byte that goes through a serial port arrives once and in order, whatever happens to the
 * endpoints, while its 17 idle receivers leave the controller to others (rule RING-12).
 */
#include "test/class_bed.h"

#define MIB (1u << 20)

static uint8_t data[MIB];

static void fill(uint64_t seed)
{
    uint64_t x = seed | 1;
    for (uint32_t i = 0; i < MIB; i++)
        data[i] = (uint8_t)bed_prng(&x);
}

static uint32_t expected;

static bool all_received(const struct bed *bed)
{
    return bed->ports[1].nr_received >= expected;
}

static void check_received(const struct bed *bed, uint64_t seed)
{
    const struct bed_port *port = &bed->ports[1];
    if (port->nr_received != expected || memcmp(port->received, data, expected) != 0)
        fail_msg("seed %" PRIu64 ": what came back (%u bytes) differs", seed, port->nr_received);
}

static void open_port(struct bed *bed, unsigned int port)
{
    assert_int_equal(acm_open(bed->ports[port].acm), 0);
    bed_run(bed, SECOND / 100, NULL);
}

/* acm.h, frontend.h: 1 MiB out and back, while on another port somebody types. */
static void test_class_acm_loopback(void **state)
{
    (void)state;
    static const char *const text = "typed meanwhile";
    uint64_t seed = bed_seed();
    fill(seed);
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        for (uint8_t speed = USBIF_SPEED_FULL; speed <= USBIF_SPEED_HIGH; speed++) {
            struct bed bed;
            bed_open(&bed, kind, speed == USBIF_SPEED_HIGH ? 2 : 1);
            bed_plug_ready(&bed, 1, bed_serial(speed));
            bed_plug_ready(&bed, 2, bed_keyboard(USBIF_SPEED_LOW));
            open_port(&bed, 1);
            expected = MIB;
            bed_write(&bed, 1, data, MIB);
            for (const char *c = text; *c; c++) {
                const char one[2] = {*c, 0};
                assert_int_equal(keyboard_type(bed_device(&bed, 2), one), 0);
                uint32_t before = bed.ports[1].nr_received;
                while (keyboard_queued(bed_device(&bed, 2)))
                    assert_true(bed_step(&bed));
                assert_true(before < MIB); /* it was in the middle */
            }
            assert_true(bed_run(&bed, 60 * SECOND, all_received));
            bed_run(&bed, SECOND, NULL);
            check_received(&bed, seed);
            assert_string_equal(bed.ports[2].typed, text);
            assert_int_equal(acm_unsent(bed.ports[1].acm), 0);
            assert_int_equal(acm_stats(bed.ports[1].acm).sent, MIB);
            assert_int_equal(acm_stats(bed.ports[1].acm).failures, 0);
            bed_close(&bed);
        }
    }
}

/* Rule RING-12: with 17 idle receivers on each of two ports, everything else still gets its turn. */
static void test_class_acm_idle_receivers(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, BED_SPINE, 2);
    bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
    bed_plug_ready(&bed, 2, bed_serial(USBIF_SPEED_FULL));
    open_port(&bed, 1);
    open_port(&bed, 2);
    bed_run(&bed, 2 * SECOND, NULL);
    bed_plug_ready(&bed, 3, bed_keyboard(USBIF_SPEED_LOW)); /* control requests pass */
    assert_int_equal(keyboard_type(bed_device(&bed, 3), "now"), 0);
    bed_run(&bed, 5 * SECOND, NULL);
    assert_string_equal(bed.ports[3].typed, "now");
    for (unsigned int p = 1; p <= 2; p++) {
        struct usb_device *device = bed_device(&bed, p);
        bed_write(&bed, p, (const uint8_t *)"hello", 5);
        bed_run(&bed, 5 * SECOND, NULL);
        assert_int_equal(bed.ports[p].nr_received, 5);
        assert_memory_equal(bed.ports[p].received, "hello", 5);
        bed.ports[p].signals = 0;
        serial_signal(device, SERIAL_DSR | SERIAL_RING);
        bed_run(&bed, 5 * SECOND, NULL);
        assert_int_equal(bed.ports[p].signals, ACM_DSR | ACM_RING);
    }
    bed_close(&bed);
}

/* PSTN 1.2 section 6.3: what the guest sets, the device has. */
static void test_class_acm_line(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        struct usb_device *device;
        const struct acm_line line = {.baud = 57600, .stop = 2, .parity = 1, .bits = 7};
        bed_open(&bed, kind, 2);
        /* Notifications come in two packets (acm.h: only the head says where one ends). */
        assert_int_equal(
            serial_create(&(struct serial_config){.loopback = true, .notify_packet = 8}, 0, &device), 0);
        bed_plug_ready(&bed, 1, device);
        struct acm *acm = bed.ports[1].acm;
        assert_int_equal(acm_write(acm, "x", 1), 0);
        acm_set_line(acm, &line);
        acm_set_signals(acm, ACM_DTR);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(serial_line(device).baud, 9600);
        open_port(&bed, 1);
        assert_int_equal(acm_open(acm), -EBUSY);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(serial_line(device).baud, 57600);
        assert_int_equal(serial_line(device).stop, 2);
        assert_int_equal(serial_line(device).parity, 1);
        assert_int_equal(serial_line(device).bits, 7);
        assert_int_equal(serial_control_lines(device), SERIAL_DTR | SERIAL_RTS);
        assert_int_equal(bed.ports[1].signals, ACM_DCD | ACM_DSR);
        acm_set_signals(acm, ACM_RTS);
        acm_send_break(acm, 300);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(serial_control_lines(device), SERIAL_RTS);
        assert_int_equal(serial_break(device), 300);
        assert_int_equal(bed.ports[1].signals, ACM_BREAK);
        assert_int_equal(bed.ports[1].nr_signals, 3); /* DTR, no DTR, break */
        acm_close(acm);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].closed, 1);
        assert_int_equal(serial_control_lines(device), 0);
        bed_close(&bed);
    }
}

static bool closed(const struct bed *bed)
{
    return bed->ports[1].closed == expected;
}

/* acm.h: 100 times open and closed, idle and in mid-traffic; each time it works again. */
static void test_class_acm_reopen(void **state)
{
    (void)state;
    fill(7);
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
        struct bed_port *port = &bed.ports[1];
        for (unsigned int i = 0; i < 100; i++) {
            assert_int_equal(acm_open(port->acm), 0);
            /* What the last round left in the device comes first; then what is written now. */
            bed_run(&bed, SECOND / 2, NULL);
            port->nr_received = 0;
            bed_write(&bed, 1, data, 300);
            bed_run(&bed, SECOND / 2, NULL);
            assert_int_equal(port->nr_received, 300);
            assert_memory_equal(port->received, data, 300);
            assert_true(acm_busy(port->acm));
            port->nr_received = 0;
            if (i % 2)
                bed_write(&bed, 1, data, MIB / 2);
            for (unsigned int s = 0; s < i % 7; s++)
                bed_step(&bed);
            port->left = 0;
            acm_close(port->acm);
            assert_false(acm_is_open(port->acm));
            expected = i + 1;
            assert_true(bed_run(&bed, SECOND, closed));
            assert_false(acm_busy(port->acm));
            assert_int_equal(acm_unsent(port->acm), 0);
        }
        assert_int_equal(acm_stats(port->acm).failures, 0);
        bed_close(&bed);
    }
}

/* acm.h: halts of all three endpoints, at random moments, cost no byte and change no order. */
static void test_class_acm_stalls(void **state)
{
    (void)state;
    uint64_t seed = bed_seed(), x = seed | 1;
    fill(seed);
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        unsigned int halts = 0;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_FULL));
        struct usb_device *device = bed_device(&bed, 1);
        struct bed_port *port = &bed.ports[1];
        open_port(&bed, 1);
        expected = MIB;
        bed_write(&bed, 1, data, expected);
        while (port->nr_received < expected && port->acm_status == 0) {
            for (unsigned int i = bed_prng(&x) % 6; i > 0; i--)
                bed_step(&bed);
            unsigned int which = bed_prng(&x) % 3;
            device_halt(device, which == 0   ? serial_in_address(device)
                                : which == 1 ? serial_out_address(device)
                                             : serial_notify_address(device));
            halts++;
            for (unsigned int i = 0; i < 12; i++)
                bed_step(&bed);
        }
        assert_int_equal(port->acm_status, 0);
        assert_true(halts > 10);
        /* One for each halt: what comes back late is no halt of its own. */
        assert_in_range(acm_stats(port->acm).failures, 10, halts);
        bed_run(&bed, SECOND, NULL);
        check_received(&bed, seed);
        port->nr_signals = 0;
        serial_signal(device, SERIAL_RING);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->nr_signals, 1);
        bed_close(&bed);
    }
}

/* acm.h: a halt that stays is not fought for ever; and when it is gone, opening again helps. */
static void test_class_acm_wedged(void **state)
{
    (void)state;
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        for (unsigned int which = 0; which < 3; which++) {
            struct bed bed;
            bed_open(&bed, kind, 2);
            bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
            struct usb_device *device = bed_device(&bed, 1);
            struct bed_port *port = &bed.ports[1];
            const uint8_t addresses[3] = {serial_in_address(device), serial_out_address(device),
                                          serial_notify_address(device)};
            open_port(&bed, 1);
            device_wedge(device, addresses[which], true);
            bed_write(&bed, 1, data, 100);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(port->acm_status, -EPIPE);
            assert_false(acm_busy(port->acm));
            /* 10 of these; where the wedged endpoint is not the first one, bytes in between start over. */
            assert_in_range(acm_stats(port->acm).failures, 10, 12);
            assert_int_equal(acm_write(port->acm, data, 10), 0);
            device_wedge(device, addresses[which], false);
            acm_close(port->acm);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(port->closed, 1);
            assert_int_equal(acm_open(port->acm), 0);
            bed_run(&bed, SECOND, NULL);
            port->nr_received = 0;
            bed_write(&bed, 1, data, 200);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(port->nr_received, 200);
            bed_close(&bed);
        }
    }
}

/* acm.h: any number of halts is fine while bytes come in between. */
static void test_class_acm_halt_per_byte(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, BED_LOOP, 2);
    bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_FULL));
    struct usb_device *device = bed_device(&bed, 1);
    open_port(&bed, 1);
    for (unsigned int i = 1; i <= 25; i++) {
        device_halt(device, serial_in_address(device));
        assert_int_equal(serial_feed(device, "x", 1), 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].nr_received, i);
        assert_int_equal(acm_stats(bed.ports[1].acm).failures, i);
    }
    for (unsigned int i = 1; i <= 25; i++) {
        device_halt(device, serial_out_address(device));
        bed_write(&bed, 1, data, 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(bed.ports[1].nr_received, 25 + i);
    }
    assert_int_equal(bed.ports[1].acm_status, 0);
    bed_close(&bed);
}

/* acm.h, serial.h: a throttled reader stops the writer, through FIFO and ring, and nothing is lost. */
static void test_class_acm_throttle(void **state)
{
    (void)state;
    fill(9);
    for (unsigned int kind = BED_LOOP; kind <= BED_SPINE; kind++) {
        struct bed bed;
        bed_open(&bed, kind, 2);
        bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
        struct bed_port *port = &bed.ports[1];
        open_port(&bed, 1);
        expected = MIB / 2;
        acm_throttle(port->acm, true);
        bed_write(&bed, 1, data, expected);
        bed_run(&bed, SECOND, NULL);
        assert_in_range(port->nr_received, 1, ACM_READS * 1024);
        uint32_t before = port->nr_received;
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->nr_received, before);
        assert_true(port->left > 0);
        acm_throttle(port->acm, false);
        assert_true(bed_run(&bed, 10 * SECOND, all_received));
        check_received(&bed, 9);
        bed_close(&bed);
    }
}

/* guest.h: unplugged after any number of steps of opening and of traffic; plugged in again, it works. */
static void test_class_acm_unplug_anywhere(void **state)
{
    (void)state;
    fill(11);
    for (unsigned int steps = 0; steps < 400; steps += 1 + steps / 30) {
        struct bed bed;
        bed_open(&bed, steps % 3 ? BED_SPINE : BED_LOOP, 2);
        bed_plug(&bed, 1, bed_serial(USBIF_SPEED_HIGH));
        struct bed_port *port = &bed.ports[1];
        for (unsigned int i = 0; i < steps; i++) {
            if (port->acm && !acm_is_open(port->acm)) {
                assert_int_equal(acm_open(port->acm), 0);
                bed_write(&bed, 1, data, MIB);
            }
            bed_step(&bed);
        }
        bed_unplug(&bed, 1);
        bed_run(&bed, SECOND, NULL);
        assert_int_equal(port->gone, port->ready);
        assert_null(port->acm);
        if (steps % 4 == 0) {
            bed_plug_ready(&bed, 1, bed_serial(USBIF_SPEED_FULL));
            open_port(&bed, 1);
            port->nr_received = 0;
            bed_write(&bed, 1, data, 5000);
            bed_run(&bed, SECOND, NULL);
            assert_int_equal(port->nr_received, 5000);
            assert_memory_equal(port->received, data, 5000);
        }
        bed_close(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_acm_loopback),
        cmocka_unit_test(test_class_acm_idle_receivers),
        cmocka_unit_test(test_class_acm_line),
        cmocka_unit_test(test_class_acm_reopen),
        cmocka_unit_test(test_class_acm_stalls),
        cmocka_unit_test(test_class_acm_wedged),
        cmocka_unit_test(test_class_acm_halt_per_byte),
        cmocka_unit_test(test_class_acm_throttle),
        cmocka_unit_test(test_class_acm_unplug_anywhere),
    };
    return cmocka_run_group_tests_name("guest: acm", tests, NULL, NULL);
}
