// SPDX-License-Identifier: MIT
/*
 * Goal: a controller that lies makes the EHCI and xHCI drivers fail transfers, and nothing else: no access
 * outside of what is theirs (sanitizers), no transfer with more bytes than it has, every transfer back
 * exactly once. The controller is this file: registers that answer, and a pen over the memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "qtest/ehci.h"
#include "qtest/xhci.h"

#define MEMORY  (1024u * 1024)
#define ADDRESS 0x01000000u
#define URBS    12u
#define BUFFER  65536u
#define ROUNDS  400u

static uint32_t seed;

static uint32_t prng(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

struct liar {
    struct hc_bus bus;
    bool xhci, honest;
    uint32_t events; /* offset in memory of the event ring, xHCI */
    unsigned int at;
    uint32_t cycle;
    uint32_t status; /* EHCI */
    uint32_t frame;  /* EHCI: 0 for any */
};

static void put_event(struct liar *liar, uint32_t low, uint32_t status, uint32_t control)
{
    uint32_t event[4] = {low, 0, status, control | liar->cycle};
    memcpy(liar->bus.memory + liar->events + liar->at * 16, event, sizeof(event));
    if (++liar->at == 256) {
        liar->at = 0;
        liar->cycle ^= 1;
    }
}

static uint32_t read_ehci(struct liar *liar, uint32_t offset)
{
    switch (offset) {
    case 0x00:
        return 0x20;
    case 0x04:
        return 4; /* ports */
    case 0x24:
        return liar->status;
    case 0x2c:
        return (liar->frame ? liar->frame * 8 : prng()) & 0x3fff;
    default:
        return offset >= 0x64 ? 0x1005 : 0; /* a device on each port */
    }
}

static uint32_t read_xhci(uint32_t offset)
{
    switch (offset) {
    case 0x00:
        return 0x40;
    case 0x04:
        return 4u << 24 | 64;
    case 0x14:
        return 0x2000;
    case 0x18:
        return 0x1000;
    default:
        return offset >= 0x440 && offset < 0x1000 ? 3u << 10 | 0x203 : 0;
    }
}

static uint32_t op_read(struct hc_bus *bus, uint32_t offset, unsigned int size)
{
    struct liar *liar = (struct liar *)bus;
    (void)size;
    return liar->xhci ? read_xhci(offset) : read_ehci(liar, offset);
}

static void op_write(struct hc_bus *bus, uint32_t offset, unsigned int size, uint32_t value)
{
    struct liar *liar = (struct liar *)bus;
    (void)size;
    if (!liar->xhci && offset == 0x24)
        liar->status &= ~value;
    if (!liar->xhci && offset == 0x20 && value & 0x40)
        liar->status |= 0x21; /* the doorbell is answered, and more */
    if (liar->xhci && offset == 0x1030 && value)
        memcpy(&liar->events, bus->memory + (value - ADDRESS), 4), liar->events -= ADDRESS;
    if (liar->xhci && offset == 0x2000 && liar->honest)
        put_event(liar, 0, 1u << 24, 33u << 10 | 1u << 24);
    else if (liar->xhci && offset == 0x2000)
        put_event(liar, 0, (prng() % 64 ? 1u : prng() % 40) << 24, 33u << 10 | (1 + prng() % 4) << 24);
}

static bool op_interrupt(struct hc_bus *bus)
{
    (void)bus;
    return true;
}

static const struct hc_bus_ops ops = {.read = op_read, .write = op_write, .interrupt = op_interrupt};

/* ---- transfers ---- */

static struct hcd_urb urbs[URBS];
static struct pvusb_iso_desc packets_of[URBS][8];
static bool busy[URBS];
static unsigned int completed, failures;

static void on_complete(struct hcd_urb *urb)
{
    unsigned int i = (unsigned int)(urb - urbs);
    assert_true(busy[i]);
    busy[i] = false;
    completed++;
    failures += urb->status != 0;
    assert_true(urb->actual <= urb->length);
    for (unsigned int p = 0; urb->type == USBIF_PIPE_TYPE_ISOC && p < urb->nr_packets; p++)
        assert_true(urb->packets[p].actual_length <= urb->packets[p].length);
}

static void submit(struct hcd *hcd, unsigned int i, uint8_t *buffer)
{
    uint32_t kind = prng() % 5;
    struct hcd_urb *urb = &urbs[i];
    *urb = (struct hcd_urb){.port = (uint8_t)(1 + prng() % 4),
                            .packet = kind == 0 ? 64 : 512,
                            .type = kind == 0   ? USBIF_PIPE_TYPE_CTRL
                                    : kind == 1 ? USBIF_PIPE_TYPE_INT
                                    : kind == 2 ? USBIF_PIPE_TYPE_ISOC
                                                : USBIF_PIPE_TYPE_BULK,
                            .endpoint = kind == 0 ? 0 : (uint8_t)(1 + prng() % 3),
                            .in = prng() % 2,
                            .interval = 4,
                            .short_not_ok = prng() % 2,
                            .length = prng() % (kind == 0 ? 64 : BUFFER),
                            .complete = on_complete};
    if (kind == 2) {
        urb->nr_packets = (uint16_t)(1 + prng() % 8);
        urb->packets = packets_of[i];
        urb->length = urb->nr_packets * 500u;
        for (unsigned int p = 0; p < urb->nr_packets; p++)
            packets_of[i][p] = (struct pvusb_iso_desc){.offset = p * 500, .length = 1 + prng() % 500};
    }
    urb->buffer = urb->length ? buffer : NULL;
    urb->device = prng() % 2 ? urb->port : 0;
    if (prng() % 8 == 0 && kind == 0)
        memcpy(urb->setup, (uint8_t[8]){0, prng() % 2 ? 5 : 9, urb->port}, 8);
    busy[i] = hcd->ops->submit(hcd, urb) == 0;
}

/* Writes over what the driver and the controller share: words that are there, with another bit or from
 * elsewhere. */
static void scribble(struct liar *liar, uint32_t bytes)
{
    for (unsigned int n = prng() % 400; n > 0; n--) {
        uint32_t word, from = prng() % (bytes / 4), to = prng() % (bytes / 4);
        memcpy(&word, liar->bus.memory + (size_t)from * 4, 4);
        if (prng() % 2)
            to = from;
        if (prng() % 2)
            word &= ~0x80000080u; /* a descriptor is done */
        if (prng() % 4 == 0)
            word ^= 1u << prng() % 32;
        memcpy(liar->bus.memory + (size_t)to * 4, &word, 4);
    }
}

/* Where a TRB of a transfer lies, with some luck. */
static uint32_t find_trb(const struct liar *liar, uint32_t bytes)
{
    uint32_t at = 0;
    for (unsigned int tries = 0; tries < 2000; tries++) {
        uint32_t control;
        at = prng() % (bytes / 16) * 16;
        memcpy(&control, liar->bus.memory + at + 12, 4);
        uint32_t type = control >> 10 & 63u;
        if (at / 4096 != liar->events / 4096 && type >= 1 && type <= 5)
            break;
    }
    return ADDRESS + at;
}

static void lie(struct liar *liar, uint32_t bytes)
{
    if (!liar->xhci) {
        liar->status |= prng() & 0x27u;
        scribble(liar, bytes);
        return;
    }
    for (unsigned int n = prng() % 60; n > 0; n--) {
        static const uint32_t codes[] = {1, 1, 13, 13, 6, 3, 4, 26, 255};
        uint32_t low = find_trb(liar, bytes) + (prng() % 16 ? 0 : prng());
        uint32_t residue = prng() % 2 ? 0 : prng() & 0xffffffu;
        uint32_t dci = prng() % 8 ? prng() % 8 : prng() % 32, slot = prng() % 6;
        put_event(liar, low, codes[prng() % 9] << 24 | residue,
                  (prng() % 16 ? 32u : prng() % 64) << 10 | dci << 16 | slot << 24);
    }
}

static void run(bool is_xhci, bool polled)
{
    struct liar liar = {
        .bus = {.ops = &ops, .address = ADDRESS, .size = MEMORY}, .xhci = is_xhci, .cycle = 1};
    struct ehci *ehci = NULL;
    struct xhci *xhci = NULL;
    uint8_t setup[8] = {0x23, 3, 8, 0, 0, 0, 0, 0};
    void *buffer;
    liar.bus.memory = aligned_alloc(4096, MEMORY);
    memset(liar.bus.memory, 0, MEMORY);
    assert_int_equal(is_xhci ? xhci_create(&liar.bus, polled, &xhci) : ehci_create(&liar.bus, polled, &ehci),
                     0);
    struct hcd *hcd = is_xhci ? xhci_hcd(xhci) : ehci_hcd(ehci);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, BUFFER, &buffer), 0);
    uint32_t bytes = is_xhci ? MEMORY / 4 : (uint32_t)((uint8_t *)buffer - liar.bus.memory);
    for (setup[4] = 1; setup[4] <= 4; setup[4]++)
        assert_int_equal(hcd->ops->hub_control(hcd, setup, NULL, 0, 0), 0);
    for (unsigned int round = 0; round < ROUNDS + 20; round++) {
        for (unsigned int i = 0; i < URBS; i++) {
            if (busy[i] && (prng() % 8 == 0 || round >= ROUNDS))
                (void)hcd->ops->unlink(hcd, &urbs[i], -ECONNRESET);
            else if (!busy[i] && round < ROUNDS)
                submit(hcd, i, buffer);
        }
        if (round < ROUNDS)
            lie(&liar, bytes);
        else
            liar.frame = (round - ROUNDS + 1) * 200; /* time goes on for sure */
        uint64_t now_ns = UINT64_C(1000000) * (round + liar.frame);
        if (is_xhci)
            xhci_step(xhci, now_ns);
        else
            ehci_step(ehci, now_ns);
    }
    for (unsigned int i = 0; i < URBS; i++)
        assert_false(busy[i]);
    hcd->ops->buffer_free(hcd, buffer, BUFFER);
    xhci_destroy(xhci);
    ehci_destroy(ehci);
    free(liar.bus.memory);
}

static void run_all(bool is_xhci)
{
    completed = failures = 0;
    for (uint32_t i = 1; i <= 20; i++) {
        seed = i * 2654435761u;
        run(is_xhci, i & 1);
    }
    print_message("%u transfers, %u of them failed\n", completed, failures);
    assert_true(completed > 5000 && failures < completed);
}

static void test_false_ehci(void **state)
{
    (void)state;
    run_all(false);
}

static void test_false_xhci(void **state)
{
    (void)state;
    run_all(true);
}

/* ---- a controller that does not lie ---- */

/* The n-th isochronous TRB in the memory. */
static uint32_t iso_trb(const struct liar *liar, unsigned int n)
{
    for (uint32_t at = 0; at < MEMORY; at += 16) {
        uint32_t control;
        memcpy(&control, liar->bus.memory + at + 12, 4);
        if ((control >> 10 & 63u) == 5 && n-- == 0)
            return ADDRESS + at;
    }
    fail();
    return 0;
}

/*
 * xHCI 1.1 section 4.10.3.1: that the ring has run empty is told of no TRB. QEMU names the next one: when
 * that has come since, nothing has happened to it.
 */
static void test_honest_xhci_empty_ring(void **state)
{
    (void)state;
    struct xhci *xhci;
    struct liar liar = {
        .bus = {.ops = &ops, .address = ADDRESS, .size = MEMORY}, .xhci = true, .honest = true, .cycle = 1};
    struct pvusb_iso_desc packets[2] = {{.length = 192}, {.offset = 192, .length = 192}};
    void *buffer;
    liar.bus.memory = aligned_alloc(4096, MEMORY);
    memset(liar.bus.memory, 0, MEMORY);
    assert_int_equal(xhci_create(&liar.bus, false, &xhci), 0);
    struct hcd *hcd = xhci_hcd(xhci);
    assert_int_equal(hcd->ops->buffer_alloc(hcd, 4096, &buffer), 0);
    completed = failures = 0;
    for (unsigned int i = 0; i < 2; i++) {
        bool iso = i == 1;
        urbs[i] = (struct hcd_urb){.port = 1,
                                   .device = iso ? 5 : 0,
                                   .endpoint = iso ? 2 : 0,
                                   .type = iso ? USBIF_PIPE_TYPE_ISOC : USBIF_PIPE_TYPE_CTRL,
                                   .packet = iso ? 192 : 64,
                                   .setup = {0, 5, 5},
                                   .in = iso,
                                   .interval = 8,
                                   .length = iso ? 384 : 0,
                                   .buffer = iso ? buffer : NULL,
                                   .packets = packets,
                                   .nr_packets = iso ? 2 : 0,
                                   .complete = on_complete};
        busy[i] = true;
        assert_int_equal(hcd->ops->submit(hcd, &urbs[i]), 0);
        xhci_step(xhci, 0);
    }
    assert_int_equal(completed, 1);
    for (uint32_t code = 14; code <= 15; code++) {
        put_event(&liar, iso_trb(&liar, code - 14), code << 24, 32u << 10 | 5u << 16 | 1u << 24);
        xhci_step(xhci, 0);
        assert_int_equal(completed, 1);
    }
    put_event(&liar, iso_trb(&liar, 0), 23u << 24, 32u << 10 | 5u << 16 | 1u << 24); /* this was missed */
    put_event(&liar, iso_trb(&liar, 1), 13u << 24 | 92, 32u << 10 | 5u << 16 | 1u << 24);
    xhci_step(xhci, 0);
    assert_int_equal(completed, 2);
    assert_int_equal(packets[0].status, -EXDEV);
    assert_int_equal(packets[1].status, 0);
    assert_int_equal(packets[1].actual_length, 100);
    assert_int_equal(urbs[1].actual, 100);
    assert_int_equal(urbs[1].error_count, 1);
    hcd->ops->buffer_free(hcd, buffer, 4096);
    xhci_destroy(xhci);
    free(liar.bus.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_ehci),
        cmocka_unit_test(test_false_xhci),
        cmocka_unit_test(test_honest_xhci_empty_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
