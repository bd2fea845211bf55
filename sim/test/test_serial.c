// SPDX-License-Identifier: MIT
/*
 * Goal: the serial port is one for a CDC-ACM driver: requests, notifications, and bytes in order with none
 * lost, whatever the sizes of transfers. Section numbers are those of PSTN 1.2.
 */
#include <inttypes.h>

#include "devices/serial.h"
#include "test/test_device_util.h"

static struct usb_device *open_serial(struct bench *bench, const struct serial_config *config, uint8_t speed)
{
    struct usb_device *device;
    assert_int_equal(serial_create(config, speed, &device), 0);
    bench_open(bench, device);
    bench->host->ops->reset(bench->host, bench->device);
    assert_int_equal(bench_control(bench, 0x00, 9, 1, 0, 0, NULL), 0);
    return device;
}

/* CDC 1.2 section 5.2.3 and PSTN 5.3; USB 2.0 section 5.8.3: no bulk at low speed. */
static void test_serial_descriptors(void **state)
{
    (void)state;
    const struct serial_config config = {0};
    struct usb_device *none;
    assert_int_equal(serial_create(&config, USBIF_SPEED_LOW, &none), -EINVAL);
    assert_int_equal(serial_create(&(struct serial_config){.fifo_bytes = 511}, 0, &none), -EINVAL);
    assert_int_equal(serial_create(&(struct serial_config){.notify_packet = 4}, 0, &none), -EINVAL);
    for (uint8_t speed = USBIF_SPEED_FULL; speed <= USBIF_SPEED_HIGH; speed++) {
        struct bench b;
        uint8_t d[128], packet = speed == USBIF_SPEED_HIGH ? 2 : 0;
        open_serial(&b, &config, speed);
        assert_int_equal(bench_control(&b, 0x80, 6, 0x0100, 0, 18, d), 18);
        assert_int_equal(d[4], 2); /* CDC 1.2 section 4.1 */
        assert_int_equal(bench_control(&b, 0x80, 6, 0x0200, 0, 128, d), 67);
        const uint8_t want[58] = {9,      4,    0,    0,    1,    2,    2,
                                  1,      0,    5,    0x24, 0,    0x20, 1,
                                  5,      0x24, 1,    0,    1,    4,    0x24,
                                  2,      6,    5,    0x24, 6,    0,    1,
                                  7,      5,    0x81, 3,    16,   0,    packet ? 9 : 32,
                                  9,      4,    1,    0,    2,    10,   0,
                                  0,      0,    7,    5,    0x82, 2,    packet ? 0 : 64,
                                  packet, 0,    7,    5,    0x02, 2,    packet ? 0 : 64,
                                  packet, 0};
        assert_memory_equal(d + 9, want, 58);
        assert_int_equal(d[4], 2);
        if (speed == USBIF_SPEED_HIGH) {
            assert_int_equal(bench_control(&b, 0x80, 6, 0x0700, 0, 128, d), 67);
            assert_int_equal(d[1], 7);
            assert_int_equal(d[9 + 44 + 4], 64); /* what it would be at full speed */
        }
        bench_close(&b);
    }
}

/* Section 6.3. */
static void test_serial_requests(void **state)
{
    (void)state;
    struct bench b;
    uint8_t line[7] = {0x00, 0xc2, 0x01, 0, 2, 4, 7}, got[8];
    struct usb_device *s = open_serial(&b, &(struct serial_config){0}, 0);
    assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 0, 7, line), 7);
    assert_int_equal(bench_control(&b, 0xa1, 0x21, 0, 0, 7, got), 7);
    assert_memory_equal(got, line, 7);
    struct serial_line l = serial_line(s);
    assert_int_equal(l.baud, 115200);
    assert_int_equal(l.stop, 2);
    assert_int_equal(l.parity, 4);
    assert_int_equal(l.bits, 7);
    static const uint8_t bad[][7] = {{0, 0, 0, 0, 0, 0, 8},
                                     {1, 0, 0, 0, 3, 0, 8},
                                     {1, 0, 0, 0, 0, 5, 8},
                                     {1, 0, 0, 0, 0, 0, 4},
                                     {1, 0, 0, 0, 0, 0, 9}};
    for (unsigned int i = 0; i < 5; i++) {
        memcpy(got, bad[i], 7);
        assert_int_equal(bench_control(&b, 0x21, 0x20, 0, 0, 7, got), -EPIPE);
    }
    assert_int_equal(serial_line(s).baud, 115200);
    assert_int_equal(bench_control(&b, 0x21, 0x22, 3, 0, 0, NULL), 0);
    assert_int_equal(serial_control_lines(s), SERIAL_DTR | SERIAL_RTS);
    assert_int_equal(bench_control(&b, 0x21, 0x23, 250, 0, 0, NULL), 0);
    assert_int_equal(serial_break(s), 250);
    static const struct {
        uint8_t type, request;
        uint16_t value, index, length;
    } wrong[] = {{0x21, 0x20, 0, 0, 6}, {0x21, 0x20, 1, 0, 7}, {0x21, 0x20, 0, 1, 7}, {0x21, 0x22, 0, 0, 1},
                 {0x21, 0x24, 0, 0, 0}, {0xa1, 0x20, 0, 0, 7}, {0xa1, 0x21, 1, 0, 7}, {0x81, 6, 0x2100, 0, 9},
                 {0x41, 0x22, 0, 0, 0}, {0x21, 0x22, 0, 2, 0}};
    for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memset(got, 1, sizeof(got));
        assert_int_equal(bench_control(&b, wrong[i].type, wrong[i].request, wrong[i].value, wrong[i].index,
                                       wrong[i].length, got),
                         -EPIPE);
    }
    b.host->ops->reset(b.host, b.device);
    assert_int_equal(serial_control_lines(s), 0);
    assert_int_equal(serial_line(s).baud, 9600);
    bench_close(&b);
}

static void expect_state(struct bench *b, uint8_t packet, uint16_t state)
{
    static struct turb t;
    uint8_t got[10];
    const uint8_t want[10] = {0xa1, 0x20, 0, 0, 0, 0, 2, 0, (uint8_t)state, (uint8_t)(state >> 8)};
    uint32_t n = 0, actual;
    while (n < 10) {
        assert_int_equal(turb_run(b, &t, USBIF_PIPE_TYPE_INT, 0x81, packet, &actual), 0);
        assert_true(actual && n + actual <= 10);
        memcpy(got + n, t.bytes, actual);
        n += actual;
    }
    assert_memory_equal(got, want, 10);
}

/* Section 6.5.4: changes are told once; events do not stay. A small endpoint splits the notification. */
static void test_serial_notifications(void **state)
{
    (void)state;
    for (uint8_t packet = 8; packet <= 16; packet += 8) {
        struct bench b;
        static struct turb t;
        struct usb_device *s = open_serial(
            &b, &(struct serial_config){.loopback = true, .notify_packet = packet}, USBIF_SPEED_FULL);
        assert_int_equal(bench_control(&b, 0x21, 0x22, 1, 0, 0, NULL), 0);
        expect_state(&b, packet, SERIAL_DCD | SERIAL_DSR);
        assert_int_equal(bench_control(&b, 0x21, 0x22, 3, 0, 0, NULL), 0); /* RTS is nobody's DCD */
        turb_init(&t, USBIF_PIPE_TYPE_INT, 0x81, packet);
        turb_submit(&b, &t);
        assert_int_equal(t.completed, 0);
        b.host->ops->cancel(b.host, b.device, &t.urb);
        assert_int_equal(bench_control(&b, 0x21, 0x23, 100, 0, 0, NULL), 0);
        expect_state(&b, packet, SERIAL_DCD | SERIAL_DSR | SERIAL_BREAK);
        assert_int_equal(bench_control(&b, 0x21, 0x23, 0, 0, 0, NULL),
                         0); /* the end of a break is no event */
        assert_int_equal(bench_control(&b, 0x21, 0x22, 0, 0, 0, NULL), 0);
        expect_state(&b, packet, 0);
        serial_signal(s, SERIAL_RING | SERIAL_DSR);
        expect_state(&b, packet, SERIAL_RING | SERIAL_DSR);
        /* What changes between the packets of one notification is told by the next. */
        if (packet == 8) {
            serial_signal(s, SERIAL_DSR | SERIAL_DCD);
            assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, NULL), 0);
            serial_signal(s, SERIAL_DSR);
            assert_int_equal(turb_run(&b, &t, USBIF_PIPE_TYPE_INT, 0x81, 8, NULL), 0);
            assert_int_equal(t.bytes[0], SERIAL_DSR | SERIAL_DCD);
            expect_state(&b, packet, SERIAL_DSR);
        }
        bench_close(&b);
    }
}

/* serial.h: OUT is not taken while the FIFO is full, IN has an end that the host sees. */
static void test_serial_fifo(void **state)
{
    (void)state;
    struct bench b;
    static struct turb out, in;
    static uint8_t bytes[4096];
    struct usb_device *s = open_serial(&b, &(struct serial_config){.fifo_bytes = 1000}, USBIF_SPEED_HIGH);
    turb_init(&out, USBIF_PIPE_TYPE_BULK, 0x02, 2000);
    for (unsigned int i = 0; i < 2000; i++)
        out.bytes[i] = (uint8_t)(i * 7);
    turb_submit(&b, &out);
    /* Whole packets only: 512 of 1000, then as much as there is room again. */
    assert_int_equal(serial_read(s, bytes, 100), 100);
    assert_int_equal(out.completed, 0);
    assert_int_equal(serial_read(s, bytes + 100, 4096), 924);
    assert_int_equal(out.completed, 1);
    assert_int_equal(serial_read(s, bytes + 1024, 2000), 976);
    assert_int_equal(serial_read(s, bytes, 1), 0);
    assert_memory_equal(bytes, out.bytes, 2000);
    turb_run(&b, &out, USBIF_PIPE_TYPE_BULK, 0x02, 0, NULL); /* no bytes are no news */

    assert_int_equal(serial_feed(s, bytes, 4096), 1000);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 4096, NULL), 0);
    assert_int_equal(in.urb.actual, 1000);
    assert_memory_equal(in.bytes, bytes, 1000);
    /* A full packet and no more: the empty packet ends the transfer. */
    turb_init(&in, USBIF_PIPE_TYPE_BULK, 0x82, 4096);
    turb_submit(&b, &in);
    assert_int_equal(in.completed, 0);
    assert_int_equal(serial_feed(s, bytes, 512), 512);
    assert_int_equal(in.completed, 1);
    assert_int_equal(in.urb.actual, 512);
    /* The same where the transfer is full with it: the empty packet is the next one's. */
    assert_int_equal(serial_feed(s, bytes, 512), 512);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 512, NULL), 0);
    assert_int_equal(in.urb.actual, 512);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 512, NULL), 0);
    assert_int_equal(in.urb.actual, 0);
    turb_init(&in, USBIF_PIPE_TYPE_BULK, 0x82, 512);
    turb_submit(&b, &in);
    assert_int_equal(in.completed, 0);
    /* A halt keeps the bytes (USB 2.0 section 9.4.5). */
    device_halt(s, serial_in_address(s));
    assert_int_equal(in.urb.status, -EPIPE);
    serial_feed(s, "xyz", 3);
    assert_int_equal(bench_control(&b, 0x02, 1, 0, 0x82, 0, NULL), 0);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 512, NULL), 0);
    assert_int_equal(in.urb.actual, 3);
    /* Too little room for the packet: a babble, and nothing lost. */
    serial_feed(s, "abc", 3);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 2, NULL), -EOVERFLOW);
    assert_int_equal(turb_run(&b, &in, USBIF_PIPE_TYPE_BULK, 0x82, 512, NULL), 0);
    assert_memory_equal(in.bytes, "abc", 3);
    bench_close(&b);
}

static uint32_t prng(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 16);
}

/* serial.h: in loopback, transfers of any size in both directions; what comes back is what went out. */
static void test_serial_loopback(void **state)
{
    (void)state;
    const char *text = getenv("PVUSB_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20260315, x = seed | 1;
    print_message("seed %" PRIu64 " (PVUSB_SEED)\n", seed);
    for (uint8_t speed = USBIF_SPEED_FULL; speed <= USBIF_SPEED_HIGH; speed++) {
        struct bench b;
        static struct turb out, in;
        static uint8_t sent[1 << 18], got[1 << 18];
        uint32_t at = 0, back = 0, packet = speed == USBIF_SPEED_FULL ? 64 : 512;
        struct usb_device *s =
            open_serial(&b, &(struct serial_config){.loopback = true, .fifo_bytes = 777}, speed);
        out.completed = in.completed = 1;
        for (uint32_t i = 0; i < sizeof(sent); i++)
            sent[i] = (uint8_t)prng(&x);
        while (back < sizeof(got)) {
            if (out.completed && at < sizeof(sent)) {
                uint32_t n = prng(&x) % 2000;
                n = n < sizeof(sent) - at ? n : (uint32_t)sizeof(sent) - at;
                turb_init(&out, USBIF_PIPE_TYPE_BULK, 0x02, n);
                memcpy(out.bytes, sent + at, n);
                at += n;
                turb_submit(&b, &out);
                assert_int_equal(out.urb.status, 0);
            }
            turb_init(&in, USBIF_PIPE_TYPE_BULK, 0x82, packet * (1 + prng(&x) % 3));
            turb_submit(&b, &in);
            if (!in.completed) {
                assert_true(out.completed); /* else nothing would ever happen again */
                b.host->ops->cancel(b.host, b.device, &in.urb);
            }
            assert_true(back + in.urb.actual <= sizeof(got));
            memcpy(got + back, in.bytes, in.urb.actual);
            back += in.urb.actual;
        }
        if (memcmp(sent, got, sizeof(got)) != 0)
            fail_msg("seed %" PRIu64 ": what came back differs", seed);
        assert_int_equal(serial_read(s, got, 1), 0);
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial_descriptors),   cmocka_unit_test(test_serial_requests),
        cmocka_unit_test(test_serial_notifications), cmocka_unit_test(test_serial_fifo),
        cmocka_unit_test(test_serial_loopback),
    };
    return cmocka_run_group_tests_name("device: serial", tests, NULL, NULL);
}
