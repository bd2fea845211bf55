// SPDX-License-Identifier: MIT
/*
 * Goal: the backend follows every order of states that peers and toolstacks produce, and forgets all between
 * two.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "back_lab.h"

#define BACK "/local/domain/0/backend/qusb/1/0"

static void set_back(struct lab *lab, const char *node, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), BACK "/%s", node);
    rig_set_node(&lab->rig, path, value);
}

static void remove_node(struct lab *lab, const char *path)
{
    assert_int_equal(lab->rig.dom0->ops->xs_rm(lab->rig.dom0, XEN_XBT_NIL, path), 0);
}

static void expect_state(struct lab *lab, const char *state)
{
    lab_run(lab);
    assert_string_equal(lab_back_state(lab), state);
}

/* ---- connecting ---- */

static char order[64];

static void note_order(struct lab *lab, enum lab_call call)
{
    (void)lab;
    static const char letters[] = {
        [LAB_MAP] = 'm', [LAB_UNMAP] = 'u', [LAB_STATE] = 's', [LAB_BIND] = 'b', [LAB_WATCH] = '\0'};
    size_t at = strlen(order);
    if (letters[call] && at + 1 < sizeof(order)) {
        order[at] = letters[call];
        order[at + 1] = '\0';
    }
}

/* BUS-07, BUS-08, BUS-10, CONN-16: FE 3 or 4; map, map, bind, then state; requests of before are found. */
static void test_xenbus_connect(void **state)
{
    static const enum xenbus_state states[] = {XenbusStateInitialised, XenbusStateConnected};
    (void)state;
    for (unsigned int i = 0; i < 2; i++) {
        struct lab lab;
        lab_init(&lab, 2, 4);
        scripted_host_plug(&lab.rig.host, "1-1", USBIF_SPEED_FULL);
        set_back(&lab, "port/1", "1-1"); /* cold plug: rule BUS-04 */
        rig_start_back(&lab.rig);
        expect_state(&lab, "2");
        struct raw_front *f = &lab.front[0];
        raw_front_make(f);
        raw_front_prime(f, 512, 0);
        struct usbif_urb_request request = raw_request(10, RAW_PIPE(RAW_BULK, 99, 1, 1));
        raw_front_put(f, &request);
        f->urb_published = f->urb_req;
        raw_set_word(f->urb_page, 0, f->urb_req); /* and no notification at all */
        order[0] = '\0';
        lab_hook(&lab, note_order);
        raw_front_write_nodes(f);
        raw_front_set_state(f, states[i]);
        expect_state(&lab, "4");
        lab_unhook(&lab);
        assert_memory_equal(order, "mmbs", 4);
        assert_null(strchr(order, 'u'));
        lab_expect(&lab, 10, -19, 0);
        lab_expect_event(&lab, 1, USBIF_SPEED_FULL);
        lab_expect_no_event(&lab);
        if (states[i] == XenbusStateInitialised)
            raw_front_set_state(f, XenbusStateConnected); /* rule BUS-23: nothing new */
        expect_state(&lab, "4");
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

static void swallow_event(struct lab *lab, enum lab_call call)
{
    struct xen *xen = back_xen(lab->rig.back);
    evtchn_port_t port;
    if (call != LAB_BOUND)
        return;
    assert_int_equal(xen->ops->evtchn_pending(xen, &port), 0);
    assert_int_equal(xen->ops->evtchn_unmask(xen, port), 0);
}

/* BUS-10: on a Xen that raises no event at binding, what was published before is found all the same. */
static void test_xenbus_connect_without_event(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    rig_start_back(&lab.rig);
    expect_state(&lab, "2");
    raw_front_connect(&lab.front[0]);
    struct usbif_urb_request request = raw_request(10, RAW_PIPE(RAW_BULK, 99, 1, 1));
    raw_front_send(&lab.front[0], &request);
    lab_hook(&lab, swallow_event);
    expect_state(&lab, "4");
    lab_expect(&lab, 10, -19, 0);
    lab_dispose(&lab);
}

/* RING-02: the private indexes start at 0 whatever the page holds; the first 5 slots are requests. */
static void test_xenbus_used_page(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    rig_start_back(&lab.rig);
    lab_run(&lab);
    struct raw_front *f = &lab.front[0];
    raw_front_make(f);
    for (uint16_t id = 0; id < 5; id++) {
        struct usbif_urb_request request = raw_request(id, RAW_PIPE(RAW_BULK, 9, 1, 1));
        raw_front_put(f, &request);
    }
    raw_front_push(f);
    raw_set_word(f->urb_page, 8, 0); /* rsp_prod is ours to write */
    raw_front_write_nodes(f);
    raw_front_set_state(f, XenbusStateConnected);
    lab_run(&lab);
    for (uint16_t id = 0; id < 5; id++)
        lab_expect(&lab, id, -19, 0);
    lab_expect_none(&lab);
    lab_dispose(&lab);
}

/* BUS-09: state first, then the nodes one by one in every order. */
static void test_xenbus_late_nodes(void **state)
{
    static const char *const nodes[] = {"urb-ring-ref", "conn-ring-ref", "event-channel"};
    (void)state;
    for (unsigned int i = 0; i < 6; i++) {
        struct lab lab;
        lab_init(&lab, 2, 4);
        rig_start_back(&lab.rig);
        lab_run(&lab);
        struct raw_front *f = &lab.front[0];
        raw_front_make(f);
        raw_front_prime(f, 512, 0);
        raw_front_set_state(f, XenbusStateConnected);
        expect_state(&lab, "2");
        const unsigned int sequence[] = {i % 3, (i % 3 + 1 + i / 3) % 3, (i % 3 + 2 - i / 3) % 3};
        for (unsigned int n = 0; n < 3; n++) {
            unsigned int node = sequence[n];
            char value[16];
            snprintf(value, sizeof(value), "%u", node == 0 ? f->urb_ref : node == 1 ? f->conn_ref : f->port);
            raw_front_set_node(f, nodes[node], "junk"); /* can still become good */
            expect_state(&lab, "2");
            raw_front_set_node(f, nodes[node], value);
            expect_state(&lab, n == 2 ? "4" : "2");
            assert_int_equal(lab_maps(&lab), n == 2 ? 2 : 0);
        }
        lab_plug(&lab, 1, "1-1", USBIF_SPEED_HIGH);
        lab_check_alive(&lab, 0);
        lab_dispose(&lab);
    }
}

/* ---- sequences of states ---- */

struct step {
    char who;             /* f frontend, b backend node, o online, x frontend directory removed, - end */
    const char *value;
    const char *expected; /* the backend's state after it */
};

static void play(struct lab *lab, const struct step *step)
{
    for (; step->who && step->who != '-'; step++) {
        if (step->who == 'f')
            raw_front_set_node(&lab->front[0], "state", step->value);
        else if (step->who == 'b')
            set_back(lab, "state", step->value);
        else if (step->who == 'o')
            set_back(lab, "online", step->value);
        else
            remove_node(lab, "/local/domain/1/device/vusb/0");
        lab_run(lab);
        if (strcmp(lab_back_state(lab), step->expected) != 0)
            fail_msg("%c=%s: at %s, not %s", step->who, step->value, lab_back_state(lab), step->expected);
        assert_int_equal(lab_maps(lab), step->expected[0] == '4' ? 2 : 0);
    }
}

/* From state 4 on both sides. BUS-11, BUS-13 to BUS-16, BUS-21 to BUS-23. */
static void test_xenbus_sequences(void **state)
{
    static const struct step sequences[][8] = {
        {{'f', "5", "5"}, {'f', "6", "6"}, {'f', "1", "2"}},                   /* BUS-14; BUS-21 kexec */
        {{'f', "5", "5"}, {'f', "1", "2"}},                                    /* BUS-15 */
        {{'f', "6", "6"}, {'f', "1", "2"}},                                    /* BUS-13 */
        {{'f', "1", "2"}},                                                     /* began again */
        {{'f', "2", "4"}, {'f', "3", "4"}, {'f', "7", "4"}, {'f', "8", "4"}},  /* BUS-23 */
        {{'f', "9", "6"}, {'f', "1", "2"}},                                    /* no state at all */
        {{'f', "", "6"}, {'f', "1", "2"}},
        {{'x', "", "6"}},                                                      /* FE vanishes */
        {{'o', "0", "4"}, {'b', "5", "5"}, {'f', "5", "5"}, {'f', "6", "6"}},  /* BUS-11 */
        {{'o', "0", "4"}, {'b', "5", "5"}, {'f', "6", "6"}, {'f', "1", "6"}},  /* BUS-22; BUS-16: no more */
        {{'o', "0", "4"}, {'f', "6", "6"}, {'f', "1", "6"}, {'o', "1", "2"}},
        {{'o', "0", "4"}, {'f', "6", "6"}, {'b', "5", "6"}},                   /* asked for what is so */
        {{'f', "5", "5"}, {'o', "0", "5"}, {'b', "5", "5"}, {'x', "", "6"}},
        {{'b', "5", "5"}, {'f', "6", "6"}, {'f', "5", "6"}, {'f', "1", "2"}},
        {{'f', "6", "6"}, {'f', "4", "6"}, {'f', "3", "6"}, {'f', "1", "2"}},
        {{'b', "1", "4"}, {'b', "2", "2"}, {'b', "6", "6"}, {'b', "4", "4"}},  /* not ours to follow */
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        struct lab lab;
        print_message("sequence %u\n", i);
        lab_ready(&lab, 4);
        if (i + 1 < sizeof(sequences) / sizeof(sequences[0]))
            play(&lab, sequences[i]);
        if (strcmp(lab_back_state(&lab), "2") == 0) {
            raw_front_unmake(&lab.front[0]);
            raw_front_connect(&lab.front[0]);
            expect_state(&lab, "4");
            lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
            lab_check_alive(&lab, 0);
        }
        lab_dispose(&lab);
    }
}

/* From state 2, nobody connected. BUS-11, BUS-13, BUS-21. */
static void test_xenbus_sequences_unconnected(void **state)
{
    static const struct step sequences[][8] = {
        {{'f', "5", "5"}, {'f', "6", "6"}, {'f', "1", "2"}},
        {{'f', "6", "6"}, {'f', "1", "2"}},
        {{'f', "2", "2"}, {'f', "7", "2"}, {'f', "0", "2"}, {'f', "1", "2"}},
        {{'o', "0", "2"}, {'b', "5", "6"}},
        {{'x', "", "2"}, {'o', "0", "2"}, {'b', "5", "6"}},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        struct lab lab;
        print_message("sequence %u\n", i);
        lab_init(&lab, 2, 4);
        rig_start_back(&lab.rig);
        expect_state(&lab, "2");
        play(&lab, sequences[i]);
        lab_dispose(&lab);
    }
}

/* BUS-02, BUS-14: what a predecessor left in our node and in the frontend's. */
static void test_xenbus_predecessor(void **state)
{
    static const struct {
        const char *own, *frontend, *after;
        struct step then[4];
    } cases[] = {
        {"4", "4", "5", {{'f', "5", "5"}, {'f', "6", "6"}, {'f', "1", "2"}}}, /* died while connected */
        {"4", "1", "2", {{'-', 0, 0}}},
        {"3", "4", "5", {{'f', "6", "6"}}},
        {"2", "1", "2", {{'-', 0, 0}}},
        {"1", "6", "6", {{'f', "1", "2"}}},
        {"5", "4", "5", {{'f', "6", "6"}, {'f', "1", "2"}}},
        {"5", "6", "6", {{'f', "1", "2"}}},
        {"6", "6", "6", {{'f', "1", "2"}}},
        {"6", "1", "2", {{'-', 0, 0}}},
        {"6", "4", "6", {{'f', "1", "2"}}},
        {"7", "4", "5", {{'f', "6", "6"}}},
    };
    (void)state;
    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        print_message("case %u\n", i);
        lab_init(&lab, 2, 4);
        set_back(&lab, "state", cases[i].own);
        raw_front_set_node(&lab.front[0], "state", cases[i].frontend);
        rig_start_back(&lab.rig);
        expect_state(&lab, cases[i].after);
        play(&lab, cases[i].then);
        lab_dispose(&lab);
    }
}

/* BUS-11 before InitWait: the toolstack takes back a controller that never got anywhere. */
static void test_xenbus_closed_before_ready(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, 2, 4);
    set_back(&lab, "num-ports", "99");
    rig_start_back(&lab.rig);
    expect_state(&lab, "1");
    assert_int_equal(vusb_close(lab.rig.dom0, &lab.controller[0]), 0);
    expect_state(&lab, "6");
    lab_dispose(&lab);
}

static unsigned int state_writes;

static void count_states(struct lab *lab, enum lab_call call)
{
    (void)lab;
    state_writes += call == LAB_STATE;
}

/* BUS-18: the toolstack's 5 is not written a second time. */
static void test_xenbus_state_written_once(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    state_writes = 0;
    lab_hook(&lab, count_states);
    assert_int_equal(vusb_close(lab.rig.dom0, &lab.controller[0]), 0);
    expect_state(&lab, "5");
    assert_int_equal(state_writes, 0);
    assert_int_equal(back_state(lab.rig.back), XenbusStateClosing);
    raw_front_set_state(&lab.front[0], XenbusStateClosed);
    expect_state(&lab, "6");
    assert_int_equal(state_writes, 1);
    lab_dispose(&lab);
}

/* BUS-20, LIF-05: the directory goes, with transfers in flight. */
static void test_xenbus_directory_removed(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct lab lab;
        (void)state;
        lab_ready(&lab, 4);
        lab.rig.host.cancel_late = late;
        struct usbif_urb_request request = raw_request(20, RAW_PIPE(RAW_INT, LAB_ADDRESS, 1, 1));
        raw_buffer(&lab.front[0], &request, 0, 8);
        lab_send(&lab, &request);
        assert_int_equal(vusb_remove(lab.rig.dom0, &lab.controller[0]), 0);
        lab_run(&lab);
        assert_int_equal(lab.rig.back_rc, -ENOENT);
        back_destroy(lab.rig.back);
        lab.rig.back = NULL;
        assert_int_equal(lab_maps(&lab), 0);
        assert_int_equal(lab.rig.host.nr_held, 0);
        lab_dispose(&lab);
    }
}

/* LIF-05: the guest itself goes; then another with the same number comes. */
static void test_xenbus_guest_destroyed(void **state)
{
    struct lab lab;
    struct xen *xen;
    (void)state;
    lab_ready(&lab, 4);
    struct usbif_urb_request request = raw_request(20, RAW_PIPE(RAW_INT, LAB_ADDRESS, 1, 1));
    raw_buffer(&lab.front[0], &request, 0, 8);
    lab_send(&lab, &request);
    assert_int_equal(lab.rig.machine->ops->domain_destroy(lab.rig.machine, 1), 0);
    xen_close(lab.front[0].xen);
    lab.front[0].xen = NULL;
    expect_state(&lab, "6");
    assert_int_equal(lab_maps(&lab), 0);
    assert_int_equal(lab.rig.host.nr_held, 0);
    /* the frontend's half went before */
    assert_int_equal(vusb_remove(lab.rig.dom0, &lab.controller[0]), -ENOENT);
    lab_run(&lab);
    assert_int_equal(lab.rig.back_rc, -ENOENT);
    back_destroy(lab.rig.back);
    lab.rig.back = NULL;
    assert_int_equal(lab.rig.machine->ops->domain_create(lab.rig.machine, 1), 0);
    assert_int_equal(vusb_create(lab.rig.dom0, &lab.controller[0]), 0);
    assert_int_equal(lab.rig.machine->ops->open(lab.rig.machine, 1, &xen), 0);
    raw_front_open(&lab.front[0], xen, 0, 0);
    lab.rig.back_rc = 0;
    rig_start_back(&lab.rig);
    lab_run(&lab);
    raw_front_connect(&lab.front[0]);
    set_back(&lab, "port/1", "1-1");
    expect_state(&lab, "4");
    lab.front[0].nr_events = 0;
    lab_check_alive(&lab, 0);
    lab_dispose(&lab);
}

/* ADR-06, RING-10, CONN-05, BUS-16: nothing of a connection is there in the next one. */
static void test_xenbus_reconnect_clears(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    for (unsigned int round = 0; round < 40; round++) {
        struct raw_front *f = &lab.front[0];
        struct usbif_urb_request request = raw_request(1, RAW_PIPE(RAW_BULK, LAB_ADDRESS, 1, 1));
        raw_front_set_state(f, XenbusStateClosing);
        expect_state(&lab, "5");
        raw_front_set_state(f, XenbusStateClosed);
        expect_state(&lab, "6");
        raw_front_unmake(f);
        assert_int_equal(fakexen_local_balance(lab.rig.local).ports, 0);
        raw_front_set_state(f, XenbusStateInitialising);
        expect_state(&lab, "2");
        raw_front_connect(f);
        expect_state(&lab, "4");
        lab_expect_event(&lab, 1, USBIF_SPEED_HIGH);
        lab_expect_no_event(&lab);
        lab_send(&lab, &request);
        lab_expect(&lab, 1, -19, 0); /* the old address */
        lab_check_alive(&lab, 0);
        lab_set_address(&lab, 0, 1, LAB_ADDRESS);
        if (round % 4 == 1) {
            lab.rig.host.cancel_late = true; /* closing has to wait for it */
            lab_send(&lab, &request);
            raw_front_set_state(f, XenbusStateClosing);
            expect_state(&lab, "5");
            lab_expect(&lab, 1, -71, 0);
            lab_expect_event(&lab, 1, 0);
            lab.rig.host.cancel_late = false;
        }
    }
    lab_dispose(&lab);
}

/* A controller that is smaller or slower in its next life (XS-06, XS-07, CONN-13). */
static void test_xenbus_changed_controller(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    lab_plug(&lab, 4, "1-4", USBIF_SPEED_FULL);
    lab_plug(&lab, 2, "1-2", USBIF_SPEED_FULL);
    lab.front[0].nr_events = 0;
    raw_front_set_state(&lab.front[0], XenbusStateClosed);
    expect_state(&lab, "6");
    assert_true(lab.rig.host.open[0]); /* closed does not mean given up */
    set_back(&lab, "num-ports", "2");
    set_back(&lab, "usb-ver", "1");
    raw_front_unmake(&lab.front[0]);
    raw_front_set_state(&lab.front[0], XenbusStateInitialising);
    lab_run(&lab);
    raw_front_connect(&lab.front[0]);
    expect_state(&lab, "4");
    lab_expect_event(&lab, 2, USBIF_SPEED_FULL);
    lab_expect_no_event(&lab);
    assert_false(lab.rig.host.open[0]);
    assert_false(lab.rig.host.open[1]);
    raw_front_set_state(&lab.front[0], XenbusStateClosed);
    lab_run(&lab);
    assert_true(lab.rig.host.open[2]);
    set_back(&lab, "online", "0"); /* rule BUS-16 */
    lab_run(&lab);
    assert_false(lab.rig.host.open[2]);
    scripted_host_unplug(&lab.rig.host, "1-2");
    scripted_host_plug(&lab.rig.host, "1-2", USBIF_SPEED_FULL);
    lab_run(&lab);
    assert_false(lab.rig.host.open[2]);
    lab_dispose(&lab);
}

/* A directory that the toolstack has removed does not come back with a state in it, nor with what went wrong. */
static void test_xenbus_no_ghost(void **state)
{
    (void)state;
    struct lab lab;
    char value[XENBUS_VALUE_MAX];
    static const char gone[] = "/local/domain/0/backend/qusb/7/0";
    static const char error[] = "/local/domain/0/error/backend/qusb/7/0";
    lab_init(&lab, 2, 4);
    assert_int_equal(xenbus_state_change(lab.rig.dom0, gone, XenbusStateClosed), -ENOENT);
    assert_int_equal(xenbus_read(lab.rig.dom0, XEN_XBT_NIL, gone, "state", value), -ENOENT);
    xenbus_error(lab.rig.dom0, gone, -ENOENT, "mapping rings");
    assert_int_equal(xenbus_read(lab.rig.dom0, XEN_XBT_NIL, error, "error", value), -ENOENT);
    assert_int_equal(lab.rig.dom0->ops->xs_mkdir(lab.rig.dom0, XEN_XBT_NIL, gone), 0);
    assert_int_equal(xenbus_state_change(lab.rig.dom0, gone, XenbusStateClosed), 0);
    assert_int_equal(xenbus_state_read(lab.rig.dom0, gone), XenbusStateClosed);
    xenbus_error(lab.rig.dom0, gone, -ENOENT, "mapping rings");
    assert_int_equal(xenbus_read(lab.rig.dom0, XEN_XBT_NIL, error, "error", value), 0);
    assert_string_equal(value, "2 mapping rings");
    lab_dispose(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xenbus_connect),
        cmocka_unit_test(test_xenbus_connect_without_event),
        cmocka_unit_test(test_xenbus_used_page),
        cmocka_unit_test(test_xenbus_late_nodes),
        cmocka_unit_test(test_xenbus_sequences),
        cmocka_unit_test(test_xenbus_sequences_unconnected),
        cmocka_unit_test(test_xenbus_predecessor),
        cmocka_unit_test(test_xenbus_closed_before_ready),
        cmocka_unit_test(test_xenbus_state_written_once),
        cmocka_unit_test(test_xenbus_directory_removed),
        cmocka_unit_test(test_xenbus_guest_destroyed),
        cmocka_unit_test(test_xenbus_reconnect_clears),
        cmocka_unit_test(test_xenbus_changed_controller),
        cmocka_unit_test(test_xenbus_no_ghost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
