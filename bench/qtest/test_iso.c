// SPDX-License-Identifier: MIT
/*
 * Goal: isochronous transfers of the EHCI and xHCI drivers are as a controller needs them, packet by packet,
 * where QEMU's devices do not go: packets across pages, URBs that share a frame, missed frames, unlinks. The
 * controller is this file.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "qtest/ehci.h"
#include "qtest/xhci.h"

#define MEMORY  (4096u * 1024)
#define ADDRESS 0x01000000u
#define MS      UINT64_C(1000000)
#define URBS    40u
#define PACKETS 256u
#define BUFFER  (1024u * 1024)

enum { ACTIVE = 1 << 15, BABBLE = 1 << 13, TRANSACTION = 1 << 12 }; /* in the upper half of a transaction */

static struct {
    struct hc_bus bus;
    struct ehci *ehci;
    struct hcd *hcd;
    uint64_t now_ns;
    uint32_t list; /* of frames */
    uint32_t microframe, status;
    bool interrupt;
    unsigned int interrupts;
    uint32_t shorter;  /* bytes of every packet that do not come */
    uint8_t endpoint;  /* of the next transfer */
    uint8_t wide;      /* its transactions in a microframe, 0 for 1 */
    uint32_t spoil;    /* of every packet */
    unsigned int most; /* iTDs in a frame */
    uint8_t heard[BUFFER];
    uint32_t nr_heard, given; /* bytes */
    uint8_t *buffer;
    struct hcd_urb urbs[URBS];
    struct pvusb_iso_desc packets[URBS][PACKETS];
    unsigned int done;
} lab;

/* ---- an EHCI ---- */

static uint32_t *word_at(uint32_t address)
{
    assert_in_range(address, ADDRESS, ADDRESS + MEMORY - 4);
    return (uint32_t *)(void *)(lab.bus.memory + (address - ADDRESS));
}

static uint32_t op_read(struct hc_bus *bus, uint32_t offset, unsigned int size)
{
    (void)bus;
    (void)size;
    switch (offset) {
    case 0x00:
        return 0x20;
    case 0x04:
        return 2; /* ports */
    case 0x24:
        return lab.status;
    case 0x2c:
        return lab.microframe & 0x3fff;
    default:
        return offset >= 0x64 ? 0x1005 : 0;
    }
}

static void op_write(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value)
{
    (void)bus;
    (void)size;
    if (offset == 0x24)
        lab.status &= ~value;
    if (offset == 0x34)
        lab.list = value;
}

static bool op_interrupt(struct hc_bus *bus)
{
    bool was = lab.interrupt;
    (void)bus;
    lab.interrupt = false;
    return was;
}

static const struct hc_bus_ops ops = {.read = op_read, .write = op_write, .interrupt = op_interrupt};

/* EHCI 1.0 section 3.3. What goes to the device is kept; what comes from it are bytes that count. */
static void run_packet(const uint32_t *itd, uint32_t *transaction)
{
    uint32_t page = *transaction >> 12 & 7, offset = *transaction & 0xfff, n = *transaction >> 16 & 0xfff;
    bool in = itd[10] & 0x800;
    assert_true((itd[9] & 0xfff) == (3u << 8 | 5) || (itd[9] & 0xfff) == (4u << 8 | 5));
    assert_int_equal(itd[10] & 0x7ff, 1000);
    assert_int_equal(itd[11] & 0xfff, lab.wide ? lab.wide : 1);
    if (in)
        n -= lab.shorter;
    for (uint32_t i = 0; i < n; i++, offset++) {
        assert_true(page + offset / 4096 < 7);
        uint32_t at = (itd[9 + page + offset / 4096] & ~0xfffu) + offset % 4096;
        uint8_t *byte = (uint8_t *)word_at(at & ~3u) + at % 4;
        if (in)
            *byte = (uint8_t)(lab.given++ % 251);
        else
            lab.heard[lab.nr_heard++ % BUFFER] = *byte;
    }
    if (*transaction & 1u << 15) {
        lab.status |= 1;
        lab.interrupt = true;
        lab.interrupts++;
    }
    if (in)
        *transaction = (*transaction & ~0xfff0000u) | n << 16;
    *transaction = (*transaction | lab.spoil << 16) & ~((uint32_t)ACTIVE << 16);
}

/* As QEMU does it: all that is in a frame, at its beginning. */
static void run_frame(void)
{
    lab.microframe = (lab.microframe & ~7u) + 8;
    uint32_t link = *word_at(lab.list + lab.microframe / 8 % 1024 * 4);
    unsigned int n = 0;
    while (!(link & 7)) {
        uint32_t *itd = word_at(link);
        for (unsigned int slot = 0; slot < 8; slot++) {
            if (itd[1 + slot] & (uint32_t)ACTIVE << 16)
                run_packet(itd, &itd[1 + slot]);
        }
        n++;
        link = itd[0];
    }
    lab.most = n > lab.most ? n : lab.most;
    assert_int_equal(link & 7, 2); /* a queue head */
}

static void pass(unsigned int frames, bool run)
{
    while (frames-- > 0) {
        if (run)
            run_frame();
        else
            lab.microframe += 8;
        ehci_step(lab.ehci, lab.now_ns += MS);
    }
}

static void on_complete(struct hcd_urb *urb)
{
    (void)urb;
    lab.done++;
}

/* n packets of `length` bytes each, one after the other in the buffer from `from` on. */
static int submit(unsigned int i, bool in, uint16_t interval, uint32_t from, uint16_t n, uint32_t length)
{
    struct hcd_urb *urb = &lab.urbs[i];
    *urb = (struct hcd_urb){.port = 1,
                            .device = 5,
                            .endpoint = lab.endpoint,
                            .type = USBIF_PIPE_TYPE_ISOC,
                            .in = in,
                            .packet = 1000,
                            .transactions = lab.wide,
                            .interval = interval,
                            .nr_packets = n,
                            .length = n * length,
                            .buffer = lab.buffer + from,
                            .packets = lab.packets[i],
                            .complete = on_complete,
                            .status = 1};
    for (uint32_t p = 0; p < n; p++)
        lab.packets[i][p] = (struct pvusb_iso_desc){.offset = p * length, .length = length, .status = 1};
    return lab.hcd->ops->submit(lab.hcd, urb);
}

static int open_lab(void **state)
{
    void *buffer;
    (void)state;
    memset(&lab, 0, sizeof(lab));
    lab.endpoint = 3;
    lab.bus = (struct hc_bus){.ops = &ops, .address = ADDRESS, .size = MEMORY};
    lab.bus.memory = aligned_alloc(4096, MEMORY);
    memset(lab.bus.memory, 0, MEMORY);
    lab.microframe = 0x3fe3; /* it turns soon, and is in the middle of a frame */
    assert_int_equal(ehci_create(&lab.bus, false, &lab.ehci), 0);
    lab.hcd = ehci_hcd(lab.ehci);
    assert_int_equal(lab.hcd->ops->buffer_alloc(lab.hcd, BUFFER, &buffer), 0);
    lab.buffer = buffer;
    return 0;
}

static int close_lab(void **state)
{
    (void)state;
    lab.hcd->ops->buffer_free(lab.hcd, lab.buffer, BUFFER);
    ehci_destroy(lab.ehci);
    free(lab.bus.memory);
    return 0;
}

/* A packet in each microframe, URBs of a frame and a half, buffers that begin anywhere. */
static void move_data(uint8_t wide)
{
    uint32_t seed = 1;
    lab.wide = wide;
    for (uint32_t i = 0; i < BUFFER; i++)
        lab.buffer[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    for (unsigned int i = 0; i < 20; i++) {
        bool in = i % 2;
        uint32_t n = (in ? 1000u : 999u) * (wide ? wide : 1u);
        assert_int_equal(submit(i, in, 1, i * 37001, 12, n), 0);
    }
    pass(40, true);
    assert_int_equal(lab.done, 20);
    assert_int_equal(lab.interrupts, 20);
    assert_int_equal(lab.urbs[0].start_frame % 8, 0);
    uint32_t given = 0, heard = 0;
    for (unsigned int i = 0; i < 20; i++) {
        const struct hcd_urb *urb = &lab.urbs[i];
        const uint8_t *bytes = urb->buffer;
        assert_int_equal(urb->status + (int)urb->error_count, 0);
        assert_int_equal(urb->actual, urb->length);
        for (unsigned int p = 0; p < 12; p++)
            assert_int_equal(lab.packets[i][p].actual_length, lab.packets[i][p].length);
        if (i > 1)
            assert_int_equal((uint16_t)(urb->start_frame - lab.urbs[i - 2].start_frame), 12);
        for (uint32_t b = 0; urb->in && b < urb->length; b++, given++)
            assert_int_equal(bytes[b], given % 251);
        if (!urb->in)
            assert_memory_equal(bytes, lab.heard + heard, urb->length);
        heard += urb->in ? 0 : urb->length;
    }
    assert_int_equal(lab.nr_heard, heard);
    assert_int_equal(lab.given, given);
}

static void test_iso_ehci_data(void **state)
{
    (void)state;
    move_data(0);
}

/* Three transactions of an endpoint in each microframe. */
static void test_iso_ehci_wide(void **state)
{
    (void)state;
    move_data(3);
    assert_int_equal(submit(0, true, 1, 0, 8, 3001), -EINVAL);
    lab.wide = 4;
    assert_int_equal(submit(0, true, 1, 0, 8, 1000), -EINVAL);
}

/* Every packet has its microframe, whatever the interval is. */
static void test_iso_ehci_intervals(void **state)
{
    (void)state;
    for (uint16_t interval = 1; interval <= 32; interval = (uint16_t)(interval * 2)) {
        lab.done = 0;
        lab.nr_heard = 0;
        for (unsigned int i = 0; i < 3; i++)
            assert_int_equal(submit(i, false, interval, i * 5000, 20, 100), 0);
        pass(12 + 60u * interval / 8, true);
        assert_int_equal(lab.done, 3);
        assert_int_equal(lab.nr_heard, 6000);
        for (unsigned int i = 1; i < 3; i++)
            assert_int_equal((uint16_t)(lab.urbs[i].start_frame - lab.urbs[i - 1].start_frame),
                             20 * interval);
    }
}

/* What the controller did not come to is told of packet by packet, and the stream goes on. */
static void test_iso_ehci_missed(void **state)
{
    (void)state;
    assert_int_equal(submit(0, true, 8, 0, 8, 500), 0);
    assert_int_equal(submit(1, true, 8, 8000, 8, 500), 0);
    pass(10, true);
    assert_int_equal(lab.done, 0);
    pass(9, false);
    assert_int_equal(lab.done, 1);
    pass(8, true);
    assert_int_equal(lab.done, 2);
    assert_int_equal(lab.urbs[0].status, 0);
    assert_int_equal(lab.urbs[0].error_count + lab.urbs[1].error_count, 9);
    for (unsigned int p = 0; p < 16; p++) {
        const struct pvusb_iso_desc *packet = &lab.packets[p / 8][p % 8];
        bool missed = packet->status == -EXDEV;
        assert_int_equal(packet->actual_length, missed ? 0 : 500);
        assert_true(missed || packet->status == 0);
        if (p > 0 && p < 15 && missed) /* in one piece */
            assert_true(lab.packets[(p - 1) / 8][(p - 1) % 8].status ||
                        lab.packets[(p + 1) / 8][(p + 1) % 8].status);
    }
    /* A controller that is late has missed nothing. */
    assert_int_equal(submit(0, true, 8, 0, 8, 500), 0);
    ehci_step(lab.ehci, lab.now_ns += 30 * MS);
    pass(9, true);
    assert_int_equal(lab.done, 2);
    pass(10, true);
    assert_int_equal(lab.done, 3);
    assert_int_equal(lab.urbs[0].error_count, 0);
}

static void run_until(uint16_t microframe)
{
    while ((uint16_t)lab.microframe != microframe)
        pass(1, true);
}

/* Until its last frame and one more are over, an URB may still get its packets, however late it is. */
static void test_iso_ehci_late(void **state)
{
    (void)state;
    assert_int_equal(submit(0, true, 8, 0, 3, 500), 0);
    const uint16_t first = lab.urbs[0].start_frame;
    run_until((uint16_t)(first + 8));
    ehci_step(lab.ehci, lab.now_ns += 1000 * MS);
    assert_int_equal(lab.done, 0);
    lab.microframe += 23; /* the last one of the frame behind that of the third packet */
    ehci_step(lab.ehci, lab.now_ns += 1000 * MS);
    assert_int_equal(lab.done, 0);
    lab.microframe++;
    ehci_step(lab.ehci, lab.now_ns += MS);
    assert_int_equal(lab.done, 1);
    assert_int_equal(lab.urbs[0].error_count, 1);
    assert_int_equal(lab.packets[0][2].status, -EXDEV);
}

/* An URB goes on where the one before ends while that is a frame away at least, and else begins anew. */
static void test_iso_ehci_goes_on(void **state)
{
    (void)state;
    assert_int_equal(submit(0, false, 8, 0, 3, 500), 0);
    const uint16_t next = (uint16_t)(lab.urbs[0].start_frame + 24);
    run_until((uint16_t)(next - 16));
    run_frame(); /* the last of the URB, and nobody has looked */
    assert_int_equal(submit(1, false, 8, 0, 3, 500), 0);
    assert_int_equal(lab.urbs[1].start_frame, next);
    run_until((uint16_t)(next + 8));
    run_frame();
    lab.microframe++;
    assert_int_equal(submit(2, false, 8, 0, 3, 500), 0);
    assert_int_equal(lab.urbs[2].start_frame, (uint16_t)(next + 16 + 64));
    pass(20, true);
    assert_int_equal(lab.done, 3);
    assert_int_equal(lab.urbs[0].error_count + lab.urbs[1].error_count + lab.urbs[2].error_count, 0);
}

static void test_iso_ehci_results(void **state)
{
    (void)state;
    static const struct {
        uint32_t spoil;
        int status;
    } faults[] = {{BABBLE, -EOVERFLOW}, {TRANSACTION, -EPROTO}, {0, 0}};
    for (unsigned int i = 0; i < 3; i++) {
        lab.spoil = faults[i].spoil;
        assert_int_equal(submit(2, true, 8, 0, 3, 500), 0);
        pass(20, true);
        assert_int_equal(lab.done, 1 + i);
        assert_int_equal(lab.urbs[2].status, 0);
        assert_int_equal(lab.urbs[2].error_count, faults[i].status ? 3 : 0);
        assert_int_equal(lab.packets[2][1].status, faults[i].status);
    }
    lab.shorter = 20;
    assert_int_equal(submit(2, true, 8, 0, 3, 500), 0);
    pass(20, true);
    assert_int_equal(lab.done, 4);
    assert_int_equal(lab.urbs[2].actual, 3 * 480);
    assert_int_equal(lab.packets[2][2].actual_length, 480);
}

/* An URB that is unlinked is heard no more, and is its owner's when no packet can come any more. */
static void test_iso_ehci_unlink(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 3; i++)
        assert_int_equal(submit(i, false, 8, i * 8000, 8, 500), 0);
    pass(9, true);
    uint32_t heard = lab.nr_heard;
    assert_int_equal(lab.hcd->ops->unlink(lab.hcd, &lab.urbs[0], -ECONNRESET), 0);
    assert_int_equal(lab.hcd->ops->unlink(lab.hcd, &lab.urbs[0], -ECONNRESET), -EBUSY);
    pass(4, true);
    assert_int_equal(lab.done, 0);
    assert_int_equal(lab.nr_heard, heard);
    pass(5, true);
    assert_int_equal(lab.done, 1);
    assert_int_equal(lab.urbs[0].status, -ECONNRESET);
    pass(20, true);
    assert_int_equal(lab.done, 3);
    assert_int_equal(lab.nr_heard, heard + 16 * 500);
    assert_int_equal(lab.urbs[2].status + (int)lab.urbs[2].error_count, 0);
    assert_int_equal(lab.hcd->ops->unlink(lab.hcd, &lab.urbs[0], -ECONNRESET), -EINVAL);
}

/* QEMU resets a controller that has more than sixteen iTDs in a frame. */
static void test_iso_ehci_crowd(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < URBS; i++) {
        lab.endpoint = (uint8_t)(3 + i / 2 % 2);
        assert_int_equal(submit(i, i % 2, 1, i * 1000, 1, 1000), 0);
    }
    pass(40, true);
    assert_int_equal(lab.done, URBS);
    assert_int_equal(lab.most, 16);
}

static void test_iso_ehci_refusals(void **state)
{
    (void)state;
    assert_int_equal(submit(0, true, 1, 0, 0, 10), -EINVAL);
    assert_int_equal(submit(0, true, 1, 0, 2, 1001), -EINVAL);
    assert_int_equal(submit(0, true, 64, 0, 128, 10), -EMSGSIZE);
    (void)submit(1, true, 1, 0, 0, 10);
    struct hcd_urb *urb = &lab.urbs[1];
    urb->nr_packets = 2;
    urb->length = 1000;
    lab.packets[1][0] = (struct pvusb_iso_desc){.length = 1000};
    lab.packets[1][1] = (struct pvusb_iso_desc){.offset = 1, .length = 1000}; /* beyond its end */
    assert_int_equal(lab.hcd->ops->submit(lab.hcd, urb), -EINVAL);
    urb->length = 40000;
    lab.packets[1][1].offset = 7 * 4096; /* a page that the iTD has no more */
    assert_int_equal(lab.hcd->ops->submit(lab.hcd, urb), -EINVAL);
    lab.packets[1][0].offset = 4096;
    lab.packets[1][1].offset = 4000; /* backwards */
    assert_int_equal(lab.hcd->ops->submit(lab.hcd, urb), -EINVAL);
    urb->packets = NULL;
    assert_int_equal(lab.hcd->ops->submit(lab.hcd, urb), -EINVAL);
    assert_int_equal(lab.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_iso_ehci_data, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_wide, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_intervals, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_missed, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_late, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_goes_on, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_results, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_unlink, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_crowd, open_lab, close_lab),
        cmocka_unit_test_setup_teardown(test_iso_ehci_refusals, open_lab, close_lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
