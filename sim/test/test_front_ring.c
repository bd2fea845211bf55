// SPDX-License-Identifier: MIT
/*
 * An URB ring of more than one page (backend.h) at the frontend: as large as both sides want, all of its slots in use,
 * every grant of it ended; with a backend that does not offer it nothing is different.
 */
#include "front_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BACK_NODE "/local/domain/0/backend/qusb/1/0/max-urb-ring-page-order"
#define FRONT_DIR "/local/domain/1/device/vusb/0"
#define ORDER     "urb-ring-page-order"
#define BULK      USBIF_PIPE_TYPE_BULK
#define SECOND    UINT64_C(1000000000)

static const uint8_t get_descriptor[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};

/* Connected with a backend that offers this; `wanted` 0 leaves it to the frontend. */
static void start(struct frig *frig, const char *offer, unsigned int wanted, unsigned int order)
{
    frig_init(frig, 2, 4);
    if (offer)
        rig_set_node(&frig->rig, BACK_NODE, offer);
    if (wanted)
        front_set_ring_pages(frig->rig.front, wanted);
    frig->back.order = order;
    frig_connect(frig);
    assert_int_equal(frig->hcd->ops->buffer_alloc(frig->hcd, FRIG_BUFFER, (void **)&frig->buffer), 0);
}

static unsigned int grants(struct frig *frig)
{
    return fakexen_local_balance(frig->rig.local).grants;
}

/* The smaller of what is offered and what is wanted. An offer that is no number is none. */
static void test_front_ring_size(void **state)
{
    static const struct {
        const char *offer;
        unsigned int wanted;
        unsigned int order;
    } rows[] = {
        {"4", 0, 3},  {"2", 0, 2},          {"1", 0, 1},  {"0", 0, 0}, {NULL, 0, 0},          {"4", 16, 4},
        {"3", 16, 3}, {"4294967295", 8, 3}, {"4", 1, 0},  {"4", 3, 1}, {"4294967296", 16, 0}, {"", 16, 0},
        {"x", 16, 0}, {"-1", 16, 0},        {"2 ", 16, 0}, {"4", 99, 4},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct frig frig;
        char value[16] = "";
        start(&frig, rows[i].offer, rows[i].wanted, rows[i].order);
        if (rows[i].order > 0)
            snprintf(value, sizeof(value), "%u", rows[i].order);
        assert_string_equal(rig_node(&frig.rig, FRONT_DIR "/" ORDER), value);
        assert_int_equal(grants(&frig), (1u << rows[i].order) + 1);
        frig_dispose(&frig);
    }
}

/* Without an offer there is nothing in xenstore but what usbif.h has, whatever one before us left there. */
static void test_front_ring_not_offered(void **state)
{
    static const char expected[] = "backend\0backend-id\0state\0urb-ring-ref\0conn-ring-ref\0event-channel";
    char names[512];
    struct frig frig;
    (void)state;
    frig_init(&frig, 2, 4);
    rig_set_node(&frig.rig, FRONT_DIR "/" ORDER, "2");
    frig_connect(&frig);
    const struct xen_ops *ops = frig.rig.dom0->ops;
    ssize_t n = ops->xs_directory(frig.rig.dom0, XEN_XBT_NIL, FRONT_DIR, names, sizeof(names));
    assert_int_equal(n, sizeof(expected));
    assert_memory_equal(names, expected, sizeof(expected));
    frig_dispose(&frig);
}

/* RING-12: the shares of 64 slots, each URB back once, around the ring several times. */
static void test_front_ring_every_slot(void **state)
{
    static struct hcd_urb in[60], out[60], control[40];
    struct usbif_urb_request request[65];
    struct frig frig;
    (void)state;
    start(&frig, "2", 0, 2);
    for (unsigned int round = 0; round < 4; round++) {
        unsigned int n = 0, seen[3] = {0};
        uint64_t ids = 0;
        for (unsigned int i = 0; i < 60; i++) {
            in[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
            out[i] = frig_data(&frig, BULK, 2, false, frig.buffer, 64);
            assert_int_equal(frig_submit(&frig, &in[i]), 0);
            assert_int_equal(frig_submit(&frig, &out[i]), 0);
        }
        for (unsigned int i = 0; i < 40; i++) {
            control[i] = frig_control(&frig, get_descriptor, frig.buffer);
            assert_int_equal(frig_submit(&frig, &control[i]), 0);
        }
        while (n < 65 && raw_back_take(&frig.back, &request[n])) {
            assert_true(request[n].id < 64);
            ids |= UINT64_C(1) << request[n].id;
            seen[request[n].pipe >> 30 == 2 ? 2 : request[n].pipe & 0x80 ? 0 : 1]++;
            n++;
        }
        assert_int_equal(n, 63); /* one is for an unlink */
        assert_int_equal(__builtin_popcountll(ids), n);
        assert_int_equal(seen[2], 1); /* the one that data leave free */
        assert_int_equal(seen[0] + seen[1], 62);
        assert_true(seen[0] <= 48 && seen[1] <= 40);
        frig.nr_done = 0;
        do {
            while (n > 0) /* the last first */
                frig_answer(&frig, request[--n].id, 0, 0);
            while (n < 65 && raw_back_take(&frig.back, &request[n]))
                n++;
        } while (n > 0);
        assert_int_equal(frig.nr_done, 160);
        for (unsigned int i = 0; i < 60; i++) {
            assert_int_equal(frig_count_done(&frig, &in[i]), 1);
            assert_int_equal(frig_count_done(&frig, &out[i]), 1);
        }
    }
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_OK);
    frig_dispose(&frig);
}

/* MAL-60 to MAL-64, MAL-72: ids and indexes that a ring of four pages cannot have, with 20 requests on it. */
static void test_front_ring_impossible(void **state)
{
    static const struct {
        uint16_t id;
        uint32_t ahead;
        enum pvusb_verdict verdict;
    } rows[] = {
        {64, 1, PVUSB_RESPONSE_ID},     {20, 1, PVUSB_RESPONSE_ID},  {63, 1, PVUSB_RESPONSE_ID},
        {65535, 1, PVUSB_RESPONSE_ID},  {0, 21, PVUSB_RING_OVERFLOW}, {0, 65, PVUSB_RING_OVERFLOW},
        {0, 0xffffffff, PVUSB_RING_UNDERFLOW}, {19, 1, PVUSB_OK},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct frig frig;
        struct hcd_urb in[20];
        start(&frig, "4", 4, 2);
        for (unsigned int k = 0; k < 20; k++) {
            in[k] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
            assert_int_equal(frig_submit(&frig, &in[k]), 0);
            assert_int_equal(frig_take(&frig).id, k);
        }
        raw_back_put(&frig.back, (struct usbif_urb_response){.id = rows[i].id});
        frig.back.rsp_prod = rows[i].ahead;
        raw_back_publish(&frig.back);
        frig_run(&frig);
        assert_int_equal(front_verdict(frig.rig.front), rows[i].verdict);
        frig_dispose(&frig);
        assert_int_equal(frig.nr_done, 20);
    }
}

/* LIF-03, SEC-09: one page in the middle of the ring stays mapped: waited for, then kept from use until it is not. */
static void test_front_ring_never_unmapped(void **state)
{
    struct frig frig;
    void *page;
    (void)state;
    start(&frig, "2", 0, 2);
    struct xen *xen = frig.back.xen;
    assert_int_equal(xen->ops->grant_map(xen, 1, 1, &frig.back.urb_ref[2], true, &page), 0);
    front_close(frig.rig.front);
    frig_run(&frig);
    raw_back_unmap(&frig.back);
    raw_back_state(&frig.back, XenbusStateClosed);
    frig_run(&frig);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosing);
    assert_int_equal(grants(&frig), 2); /* that page, and the connection ring, which is next */
    frig_advance(&frig, 5 * SECOND);
    assert_int_equal(raw_back_frontend_state(&frig.back), XenbusStateClosed);
    assert_non_null(strstr(frig.rig.log, "a ring is still mapped by the backend"));
    assert_int_equal(grants(&frig), 1);
    assert_int_equal(xen->ops->grant_unmap(xen, page, 1), 0);
    frig_run(&frig);
    assert_int_equal(grants(&frig), 0);
    frig_dispose(&frig);
}

/* BUS-14: the next connection has the ring of its own backend. */
static void test_front_ring_reconnect(void **state)
{
    static const struct {
        const char *offer;
        unsigned int order;
    } rows[] = {{"2", 2}, {"", 0}, {"4", 2}, {"1", 1}, {"0", 0}};
    struct frig frig;
    (void)state;
    start(&frig, "4", 4, 2);
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[16] = "";
        struct hcd_urb in = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
        front_close(frig.rig.front);
        frig_run(&frig);
        frig_back_leaves(&frig);
        assert_int_equal(front_state(frig.rig.front), XenbusStateClosed);
        assert_int_equal(grants(&frig), 0);
        rig_set_node(&frig.rig, BACK_NODE, rows[i].offer);
        assert_int_equal(front_reconnect(frig.rig.front), 0);
        frig.back.order = rows[i].order;
        frig_connect(&frig);
        if (rows[i].order > 0)
            snprintf(value, sizeof(value), "%u", rows[i].order);
        assert_string_equal(rig_node(&frig.rig, FRONT_DIR "/" ORDER), value);
        assert_int_equal(grants(&frig), (1u << rows[i].order) + 1);
        assert_int_equal(frig_submit(&frig, &in), 0);
        frig_answer(&frig, frig_take(&frig).id, 0, 64);
        assert_int_equal(in.status, 0);
    }
    frig_dispose(&frig);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_ring_size),       cmocka_unit_test(test_front_ring_not_offered),
        cmocka_unit_test(test_front_ring_every_slot), cmocka_unit_test(test_front_ring_impossible),
        cmocka_unit_test(test_front_ring_never_unmapped), cmocka_unit_test(test_front_ring_reconnect),
    };
    return cmocka_run_group_tests_name("front_ring", tests, NULL, NULL);
}
