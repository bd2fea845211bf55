// SPDX-License-Identifier: MIT
/* Goal: the guest learns of every plug and unplug, in order, once, and only of devices that are there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define BULK_IN RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 1)

static void set_port(struct lab *lab, unsigned int n, unsigned int port, const char *busid)
{
    assert_int_equal(vusb_set_port(lab->rig.dom0, &lab->controller[n], port, busid), 0);
}

/* Backend and frontend 0 connected, with n conn requests whose ids are first, first + 1, ... */
static void connect_primed(struct lab *lab, unsigned int usb_ver, unsigned int n, uint16_t first)
{
    lab_init(lab, usb_ver, 4);
    rig_start_back(&lab->rig);
    lab_run(lab);
    raw_front_make(&lab->front[0]);
    raw_front_write_nodes(&lab->front[0]);
    raw_front_prime(&lab->front[0], n, first);
    raw_front_set_state(&lab->front[0], XenbusStateConnected);
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), "4");
}

/*
 * CONN-07, CONN-13, HOT-01: what each speed becomes on both kinds of controller; open, reset once, then the
 * event.
 */
static void test_hotplug_speeds(void **state)
{
    (void)state;
    for (unsigned int usb_ver = 1; usb_ver <= 2; usb_ver++) {
        for (uint8_t speed = USBIF_SPEED_LOW; speed <= USBIF_SPEED_HIGH; speed++) {
            struct lab lab;
            bool fits = speed < USBIF_SPEED_HIGH || usb_ver == 2;
            connect_primed(&lab, usb_ver, 512, 0);
            lab_plug(&lab, 3, "1-1", speed);
            if (fits)
                lab_expect_event(&lab, 3, speed);
            lab_expect_no_event(&lab);
            assert_string_equal(lab.rig.host.log, fits ? "open 1-1; reset; " : "open 1-1; close; ");
            assert_int_equal(lab.rig.host.open[0], fits);
            assert_int_equal(strstr(lab.rig.log, "wrong speed") == NULL, fits);
            lab_dispose(&lab);
        }
    }
}

/*
 * BUS-04, CONN-16: at connect, one event for each device, in order of ports, right after state 4. CONN-10: no
 * more.
 */
static void test_hotplug_at_connect(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    scripted_host_plug(&lab.rig.host, "1-4", USBIF_SPEED_LOW);
    scripted_host_plug(&lab.rig.host, "1-2", USBIF_SPEED_HIGH);
    set_port(&lab, 0, 4, "1-4");
    set_port(&lab, 0, 2, "1-2");
    set_port(&lab, 0, 1, "9-9"); /* rule CONN-18 */
    rig_start_back(&lab.rig);
    lab_run(&lab);
    assert_true(lab.rig.host.open[0]);
    scripted_host_unplug(&lab.rig.host, "1-4"); /* came and went and came before anybody looked */
    scripted_host_plug(&lab.rig.host, "1-4", USBIF_SPEED_FULL);
    raw_front_connect(&lab.front[0]);
    lab_run(&lab);
    lab_expect_event(&lab, 2, USBIF_SPEED_HIGH);
    lab_expect_event(&lab, 4, USBIF_SPEED_FULL);
    lab_expect_no_event(&lab);
    lab_dispose(&lab);
}

/* CONN-18, CTL-19, HOT-10: a device that is not there; then it comes by itself (CONN-19). */
static void test_hotplug_absent(void **state)
{
    static const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    struct lab lab;
    (void)state;
    connect_primed(&lab, 2, 512, 0);
    set_port(&lab, 0, 1, "9-9");
    lab_run(&lab);
    lab_expect_no_event(&lab);
    struct usbif_urb_request request = raw_control(1, 0, setup);
    request.pipe |= 1;
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -19, 0);
    scripted_host_plug(&lab.rig.host, "9-8", USBIF_SPEED_LOW); /* another one */
    lab_run(&lab);
    lab_expect_no_event(&lab);
    scripted_host_plug(&lab.rig.host, "9-9", USBIF_SPEED_LOW);
    lab_run(&lab);
    lab_expect_event(&lab, 1, USBIF_SPEED_LOW);
    lab_expect_no_event(&lab);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* CONN-04: fewer requests than events; the events wait, in order, and none is lost or made twice. */
static void test_hotplug_few_requests(void **state)
{
    for (unsigned int primed = 0; primed < 4; primed++) {
        struct lab lab;
        (void)state;
        connect_primed(&lab, 2, primed, 100);
        struct raw_front *f = &lab.front[0];
        f->hold_conn = true;
        lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
        lab_plug(&lab, 2, "1-2", USBIF_SPEED_FULL);
        lab_plug(&lab, 3, "1-3", USBIF_SPEED_LOW);
        assert_int_equal(f->nr_events, primed);
        assert_int_equal(raw_word(f->conn_page, 8), primed);
        for (unsigned int i = primed; i < 3; i++) {
            raw_front_prime(f, 1, (uint16_t)(100 + i)); /* by the rules of notification: a lost wish shows */
            lab_run(&lab);
            assert_int_equal(f->nr_events, i + 1);
        }
        for (unsigned int i = 0; i < 3; i++)
            assert_int_equal(f->event[i].id, 100 + i); /* rule CONN-03 */
        lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
        lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
        lab_expect_event(&lab, 3, USBIF_SPEED_LOW);
        raw_front_prime(f, 5, 0);
        lab_run(&lab);
        lab_expect_no_event(&lab);
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

/* CONN-04 with CONN-11: swaps while no request is there. What was told decides what must be told. */
static void test_hotplug_swap_without_requests(void **state)
{
    struct lab lab;
    (void)state;
    connect_primed(&lab, 2, 1, 0);
    struct raw_front *f = &lab.front[0];
    f->hold_conn = true;
    lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    scripted_host_unplug(&lab.rig.host, "1-1");
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_HIGH);
    scripted_host_unplug(&lab.rig.host, "1-1");
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_HIGH);
    set_port(&lab, 0, 2, "1-2");
    scripted_host_plug(&lab.rig.host, "1-2", USBIF_SPEED_LOW);
    scripted_host_unplug(&lab.rig.host, "1-2"); /* never told: nothing to tell */
    lab_run(&lab);
    lab_expect_no_event(&lab);
    raw_front_prime(f, 1, 1);
    lab_run(&lab);
    lab_expect_event(&lab, 1, 0);
    raw_front_prime(f, 5, 2);
    lab_run(&lab);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    lab_expect_no_event(&lab);
    lab_dispose(&lab);
}

/*
 * CONN-04, BUS-14: an unplug that could not be told before the connection ended is not news to the next one.
 */
static void test_hotplug_untold_at_close(void **state)
{
    struct lab lab;
    (void)state;
    connect_primed(&lab, 2, 1, 0);
    struct raw_front *f = &lab.front[0];
    f->hold_conn = true;
    lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    scripted_host_unplug(&lab.rig.host, "1-1");
    raw_front_set_state(f, XenbusStateClosed);
    lab_run(&lab);
    raw_front_unmake(f);
    raw_front_set_state(f, XenbusStateInitialising);
    lab_run(&lab);
    raw_front_connect(f);
    lab_run(&lab);
    lab_expect_no_event(&lab);
    lab_dispose(&lab);
}

/* CONN-03, CONN-05, CONN-06: 600 cycles, more than a ring of events; ids come back, here all the same. */
static void test_hotplug_many_cycles(void **state)
{
    struct lab lab;
    (void)state;
    connect_primed(&lab, 2, 1, 7);
    raw_front_prime(&lab.front[0], 1, 7);
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_FULL);
    for (unsigned int i = 0; i < 600; i++) {
        set_port(&lab, 0, 2, "1-1");
        lab_run(&lab);
        assert_int_equal(lab.front[0].event[0].id, 7);
        lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
        set_port(&lab, 0, 2, "");
        lab_run(&lab);
        assert_int_equal(lab.front[0].event[0].id, 7);
        lab_expect_event(&lab, 2, 0);
        lab_expect_no_event(&lab);
        lab.rig.log[0] = '\0';
        scripted_host_clear_log(&lab.rig.host);
    }
    assert_int_equal(back_stats(lab.rig.back).plug_events, 1200);
    lab_dispose(&lab);
}

/* CONN-11, XS-10: another device without "" between; the guest sees it leave. */
static void test_hotplug_swap(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    scripted_host_plug(&lab.rig.host, "1-2", USBIF_SPEED_HIGH);
    set_port(&lab, 0, 1, "1-2");
    lab_run(&lab);
    lab_expect_event(&lab, 1, 0);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    lab_expect_no_event(&lab);
    struct usbif_urb_request request = raw_request(1, BULK_IN);
    lab_send(&lab, &request);
    lab_expect(&lab, 1, -19, 0); /* the address was the other's (rule ADR-03) */
    set_port(&lab, 0, 1, "");
    set_port(&lab, 0, 1, "1-1"); /* both seen at once */
    lab_run(&lab);
    lab_expect_event(&lab, 1, 0);
    lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
    set_port(&lab, 0, 1, "1-1"); /* the same again */
    lab_run(&lab);
    lab_expect_no_event(&lab);
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* CONN-19, HOT-04: pulled and pushed in again with the node unchanged, with transfers in flight. */
static void test_hotplug_physical(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (uint16_t i = 0; i < 3; i++) {
        struct usbif_urb_request request = raw_request(i, BULK_IN);
        raw_buffer(&lab.front[0], &request, 0, 64);
        lab_send(&lab, &request);
    }
    scripted_host_unplug(&lab.rig.host, "1-1");
    assert_int_equal(lab_maps(&lab), 2); /* without a step */
    lab_run(&lab);
    for (uint16_t i = 0; i < 3; i++)
        lab_expect(&lab, i, -19, 0);
    lab_expect_none(&lab);
    lab_expect_event(&lab, 1, 0);
    scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_LOW);
    lab_run(&lab);
    lab_expect_event(&lab, 1, USBIF_SPEED_LOW);
    lab_expect_no_event(&lab);
    struct usbif_urb_request request = raw_request(9, BULK_IN);
    lab_send(&lab, &request);
    lab_expect(&lab, 9, -19, 0);
    lab_check_alive(&lab, 0);
    lab_set_address(&lab, 0, 1, LAB_ADDRESS); /* the address is free again */
    lab_dispose(&lab);
}

static uint32_t urb_prod_at_notify;
static uint32_t conn_prod_at_notify;
static unsigned int notifications;

static void watch_order(struct lab *lab, enum lab_call call)
{
    if (call != LAB_NOTIFY)
        return;
    notifications++;
    assert_int_equal(lab_maps(lab), 2); /* unmapped before anybody is told (rule SEG-11) */
    if (raw_word(lab->front[0].conn_page, 8) != conn_prod_at_notify)
        /* answers before the event */
        assert_int_equal(raw_front_rsp_prod(&lab->front[0]), urb_prod_at_notify + 3);
}

/*
 * HOT-02, HOT-05: taken away by the toolstack: answers, event, addresses; on hosts that cancel at once or
 * late.
 */
static void test_hotplug_detach_order(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct lab lab;
        (void)state;
        lab_ready(&lab, 4);
        lab_plug(&lab, 2, "1-2", USBIF_SPEED_FULL);
        lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
        lab_set_address(&lab, 0, 2, 9);
        struct usbif_urb_request other = raw_request(0, RAW_PIPE(RAW_BULK, 9, 1, 1));
        lab_send(&lab, &other);
        lab.rig.host.cancel_late = late;
        for (uint16_t i = 1; i <= 3; i++) {
            struct usbif_urb_request request = raw_request(i, BULK_IN);
            raw_buffer(&lab.front[0], &request, 0, 64);
            lab_send(&lab, &request);
        }
        urb_prod_at_notify = raw_front_rsp_prod(&lab.front[0]);
        conn_prod_at_notify = raw_word(lab.front[0].conn_page, 8);
        notifications = 0;
        lab_hook(&lab, watch_order);
        set_port(&lab, 0, 1, "");
        lab_run(&lab);
        lab_unhook(&lab);
        assert_true(notifications >= 1);
        const char *expected = late ? "cancel; close; " : "cancel; cancel; cancel; close; ";
        assert_non_null(strstr(lab.rig.host.log, expected));
        assert_int_equal(lab.rig.host.nr_held, 1); /* the other device's goes on */
        for (uint16_t i = 1; i <= 3; i++)
            lab_expect(&lab, i, -71, 0);
        lab_expect_none(&lab);
        lab_expect_event(&lab, 1, 0);
        lab_expect_no_event(&lab);
        struct usbif_urb_request request = raw_request(9, BULK_IN);
        lab_send(&lab, &request);
        lab_expect(&lab, 9, -19, 0);
        static const uint8_t setup[8] = {0x80, 6, 0, 1, 0, 0, 18, 0};
        request = raw_control(10, LAB_ADDRESS, setup); /* rule CTL-19 */
        lab_send(&lab, &request);
        lab_expect(&lab, 10, -19, 0);
        assert_false(lab.rig.host.open[0]);
        lab_dispose(&lab);
    }
}

/* ---- many connectors ---- */

static void expect_of(struct lab *lab, unsigned int n, uint8_t port, uint8_t speed)
{
    struct raw_front *f = &lab->front[n];
    assert_true(f->nr_events > 0);
    assert_int_equal(f->event[0].portnum, port);
    assert_int_equal(f->event[0].speed, speed);
    memmove(f->event, f->event + 1, --f->nr_events * sizeof(f->event[0]));
}

/* Two controllers of guest 1 and one of guest 2, a device at port 1 of each. */
static void start_three(struct lab *lab)
{
    char busid[8];
    lab_init(lab, 2, 4);
    lab_start_driver(lab);
    lab_run(lab);
    lab_add(lab, 1, 1);
    lab_add(lab, 2, 0);
    lab_run(lab);
    for (unsigned int n = 0; n < 3; n++) {
        raw_front_connect(&lab->front[n]);
        snprintf(busid, sizeof(busid), "%u-1", n + 1);
        scripted_host_plug(&lab->rig.host, busid, USBIF_SPEED_HIGH);
        set_port(lab, n, 1, busid);
    }
    lab_run(lab);
    for (unsigned int n = 0; n < 3; n++) {
        expect_of(lab, n, 1, USBIF_SPEED_HIGH);
        lab_set_address(lab, n, 1, LAB_ADDRESS); /* the same on all (rules ADR-01, CONN-20) */
    }
    assert_int_equal(lab->driver_rc, 0);
}

/* XS-02, XS-16, SEC-16, CONN-20, RING-19: connectors share nothing. */
static void test_hotplug_isolation(void **state)
{
    struct lab lab;
    (void)state;
    start_three(&lab);
    static const char announced[] = "/local/domain/0/device-model/1/backends/qusb";
    assert_int_equal(lab.rig.dom0->ops->xs_read(lab.rig.dom0, XEN_XBT_NIL, announced, (char[8]){0}, 8), 0);
    for (unsigned int n = 0; n < 3; n++) {
        for (uint16_t i = 0; i < 16; i++) { /* every ring full (rule RING-11) */
            struct usbif_urb_request request = raw_request(i, BULK_IN);
            raw_buffer(&lab.front[n], &request, 0, 65536);
            raw_front_send(&lab.front[n], &request);
        }
    }
    lab_run(&lab);
    assert_int_equal(lab.rig.host.nr_held, 48);
    assert_int_equal(lab_maps(&lab), 3 * 258); /* rule RING-20 */
    raw_set_word(lab.front[0].urb_page, 0, 1000); /* guest 1 breaks one ring */
    raw_front_notify(&lab.front[0]);
    lab_run(&lab);
    assert_string_equal(lab_back_state(&lab), "5");
    assert_int_equal(lab.front[0].nr_rsp, 16);
    assert_int_equal(lab.rig.host.nr_held, 32);
    assert_int_equal(lab.front[1].nr_rsp + lab.front[2].nr_rsp, 0);
    for (unsigned int i = 0; i < 16; i++)
        scripted_host_complete(&lab.rig.host, 0, 0, "for controller 1", 16);
    for (unsigned int i = 0; i < 16; i++)
        scripted_host_complete(&lab.rig.host, 0, 0, "for guest 2 only", 16);
    lab_run(&lab);
    assert_int_equal(lab.front[1].nr_rsp, 16);
    assert_int_equal(lab.front[2].nr_rsp, 16);
    assert_memory_equal(lab.front[1].page, "for controller 1", 16);
    assert_memory_equal(lab.front[2].page, "for guest 2 only", 16);
    lab.front[1].nr_rsp = lab.front[2].nr_rsp = 0;
    lab_check_alive(&lab, 1);
    lab_check_alive(&lab, 2);

    assert_int_equal(vusb_remove(lab.rig.dom0, &lab.controller[0]), 0); /* and one is removed */
    lab_run(&lab);
    assert_non_null(back_driver_connector(lab.driver, 1));
    assert_null(back_driver_connector(lab.driver, 2));
    lab_check_alive(&lab, 1);
    lab_check_alive(&lab, 2);
    assert_int_equal(lab.rig.machine->ops->domain_destroy(lab.rig.machine, 2), 0); /* and a guest crashes */
    xen_close(lab.front[2].xen);
    lab.front[2].xen = NULL;
    lab_run(&lab);
    assert_int_equal(lab.driver_rc, 0);
    lab_check_alive(&lab, 1);
    lab_dispose(&lab);
}

/* A guest maps with another's references: they are not its own (rule SEG-08, "foreign"). */
static void test_hotplug_foreign_grant(void **state)
{
    struct lab lab;
    grant_ref_t other;
    (void)state;
    start_three(&lab);
    struct raw_front *f = &lab.front[2];
    assert_int_equal(f->xen->ops->grant(f->xen, 1, f->page, false, &other), 0); /* for domain 1, not for us */
    struct usbif_urb_request request = raw_request(1, BULK_IN);
    raw_segment(&request, other, 0, 8);
    raw_front_send(f, &request);
    lab_run(&lab);
    assert_int_equal(f->nr_rsp, 1);
    assert_int_equal(f->rsp[0].status, -108);
    f->nr_rsp = 0;
    assert_int_equal(f->xen->ops->grant_end(f->xen, other), 0);
    lab_check_alive(&lab, 2);
    lab_dispose(&lab);
}

/* A device moves between connectors, whichever is stepped first (rule HOT-09). */
static void test_hotplug_between_connectors(void **state)
{
    struct lab lab;
    (void)state;
    start_three(&lab);
    scripted_host_plug(&lab.rig.host, "4-4", USBIF_SPEED_LOW);
    for (unsigned int i = 0; i < 6; i++) {
        unsigned int from = i / 2;
        unsigned int to = (from + 1 + i % 2) % 3;
        set_port(&lab, from, 2, "4-4");
        lab_run(&lab);
        expect_of(&lab, from, 2, USBIF_SPEED_LOW);
        set_port(&lab, to, 2, "4-4");
        lab_run(&lab);
        assert_int_equal(lab.front[to].nr_events, 0);
        if (i == 5)
            assert_int_equal(vusb_remove(lab.rig.dom0, &lab.controller[from]), 0);
        else
            set_port(&lab, from, 2, "");
        lab_run(&lab);
        if (i != 5)
            expect_of(&lab, from, 2, 0);
        expect_of(&lab, to, 2, USBIF_SPEED_LOW);
        set_port(&lab, to, 2, "");
        lab_run(&lab);
        expect_of(&lab, to, 2, 0);
    }
    lab_dispose(&lab);
}

/* SEC-16: a connector that cannot be made, or whose nodes are odd, leaves the others alone. */
static void test_hotplug_bad_connector(void **state)
{
    struct lab lab;
    char name[260];
    (void)state;
    start_three(&lab);
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/x/0/frontend", "/nowhere");
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/3/y/frontend", "/nowhere");
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/-0/0/frontend", "/local/domain/0/device/vusb/0");
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/70000/0/frontend", "/nowhere");
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/3/0/state", "1"); /* no frontend node */
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/3/1/frontend", "no path at all");
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/1/0/frontend", name);
    rig_set_node(&lab.rig, "/local/domain/0/backend/qusb/3/2/frontend", name);
    lab_run(&lab);
    assert_int_equal(lab.driver_rc, 0);
    for (unsigned int n = 3; back_driver_connector(lab.driver, n); n++)
        assert_int_equal(back_state(back_driver_connector(lab.driver, n)), XenbusStateUnknown);
    for (unsigned int n = 0; n < 3; n++)
        lab_check_alive(&lab, n);
    lab_dispose(&lab);
}

/* A frontend is gone and its state at 6 or its backend's at 5: the toolstack gives its device to another guest. */
static void test_hotplug_from_the_dead(void **state)
{
    struct lab lab;
    (void)state;
    for (unsigned int round = 0; round < 2; round++) {
        start_three(&lab);
        if (round == 0) {
            raw_front_set_state(&lab.front[0], XenbusStateClosed);
        } else {
            fakexen_local_kill(lab.front[0].xen); /* as its process would */
            xen_close(lab.front[0].xen);
            lab.front[0].xen = NULL;
        }
        lab_run(&lab);
        assert_string_equal(lab_back_state(&lab), round == 0 ? "6" : "5");
        set_port(&lab, 0, 1, "");
        lab_run(&lab);
        set_port(&lab, 2, 2, "1-1");
        lab_run(&lab);
        expect_of(&lab, 2, 2, USBIF_SPEED_HIGH);
        lab_dispose(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hotplug_speeds),
        cmocka_unit_test(test_hotplug_at_connect),
        cmocka_unit_test(test_hotplug_absent),
        cmocka_unit_test(test_hotplug_few_requests),
        cmocka_unit_test(test_hotplug_swap_without_requests),
        cmocka_unit_test(test_hotplug_untold_at_close),
        cmocka_unit_test(test_hotplug_many_cycles),
        cmocka_unit_test(test_hotplug_swap),
        cmocka_unit_test(test_hotplug_physical),
        cmocka_unit_test(test_hotplug_detach_order),
        cmocka_unit_test(test_hotplug_isolation),
        cmocka_unit_test(test_hotplug_foreign_grant),
        cmocka_unit_test(test_hotplug_between_connectors),
        cmocka_unit_test(test_hotplug_bad_connector),
        cmocka_unit_test(test_hotplug_from_the_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
