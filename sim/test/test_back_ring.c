// SPDX-License-Identifier: MIT
/*
 * An URB ring of more than one page (backend.h) at the backend: offered, taken as the frontend made it, all of its slots
 * in use at once, every page let go of; and what of a frontend's words about it is not believed.
 */
#include "back_lab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ORDER_NODE "urb-ring-page-order"
#define MAX_NODE   "/local/domain/0/backend/qusb/1/0/max-urb-ring-page-order"
#define FRONT_NODE "/local/domain/1/device/vusb/0/" ORDER_NODE
#define ERROR_NODE "/local/domain/0/error/backend/qusb/1/0/error"
#define BULK_IN    RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 1)

/* A backend that lets rings be so large; its frontend has done nothing yet. */
static void start(struct lab *lab, unsigned int pages_max)
{
    lab_init(lab, 2, 4);
    lab->rig.ring_pages = pages_max;
    rig_start_back(&lab->rig);
    lab_run(lab);
}

static void connect(struct lab *lab, unsigned int order)
{
    struct raw_front *f = &lab->front[0];
    f->order = order;
    f->nr_events = 0;
    raw_front_connect(f);
    lab_plug(lab, 1, "1-1", USBIF_SPEED_HIGH);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "4");
    assert_int_equal(lab_maps(lab), (1u << order) + 1);
    lab_expect_event(lab, 1, USBIF_SPEED_HIGH);
    lab_set_address(lab, 0, 1, LAB_ADDRESS);
}

/* The frontend ends the connection in order; nothing of it stays. */
static void disconnect(struct lab *lab)
{
    struct raw_front *f = &lab->front[0];
    raw_front_set_state(f, XenbusStateClosing);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "5");
    assert_int_equal(lab_maps(lab), 0);
    raw_front_set_state(f, XenbusStateClosed);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "6");
    raw_front_unmake(f);
    scripted_host_unplug(&lab->rig.host, "1-1");
    raw_front_set_state(f, XenbusStateInitialising);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "2");
}

/* Fills the whole ring, then answers the first half in order and the second half backwards. */
static void fill_and_empty(struct lab *lab, uint16_t slots)
{
    struct raw_front *f = &lab->front[0];
    for (uint16_t i = 0; i < slots; i++) {
        struct usbif_urb_request request = raw_request((uint16_t)(1000 + i), BULK_IN);
        raw_segment(&request, f->rw[i % RAW_PAGES], (uint16_t)(i / RAW_PAGES * 64), 64);
        raw_front_put(f, &request);
    }
    raw_front_push(f);
    lab_run(lab);
    assert_int_equal(lab->rig.host.nr_held, slots);
    lab_expect_none(lab);
    for (uint16_t i = 0; i < slots; i++) {
        uint16_t n = i < slots / 2 ? i : (uint16_t)(slots - 1 - (i - slots / 2));
        char data[64];
        memset(data, 'a' + n % 26, sizeof(data));
        lab_complete(lab, n == i ? 0 : slots - 1u - i, 0, data, sizeof(data));
        lab_expect(lab, (uint16_t)(1000 + n), 0, sizeof(data));
        assert_memory_equal(f->page + (size_t)(n % RAW_PAGES) * PVUSB_PAGE_SIZE + n / RAW_PAGES * 64, data, 64);
    }
    assert_int_equal(lab_maps(lab), (1u << f->order) + 1);
}

/* The largest that is offered is what the configuration says, eight pages if it says nothing. */
static void test_back_ring_offer(void **state)
{
    static const struct {
        unsigned int pages;
        const char *offer;
    } rows[] = {{0, "3"}, {16, "4"}, {8, "3"}, {4, "2"}, {2, "1"}, {1, ""}};
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lab lab;
        start(&lab, rows[i].pages);
        assert_string_equal(rig_node(&lab.rig, MAX_NODE), rows[i].offer);
        lab_dispose(&lab);
    }
}

/* RING-01, RING-13: every slot of every page, several times around; one connection after the other, of every size. */
static void test_back_ring_every_slot(void **state)
{
    static const unsigned int orders[] = {2, 0, 1, 4, 3, 0};
    struct lab lab;
    (void)state;
    start(&lab, 16);
    for (unsigned int i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        connect(&lab, orders[i]);
        for (unsigned int round = 0; round < 3; round++)
            fill_and_empty(&lab, (uint16_t)(16u << orders[i]));
        lab_check_alive(&lab, 0);
        disconnect(&lab);
        if (orders[i] > 0) /* the word of that frontend is gone with it */
            assert_string_equal(rig_node(&lab.rig, FRONT_NODE), "");
    }
    lab_dispose(&lab);
}

/* MAL-37, MAL-38, RING-09, RING-18: what is impossible in a ring of four pages, and just possible. */
static void test_back_ring_bounds(void **state)
{
    static const struct {
        unsigned int held; /* taken and not answered */
        uint32_t ahead;
        const char *verdict;
    } rows[] = {
        {0, 65, "ring-overflow"},   {0, 0x7fffffff, "ring-overflow"}, {0, 0xffffffff, "ring-underflow"},
        {40, 25, "ring-overflow"},  {64, 1, "ring-overflow"},         {64, 0xffffffc0, "ring-underflow"},
        {17, 0x80000000, "ring-underflow"},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lab lab;
        start(&lab, 4);
        connect(&lab, 2);
        struct raw_front *f = &lab.front[0];
        for (uint16_t n = 0; n < rows[i].held; n++) {
            struct usbif_urb_request request = raw_request(n, BULK_IN);
            raw_segment(&request, f->rw[0], 0, 64);
            lab_send(&lab, &request);
        }
        assert_int_equal(lab.rig.host.nr_held, rows[i].held);
        assert_int_equal(back_verdict(lab.rig.back), PVUSB_OK);
        f->deaf = true;
        raw_set_word(f->urb_page, 0, f->urb_req + rows[i].ahead);
        raw_front_notify(f);
        lab_run(&lab);
        assert_string_equal(pvusb_verdict_name(back_verdict(lab.rig.back)), rows[i].verdict);
        assert_string_equal(lab_back_state(&lab), "5");
        assert_int_equal(lab_maps(&lab), 0);
        assert_int_equal(lab.rig.host.nr_held, 0);
        lab_dispose(&lab);
    }
}

/*
 * MAL-43 to MAL-45, XS-12: words that cannot be meant end in Closing, with one line and nothing mapped. The node that says
 * so is set beside those of a good ring of four pages; the backend would take up to eight.
 */
static void test_back_ring_refused(void **state)
{
    static const struct {
        const char *node, *value, *error;
    } rows[] = {
        {ORDER_NODE, "4", "22 " ORDER_NODE " is no number, or more than was offered"},
        {ORDER_NODE, "31", "22 " ORDER_NODE " is no number, or more than was offered"},
        {ORDER_NODE, "4294967298", "22 " ORDER_NODE " is no number, or more than was offered"},
        {ORDER_NODE, "-1", "22 " ORDER_NODE " is no number, or more than was offered"},
        {ORDER_NODE, "2 ", "22 " ORDER_NODE " is no number, or more than was offered"},
        {ORDER_NODE, "", "22 " ORDER_NODE " is no number, or more than was offered"},
        {"urb-ring-ref2", "0", "2 mapping rings"},
        {"urb-ring-ref3", "4294967295", "2 mapping rings"},
        {"urb-ring-ref3", "ro", "13 mapping rings"},
        {"urb-ring-ref1", "first", "22 a page twice in the rings"},
        {"urb-ring-ref3", "conn", "22 a page twice in the rings"},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lab lab;
        char value[16];
        start(&lab, 8);
        struct raw_front *f = &lab.front[0];
        f->order = 2;
        raw_front_make(f);
        raw_front_write_nodes(f);
        const grant_ref_t ref = rows[i].value[0] == 'r' ? f->ro[0] : rows[i].value[0] == 'f' ? f->urb_ref : f->conn_ref;
        bool word = rows[i].value[0] >= 'a';
        snprintf(value, sizeof(value), "%u", ref);
        raw_front_set_node(f, rows[i].node, word ? value : rows[i].value);
        raw_front_set_state(f, XenbusStateConnected);
        lab_run(&lab);
        assert_string_equal(rig_node(&lab.rig, ERROR_NODE), rows[i].error);
        assert_string_equal(lab_back_state(&lab), "5");
        assert_int_equal(lab_maps(&lab), 0);
        raw_front_set_state(f, XenbusStateClosed);
        lab_run(&lab);
        raw_front_unmake(f);
        raw_front_set_state(f, XenbusStateInitialising);
        lab_run(&lab);
        connect(&lab, 2);
        lab_dispose(&lab);
    }
}

/* BUS-09: a reference that is missing, or no number yet, may still come. */
static void test_back_ring_reference_missing(void **state)
{
    static const char *const early[] = {NULL, "", "soon"};
    (void)state;
    for (unsigned int i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
        struct lab lab;
        char value[16];
        start(&lab, 0);
        struct raw_front *f = &lab.front[0];
        f->order = 1;
        raw_front_make(f);
        raw_front_write_nodes(f);
        if (early[i])
            raw_front_set_node(f, "urb-ring-ref1", early[i]);
        else
            assert_int_equal(f->xen->ops->xs_rm(f->xen, XEN_XBT_NIL, "/local/domain/1/device/vusb/0/urb-ring-ref1"), 0);
        raw_front_set_state(f, XenbusStateConnected);
        lab_run(&lab);
        assert_string_equal(lab_back_state(&lab), "2");
        assert_int_equal(lab_maps(&lab), 0);
        assert_non_null(strstr(lab.rig.log, "reading urb-ring-ref1: "));
        snprintf(value, sizeof(value), "%u", f->more_ref[0]);
        raw_front_set_node(f, "urb-ring-ref1", value);
        lab_run(&lab);
        assert_string_equal(lab_back_state(&lab), "4");
        assert_int_equal(lab_maps(&lab), 3);
        lab_dispose(&lab);
    }
}

/* Who offers nothing takes every frontend for one that knows of nothing, whatever is written there. */
static void test_back_ring_not_offered(void **state)
{
    static const char *const words[] = {"2", "99", "many"};
    (void)state;
    for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct lab lab;
        start(&lab, 1);
        raw_front_set_node(&lab.front[0], ORDER_NODE, words[i]);
        connect(&lab, 0);
        fill_and_empty(&lab, 16);
        assert_string_equal(rig_node(&lab.rig, FRONT_NODE), words[i]);
        lab_dispose(&lab);
    }
}

/* A frontend dies without taking its word back; the next one does not know the node and has one page. */
static void test_back_ring_word_of_the_dead(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, 0);
    connect(&lab, 3);
    struct raw_front *f = &lab.front[0];
    raw_front_set_state(f, XenbusStateInitialising);
    lab_run(&lab);
    assert_int_equal(lab_maps(&lab), 0);
    assert_string_equal(rig_node(&lab.rig, FRONT_NODE), "");
    assert_string_equal(lab_back_state(&lab), "2");
    raw_front_unmake(f);
    scripted_host_unplug(&lab.rig.host, "1-1");
    connect(&lab, 0);
    fill_and_empty(&lab, 16);
    lab_dispose(&lab);
}

/* ---- batches ---- */

static unsigned int batches;
static uint32_t published[64]; /* at each event */

/* A frontend that is awake at once: it takes what is there and asks for an event with the next. */
static void take_at_event(struct lab *lab, enum lab_call call)
{
    struct raw_front *f = &lab->front[0];
    if (call != LAB_NOTIFY)
        return;
    assert_true(batches < 64);
    published[batches++] = raw_front_rsp_prod(f);
    raw_set_word(f->urb_page, 12, raw_front_rsp_prod(f) + 1);
}

/*
 * Requests that are answered at once, all published by one push. The frontend is told after three eighths of a ring, then
 * again, and of the last ones when there is nothing more to serve: what is ready never waits for what comes later.
 */
static void test_back_ring_batches(void **state)
{
    static const struct {
        unsigned int order;
        uint16_t requests;
        uint32_t at[4]; /* responses that are published at each event; 0 ends */
    } rows[] = {
        {0, 1, {1}},        {0, 2, {2}},   {0, 8, {8}},           {0, 16, {8, 16}},
        {3, 1, {1}},        {3, 49, {49}}, {3, 128, {50, 100, 128}}, {2, 64, {26, 52, 64}},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lab lab;
        unsigned int n = 0;
        start(&lab, 0);
        connect(&lab, rows[i].order);
        struct raw_front *f = &lab.front[0];
        uint32_t before = raw_front_rsp_prod(f);
        batches = 0;
        lab_hook(&lab, take_at_event);
        for (uint16_t r = 0; r < rows[i].requests; r++) { /* nothing has this address */
            struct usbif_urb_request request = raw_request(r, RAW_PIPE(RAW_BULK, LAB_ADDRESS + 1, 1, 1));
            raw_front_put(f, &request);
        }
        raw_front_push(f);
        assert_int_equal(back_step(lab.rig.back, 0), 0);
        while (n < 4 && rows[i].at[n])
            n++;
        assert_int_equal(batches, n);
        for (unsigned int k = 0; k < n; k++)
            assert_int_equal(published[k] - before, rows[i].at[k]);
        lab_unhook(&lab);
        lab_run(&lab);
        assert_int_equal(f->nr_rsp, rows[i].requests);
        lab_dispose(&lab);
    }
}

/* A frontend that sleeps on costs one event, however much is published meanwhile. */
static void test_back_ring_batch_of_a_sleeper(void **state)
{
    struct lab lab;
    (void)state;
    start(&lab, 0);
    connect(&lab, 3);
    struct raw_front *f = &lab.front[0];
    uint64_t events = back_stats(lab.rig.back).notifications;
    for (uint16_t r = 0; r < 128; r++) {
        struct usbif_urb_request request = raw_request(r, RAW_PIPE(RAW_BULK, LAB_ADDRESS + 1, 1, 1));
        raw_front_put(f, &request);
    }
    raw_front_push(f);
    assert_int_equal(back_step(lab.rig.back, 0), 0);
    assert_int_equal(back_stats(lab.rig.back).notifications - events, 1); /* asked for one, got one */
    lab_run(&lab);
    assert_int_equal(f->nr_rsp, 128);
    lab_dispose(&lab);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_ring_offer),       cmocka_unit_test(test_back_ring_every_slot),
        cmocka_unit_test(test_back_ring_bounds),      cmocka_unit_test(test_back_ring_refused),
        cmocka_unit_test(test_back_ring_reference_missing), cmocka_unit_test(test_back_ring_not_offered),
        cmocka_unit_test(test_back_ring_word_of_the_dead), cmocka_unit_test(test_back_ring_batches),
        cmocka_unit_test(test_back_ring_batch_of_a_sleeper),
    };
    return cmocka_run_group_tests_name("back_ring", tests, NULL, NULL);
}
