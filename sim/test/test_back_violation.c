// SPDX-License-Identifier: MIT
/* Goal: a frontend that breaks its rings, changes what it sent or connects with rubbish harms itself only. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define DEV     LAB_ADDRESS
#define BULK_IN RAW_PIPE(RAW_BULK, DEV, 1, 1)
#define ISO_IN  RAW_PIPE(RAW_ISO, DEV, 1, 1)

/* ---- the ring itself ---- */

#define ERROR_NODE "/local/domain/0/error/backend/qusb/1/0/error"

/* A second connector of the same process, with its own device. */
static unsigned int add_bystander(struct lab *lab)
{
    unsigned int n = lab_add(lab, 2, 0);
    scripted_host_plug(&lab->rig.host, "2-2", USBIF_SPEED_FULL);
    lab_run(lab);
    raw_front_connect(&lab->front[n]);
    assert_int_equal(vusb_set_port(lab->rig.dom0, &lab->controller[n], 1, "2-2"), 0);
    lab_run(lab);
    return n;
}

static void reconnect(struct lab *lab)
{
    struct raw_front *f = &lab->front[0];
    raw_front_set_state(f, XenbusStateClosed);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "6");
    raw_front_unmake(f);
    raw_front_set_state(f, XenbusStateInitialising);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "2");
    raw_front_connect(f);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "4");
}

/* MAL-37, MAL-38, RING-09, RING-10, SEC-16: impossible producers. */
static void test_violation_producer(void **state)
{
    static const struct {
        uint32_t add;
        const char *name;
    } jumps[] = {
        {17, "ring-overflow"},          {100, "ring-overflow"},         {0x7fffffff, "ring-overflow"},
        {0x80000000, "ring-underflow"}, {0xffffffff, "ring-underflow"}, {0xfffffff0, "ring-underflow"},
    };
    for (unsigned int i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        struct lab lab;
        char text[128];
        (void)state;
        lab_init(&lab, 2, 4);
        lab_start_driver(&lab);
        lab_run(&lab);
        raw_front_connect(&lab.front[0]);
        lab_run(&lab);
        lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
        lab_set_address(&lab, 0, 1, DEV);
        unsigned int bystander = add_bystander(&lab);

        struct usbif_urb_request request = raw_request(37, BULK_IN);
        raw_buffer(&lab.front[0], &request, 0, 64);
        raw_front_send(&lab.front[0], &request);
        lab_run(&lab);
        raw_set_word(lab.front[0].urb_page, 0, lab.front[0].urb_req + jumps[i].add);
        raw_front_notify(&lab.front[0]);
        lab_run(&lab);
        lab_expect(&lab, 37, -71, 0); /* answered before the end (rule BUS-25) */
        lab_expect_none(&lab);
        assert_string_equal(lab_back_state(&lab), "5");
        snprintf(text, sizeof(text), "71 protocol violated by the frontend: %s", jumps[i].name);
        assert_string_equal(rig_node(&lab.rig, ERROR_NODE), text);
        enum pvusb_verdict verdict = back_verdict(back_driver_connector(lab.driver, 0));
        assert_string_equal(pvusb_verdict_name(verdict), jumps[i].name);
        assert_int_equal(lab_maps(&lab), 2); /* those of the other */
        lab_check_alive(&lab, bystander);

        reconnect(&lab); /* rule RING-10 */
        assert_int_equal(back_verdict(back_driver_connector(lab.driver, 0)), PVUSB_OK);
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

/*
 * MAL-37 on the boundary: 16 is legal and all are answered; a 17th while 16 are owed is not (rule RING-18).
 */
static void test_violation_producer_boundary(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (uint16_t i = 0; i < 16; i++) {
        struct usbif_urb_request request = raw_request(i, BULK_IN);
        raw_front_put(&lab.front[0], &request);
    }
    raw_front_push(&lab.front[0]);
    lab_run(&lab);
    assert_int_equal(back_state(lab.rig.back), XenbusStateConnected);
    assert_int_equal(lab.rig.host.nr_held, 16);
    lab_complete(&lab, 3, 0, NULL, 0);
    lab_expect(&lab, 3, 0, 0);
    struct usbif_urb_request request = raw_request(99, BULK_IN);
    lab_send(&lab, &request);
    assert_int_equal(back_state(lab.rig.back), XenbusStateConnected);
    assert_int_equal(lab.rig.host.nr_held, 16);
    lab_send(&lab, &request);
    lab_run(&lab);
    assert_int_equal(back_state(lab.rig.back), XenbusStateClosing);
    for (uint16_t i = 0; i < 16; i++) /* each of the legal ones once, the other never */
        lab_expect(&lab, i == 15 ? 99 : i < 3 ? i : (uint16_t)(i + 1), -71, 0);
    lab_expect_none(&lab);
    lab_dispose(&lab);
}

static bool unmapped;
static unsigned int closed_ports;

static void watch_close(struct lab *lab, enum lab_call call)
{
    if (call == LAB_UNMAP)
        unmapped = true;
    closed_ports += call == LAB_CLOSE_PORT;
    if (call == LAB_STATE) {
        assert_true(unmapped); /* unmapped before the state says so (rule BUS-13) */
        assert_int_equal(lab_maps(lab), 0);
        assert_int_equal(lab->rig.host.nr_held, 0);
    }
}

/*
 * MAL-37 on the connection ring: found when an event is owed. Also with a host that cancels late (CONN-04).
 */
static void test_violation_conn_producer(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct lab lab;
        (void)state;
        lab_ready(&lab, 4);
        lab.rig.host.cancel_late = late;
        struct usbif_urb_request request = raw_request(1, BULK_IN);
        raw_buffer(&lab.front[0], &request, 0, 64);
        lab_send(&lab, &request);
        raw_set_word(lab.front[0].conn_page, 0, lab.front[0].conn_req + 513);
        unmapped = false;
        closed_ports = 0;
        lab_hook(&lab, watch_close);
        lab_plug(&lab, 2, "1-2", USBIF_SPEED_LOW);
        assert_string_equal(lab_back_state(&lab), "5");
        assert_int_equal(back_verdict(lab.rig.back), PVUSB_RING_OVERFLOW);
        lab_expect(&lab, 1, -71, 0);
        lab_expect_none(&lab);
        lab_expect_no_event(&lab);
        assert_int_equal(lab_maps(&lab), 0);
        assert_int_equal(closed_ports, 1); /* one end, not one inside of the other */
        lab_dispose(&lab);
    }
}

/* ---- what changes while we look ---- */

static void scribble_slot(struct lab *lab, enum lab_call call)
{
    struct raw_front *f = &lab->front[0];
    if (call != LAB_MAP)
        return;
    /* What an attacker wants: more segments, another grant, another length, another device, another id. */
    struct usbif_urb_request request = raw_request(666, RAW_PIPE(RAW_BULK, 99, 3, 0));
    request.nr_buffer_segs = 65535;
    request.buffer_length = 65535;
    memcpy(raw_front_slot(f, f->urb_req - 1), &request, sizeof(request));
}

/* MAL-39, RING-04, SEC-01: a slot rewritten after it was published. */
static void test_violation_double_fetch(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_request(39, BULK_IN);
    raw_buffer(&lab.front[0], &request, 10, 5000);
    lab_hook(&lab, scribble_slot);
    lab_send(&lab, &request);
    lab_unhook(&lab);
    assert_string_equal(lab.rig.host.log, "submit ep 1 bulk in 5000; ");
    assert_int_equal(lab.rig.host.held[0]->nr_segs, 2);
    memset(raw_front_slot(&lab.front[0], lab.front[0].urb_req - 1), 0xff, 148);
    lab_complete(&lab, 0, 0, "abc", 3);
    lab_expect(&lab, 39, 0, 3);
    assert_memory_equal(lab.front[0].page + 10, "abc", 3);
    assert_int_equal(lab_maps(&lab), 2);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* MAL-39 for descriptors: what was checked is what is used, however the page changes (rule ISO-07). */
static void test_violation_double_fetch_iso(void **state)
{
    struct lab lab;
    const uint32_t desc[4] = {0, 64, 0, 0};
    const uint32_t evil[4] = {0xffff0000, 0xffff, 0, 0};
    static const uint8_t isoc[8] = {1, 0, 0, 0, 1, 0, 1, 0};
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    struct usbif_urb_request request = raw_request(39, ISO_IN);
    memcpy(f->page + PVUSB_PAGE_SIZE, desc, 16);
    memcpy(request.u.ctrl, isoc, 8);
    raw_buffer(f, &request, 0, 64);
    request.seg[1] = (struct usbif_request_segment){.gref = f->rw[1], .length = 16};
    lab_send(&lab, &request);
    memcpy(f->page + PVUSB_PAGE_SIZE, evil, 16);
    assert_int_equal(lab.rig.host.held[0]->packets[0].offset, 0);
    assert_int_equal(lab.rig.host.held[0]->packets[0].length, 64);
    assert_ptr_not_equal(lab.rig.host.held[0]->packets, f->page + PVUSB_PAGE_SIZE);
    lab_complete(&lab, 0, 0, NULL, 0);
    lab_expect(&lab, 39, 0, 0);
    lab_dispose(&lab);
}

/* MAL-40: the words that are not the frontend's. They may cost it notifications and nothing else. */
static void test_violation_scribbled_words(void **state)
{
    static const uint32_t values[] = {0, 1, 17, 0x7fffffff, 0x80000000, 0xffffffff};
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        f->deaf = true;
        for (unsigned int word = 4; word <= 12; word += 4) {
            struct usbif_urb_request request = raw_request(40, BULK_IN);
            raw_set_word(f->urb_page, word, values[i]);
            raw_front_put(f, &request);
            f->urb_published = f->urb_req;
            raw_set_word(f->urb_page, 0, f->urb_req);
            raw_front_notify(f);
            lab_run(&lab);
            assert_int_equal(lab.rig.host.nr_held, 1);
            scripted_host_complete(&lab.rig.host, 0, 0, NULL, 0);
            assert_int_equal(raw_front_rsp_prod(f), f->urb_req); /* whatever stood there */
            assert_memory_equal(raw_front_slot(f, f->urb_req - 1), "\x28\0\0\0\0\0\0\0", 8);
            raw_set_word(f->urb_page, 4, f->urb_req + 1);
            f->urb_rsp = f->urb_req;
            raw_set_word(f->urb_page, 12, f->urb_req + 1);
        }
    }
    assert_int_equal(back_state(lab.rig.back), XenbusStateConnected);
    f->deaf = false;
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

static unsigned int storm;

static void notify_again(struct lab *lab, enum lab_call call)
{
    if (call != LAB_UNMASK)
        return;
    storm++;
    assert_true(storm < 10000); /* the backend never leaves its step */
    raw_front_notify(&lab->front[0]);
}

/* MAL-41: a guest that notifies without end does not keep the backend from anything else. */
static void test_violation_event_storm(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    storm = 0;
    lab_hook(&lab, notify_again);
    raw_front_notify(&lab.front[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(back_step(lab.rig.back, 0), 0);
    assert_true(storm >= 3);
    assert_true(storm < 300);
    lab_unhook(&lab);
    lab_run(&lab);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

static void write_again(struct lab *lab, enum lab_call call)
{
    if (call != LAB_WATCH)
        return;
    storm++;
    assert_true(storm < 10000);
    raw_front_set_node(&lab->front[0], "x", "y");
}

/* MAL-41 by way of xenstore: a guest that writes its nodes without end. */
static void test_violation_watch_storm(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    storm = 0;
    lab_hook(&lab, write_again);
    assert_int_equal(back_step(lab.rig.back, 0), 0);
    assert_true(storm > 0);
    assert_true(storm < 1000);
    assert_true(back_busy(lab.rig.back));
    lab_unhook(&lab);
    lab_run(&lab);
    assert_false(back_busy(lab.rig.back));
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* ---- connecting ---- */

/* MAL-42, BUS-25, LIF-04: FE 5 and FE 6 with transfers in flight, on a host that cancels at once or late. */
static void test_violation_close_in_flight(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct lab lab;
        (void)state;
        lab_ready(&lab, 4);
        lab_plug(&lab, 2, "1-2", USBIF_SPEED_FULL);
        lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
        lab_set_address(&lab, 0, 2, 4);
        lab.rig.host.cancel_late = i & 1;
        for (uint16_t id = 1; id <= 3; id++) {
            struct usbif_urb_request request = raw_request(id, RAW_PIPE(RAW_BULK, id == 2 ? 4 : DEV, 1, 1));
            raw_buffer(&lab.front[0], &request, 0, 8192);
            lab_send(&lab, &request);
        }
        struct usbif_urb_request unlink = raw_unlink(4, BULK_IN, 1);
        if (i & 1)
            lab_send(&lab, &unlink); /* waits for its target */
        unmapped = false;
        lab_hook(&lab, watch_close);
        raw_front_set_state(&lab.front[0], i & 2 ? XenbusStateClosed : XenbusStateClosing);
        lab_run(&lab);
        assert_string_equal(lab_back_state(&lab), i & 2 ? "6" : "5");
        unsigned int seen = 0;
        for (unsigned int n = 0; n < lab.front[0].nr_rsp; n++) {
            seen |= 1u << lab.front[0].rsp[n].id;
            assert_int_equal(lab.front[0].rsp[n].status, lab.front[0].rsp[n].id == 4 ? 0 : -71);
        }
        assert_int_equal(lab.front[0].nr_rsp, i & 1 ? 4 : 3);
        assert_int_equal(seen, i & 1 ? 0x1e : 0xe);
        assert_int_equal(lab.rig.host.open[0], !(i & 1)); /* kept, unless that was the only way to an end */
        assert_int_equal(lab_maps(&lab), 0);
        lab_dispose(&lab);
    }
}

/*
 * MAL-43 to MAL-45, XS-12, BUS-09: nodes that cannot be used end in Closing, with nothing left mapped or
 * bound.
 */
static void test_violation_connect(void **state)
{
    static const struct {
        const char *id, *node, *value;
        const char *error;
    } cases[] = {
        {"MAL-43", "conn-ring-ref", "same", "22 a page twice in the rings"},
        {"MAL-44 urb", "urb-ring-ref", "ro", "13 mapping rings"},
        {"MAL-44 conn", "conn-ring-ref", "ro", "13 mapping rings"},
        {"MAL-45 unknown", "event-channel", "4711", "22 binding event channel"},
        {"MAL-45 used", "event-channel", "used", "22 binding event channel"},
        {"BUS-09 unmappable", "urb-ring-ref", "4294967295", "2 mapping rings"},
        {"BUS-09 reserved", "conn-ring-ref", "0", "2 mapping rings"},
    };
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        char value[16];
        evtchn_port_t used;
        (void)state;
        print_message("%s\n", cases[i].id);
        lab_init(&lab, 2, 4);
        rig_start_back(&lab.rig);
        lab_run(&lab);
        struct raw_front *f = &lab.front[0];
        raw_front_make(f);
        raw_front_write_nodes(f);
        raw_front_prime(f, 512, 0);
        assert_int_equal(lab.rig.dom0->ops->evtchn_bind(lab.rig.dom0, 1, f->port, &used), 0);
        assert_int_equal(lab.rig.dom0->ops->evtchn_pending(lab.rig.dom0, &used), 0);
        if (strcmp(cases[i].value, "used") != 0)
            assert_int_equal(lab.rig.dom0->ops->evtchn_close(lab.rig.dom0, used), 0);
        snprintf(value, sizeof(value), "%u", cases[i].value[0] == 's' ? f->urb_ref
                                             : cases[i].value[0] == 'r' ? f->ro[0]
                                                                        : f->port);
        bool literal = cases[i].value[0] >= '0' && cases[i].value[0] <= '9';
        raw_front_set_node(f, cases[i].node, literal ? cases[i].value : value);
        raw_front_set_state(f, XenbusStateConnected);
        lab_run(&lab);
        assert_string_equal(lab_back_state(&lab), "5");
        assert_string_equal(rig_node(&lab.rig, ERROR_NODE), cases[i].error);
        assert_int_equal(lab_maps(&lab), 0);
        if (strcmp(cases[i].value, "used") == 0)
            assert_int_equal(lab.rig.dom0->ops->evtchn_close(lab.rig.dom0, used), 0);
        reconnect(&lab);
        lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_violation_producer),
        cmocka_unit_test(test_violation_producer_boundary),
        cmocka_unit_test(test_violation_conn_producer),
        cmocka_unit_test(test_violation_double_fetch),
        cmocka_unit_test(test_violation_double_fetch_iso),
        cmocka_unit_test(test_violation_scribbled_words),
        cmocka_unit_test(test_violation_event_storm),
        cmocka_unit_test(test_violation_watch_storm),
        cmocka_unit_test(test_violation_close_in_flight),
        cmocka_unit_test(test_violation_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
