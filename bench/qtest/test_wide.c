// SPDX-License-Identifier: MIT
/*
 * Goal: a high-bandwidth endpoint moves three packets in each microframe through QEMU's controllers: our
 * gadget zero behind QEMU's usb-redir, below a driver of ours. usage: test_qtest_wide ehci|xhci
 */
#include "devices/zero.h"
#include "qtest/test_redir.h"

enum { STREAMS = 8, PACKETS = 8, WIDE = 3 * 1024, WANTED = 200 };
enum {
    BOUNDARY = 65536,
    BUFFER = STREAMS * PACKETS * WIDE + BOUNDARY
}; /* which xHCI's descriptors do not cross */

static enum qtest_controller controller;

static struct {
    struct qtest_rig rig;
    struct qtest_redir behind;
    uint8_t endpoint;
    uint8_t *buffer;
    struct guest_xfer xfers[STREAMS];
    struct pvusb_iso_desc packets[STREAMS][PACKETS];
    unsigned int whole; /* packets */
    unsigned int ended; /* of the URBs that go round */
} lab;

static void run_device(struct qtest_rig *rig)
{
    qtest_redir_step(&lab.behind, rig->now_ns);
}

static uint8_t pattern(unsigned int at)
{
    return (uint8_t)(at % 1024 % 63);
}

static void submit(unsigned int i)
{
    uint8_t *bytes = lab.buffer + i * PACKETS * WIDE;
    for (unsigned int p = 0; p < PACKETS; p++)
        lab.packets[i][p] = (struct pvusb_iso_desc){.offset = p * WIDE, .length = WIDE};
    for (unsigned int at = 0; at < PACKETS * WIDE; at++)
        bytes[at] = lab.endpoint & 0x80u ? 0xa5 : pattern(at);
    assert_int_equal(guest_isochronous(&lab.xfers[i], lab.rig.device, lab.endpoint, bytes, PACKETS * WIDE,
                                       lab.packets[i], PACKETS),
                     0);
}

/* usb-redir has nothing at first, and what there is too little of is no fault of the controller. */
static void on_done(struct guest_xfer *xfer)
{
    const unsigned int i = (unsigned int)(xfer - lab.xfers);
    assert_int_equal(xfer->status, 0);
    for (unsigned int p = 0; p < PACKETS; p++) {
        const struct pvusb_iso_desc *packet = &lab.packets[i][p];
        const uint8_t *bytes = lab.buffer + i * PACKETS * WIDE + packet->offset;
        if (packet->status || !packet->actual_length)
            continue;
        assert_int_equal(packet->actual_length, WIDE);
        for (unsigned int at = 0; at < WIDE; at++)
            assert_int_equal(bytes[at], pattern(at));
        lab.whole++;
    }
    if (lab.whole < WANTED)
        submit(i);
    else
        lab.ended++;
}

static void stream(uint8_t endpoint)
{
    lab.endpoint = endpoint;
    lab.whole = lab.ended = 0;
    for (unsigned int i = 0; i < STREAMS; i++) {
        lab.xfers[i] = (struct guest_xfer){.done = on_done};
        submit(i);
    }
    qtest_rig_until(&lab.rig, &lab.ended, STREAMS);
}

/* Where to begin, so that the last packet of the first URB is cut. */
static size_t split_at(const uint8_t *buffer)
{
    const struct hc_bus *bus = qtest_bus(lab.rig.qtest);
    const size_t cut = (size_t)(buffer - bus->memory) + bus->address + (PACKETS - 1) * WIDE + WIDE / 3;
    return BOUNDARY - cut % BOUNDARY;
}

static void test_wide(void **state)
{
    struct usb_device *zero;
    uint8_t setup[8];
    void *buffer;
    (void)state;
    memset(&lab, 0, sizeof(lab));
    assert_int_equal(zero_create(&(struct zero_config){.pattern = 1, .more = 2}, &zero), 0);
    qtest_redir_open(&lab.behind, &lab.rig, controller, zero);
    lab.rig.on_step = run_device;
    qtest_rig_until(&lab.rig, &lab.rig.ready, 1);
    guest_setup(setup, 0x01, 11, 1, 0, 0);
    (void)qtest_rig_control(&lab.rig, setup, NULL);
    assert_int_equal(guest_buffer_alloc(lab.rig.guest, BUFFER, &buffer), 0);
    lab.buffer = (uint8_t *)buffer + split_at((uint8_t *)buffer);
    stream(ZERO_EP_ISO_IN);
    stream(ZERO_EP_ISO_OUT);
    qtest_rig_run_for(&lab.rig, UINT64_C(100000000));
    assert_true(zero_stats(zero).packets_out > 0);
    assert_int_equal(zero_stats(zero).wrong, 0);
    assert_int_equal(redir_stats(lab.behind.redir).refused, 0);
    guest_buffer_free(lab.rig.guest, buffer, BUFFER);
    qtest_redir_close(&lab.behind, &lab.rig);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wide)};
    assert_true(argc > 1);
    controller = argv[1][0] == 'e' ? QTEST_EHCI : QTEST_XHCI;
    int skip = qtest_rig_skip(QTEST_REAL);
    return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
