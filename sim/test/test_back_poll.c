// SPDX-License-Identifier: MIT
/*
 * Polling (backend.h back_poll): requests are served without an event and without asking for one; the step before waiting
 * asks again, so none is missed.
 */
#include "back_lab.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fakexen/waitset.h>

#define NOWHERE RAW_PIPE(RAW_BULK, 99, 1, 1) /* answered at once: there is no such device */

static void put(struct lab *lab, uint16_t id)
{
    struct usbif_urb_request request = raw_request(id, NOWHERE);
    raw_front_put(&lab->front[0], &request);
}

/* RING-06: while the backend polls, it asks for no event; nobody has to notify it. */
static void test_back_poll_serves_without_event(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    assert_false(back_pending(lab.rig.back));
    put(&lab, 1);
    (void)raw_front_push(f); /* asked for by the step before */
    lab_run(&lab);
    lab_expect(&lab, 1, -19, 0);
    put(&lab, 2);
    assert_true(raw_front_push(f));
    assert_true(back_pending(lab.rig.back));
    back_poll(lab.rig.back);
    for (uint16_t id = 3; id < 40; id++) {
        assert_false(back_pending(lab.rig.back));
        put(&lab, id);
        assert_false(raw_front_push(f)); /* the backend is awake, and said so by not asking */
        assert_true(back_pending(lab.rig.back));
        back_poll(lab.rig.back);
        assert_true(raw_front_poll(f));
    }
    for (uint16_t id = 2; id < 40; id++)
        lab_expect(&lab, id, -19, 0);
    lab_dispose(&lab);
}

static void publish_quietly(struct lab *lab, uint16_t id)
{
    struct raw_front *f = &lab->front[0];
    put(lab, id);
    f->urb_published = f->urb_req;
    raw_set_word(f->urb_page, 0, f->urb_req);
}

/* RING-06: the step after polling finds what came meanwhile, and asks for the event of the next request. */
static void test_back_poll_then_step_asks(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    struct raw_front *f = &lab.front[0];
    publish_quietly(&lab, 1);
    back_poll(lab.rig.back);
    publish_quietly(&lab, 2);
    assert_int_equal(back_step(lab.rig.back, 0), 0);
    put(&lab, 3);
    assert_true(raw_front_push(f));
    lab_run(&lab);
    for (uint16_t id = 1; id < 4; id++)
        lab_expect(&lab, id, -19, 0);
    lab_dispose(&lab);
}

/* MAL-37: an impossible index is pending, so that polling finds the violation; then nothing is pending any more. */
static void test_back_poll_violation(void **state)
{
    struct lab lab;
    (void)state;
    lab_ready(&lab, 4);
    raw_set_word(lab.front[0].urb_page, 0, lab.front[0].urb_req + 17);
    assert_true(back_pending(lab.rig.back));
    back_poll(lab.rig.back);
    assert_int_equal(back_verdict(lab.rig.back), PVUSB_RING_OVERFLOW);
    assert_false(back_pending(lab.rig.back));
    back_poll(lab.rig.back);
    lab_run(&lab);
    assert_string_equal(lab_back_state(&lab), "5");
    lab_dispose(&lab);
}

/* The driver polls the connectors that have something, and those only. */
static void test_back_poll_driver(void **state)
{
    struct lab lab;
    (void)state;
    lab_init(&lab, USB_VER_USB20, 4);
    lab_add(&lab, 2, 0);
    lab_start_driver(&lab);
    lab_run(&lab);
    for (unsigned int i = 0; i < 2; i++)
        raw_front_connect(&lab.front[i]);
    lab_run(&lab);
    assert_false(back_driver_pending(lab.driver));
    for (uint16_t id = 0; id < 8; id++) {
        struct usbif_urb_request request = raw_request(id, NOWHERE);
        raw_front_put(&lab.front[id % 2], &request);
        (void)raw_front_push(&lab.front[id % 2]);
        assert_true(back_driver_pending(lab.driver));
        back_driver_poll(lab.driver);
        assert_false(back_driver_pending(lab.driver));
        assert_int_equal(raw_front_rsp_prod(&lab.front[id % 2]), id / 2 + 1);
    }
    for (unsigned int i = 0; i < 2; i++)
        (void)raw_front_poll(&lab.front[i]);
    lab_run(&lab);
    lab_dispose(&lab);
}

static unsigned int answered(struct lab *lab, unsigned int n)
{
    return raw_front_rsp_prod(&lab->front[n]);
}

/* Local handles join no set, so the test says what its look found: all, or only connector n. */
static void found(struct lab *lab, struct xen_waitset *set, int n)
{
    for (int i = 0; i < 2; i++) {
        struct xen *xen = back_xen(back_driver_connector(lab->driver, (unsigned int)i));
        xen->member.set = set;
        xen->member.found = i == n;
    }
}

static unsigned int sent_meanwhile, sent_at_most;

/* A frontend on another processor, or one that the backend's notification has put in the backend's place. */
static void send_meanwhile(struct lab *lab, enum lab_call call)
{
    struct raw_front *f = &lab->front[0];
    if (call != LAB_NOTIFY || sent_meanwhile == sent_at_most)
        return;
    raw_front_take(f);
    put(lab, (uint16_t)(2 + sent_meanwhile++));
    assert_false(raw_front_push(f)); /* the backend is awake */
}

static unsigned int step_while_sent(struct lab *lab, unsigned int at_most)
{
    lab_ready(lab, 4);
    sent_meanwhile = 0;
    sent_at_most = at_most;
    lab_hook(lab, send_meanwhile);
    uint32_t before = raw_front_rsp_prod(&lab->front[0]);
    put(lab, 1);
    assert_true(raw_front_push(&lab->front[0]));
    assert_int_equal(lab->front[0].xen->ops->evtchn_notify(lab->front[0].xen, lab->front[0].port), 0);
    assert_int_equal(back_step(lab->rig.back, 0), 0);
    return raw_front_rsp_prod(&lab->front[0]) - before;
}

/* RING-06: the event of the next request is asked for when all are answered, so what is sent until then costs none. */
static void test_back_step_asks_last(void **state)
{
    struct lab lab;
    (void)state;
    assert_int_equal(step_while_sent(&lab, 3), 4);
    assert_false(back_busy(lab.rig.back));
    (void)raw_front_poll(&lab.front[0]);
    put(&lab, 5);
    assert_true(raw_front_push(&lab.front[0]));
    lab_run(&lab);
    for (uint16_t id = 1; id <= 5; id++)
        lab_expect(&lab, id, -19, 0);
    lab_dispose(&lab);
}

/* MAL-41: who always sends one more does not keep the step from its end; the next goes on by itself. */
static void test_back_step_ends(void **state)
{
    struct lab lab;
    (void)state;
    unsigned int served = step_while_sent(&lab, 50);
    assert_in_range(served, 2, 25);
    assert_true(back_busy(lab.rig.back));
    lab_run(&lab);
    (void)raw_front_poll(&lab.front[0]);
    for (uint16_t id = 1; id <= 51; id++)
        lab_expect(&lab, id, -19, 0);
    assert_false(back_busy(lab.rig.back));
    lab_dispose(&lab);
}

/* back_driver_step(): with a set, who nothing came for is not looked at, unless it was polled. */
static void test_back_poll_only_found(void **state)
{
    struct xen_waitset *set;
    struct lab lab;
    (void)state;
    assert_int_equal(xen_waitset_create(&set), 0);
    lab_init(&lab, USB_VER_USB20, 4);
    lab_add(&lab, 2, 0);
    lab_start_driver(&lab);
    lab_run(&lab);
    for (unsigned int i = 0; i < 2; i++)
        raw_front_connect(&lab.front[i]);
    lab_run(&lab);
    for (unsigned int i = 0; i < 2; i++) {
        struct usbif_urb_request request = raw_request(1, NOWHERE);
        raw_front_send(&lab.front[i], &request);
    }
    found(&lab, set, -1);
    assert_int_equal(back_driver_step(lab.driver, 0), 0);
    assert_int_equal(answered(&lab, 0) + answered(&lab, 1), 0);
    found(&lab, set, 1);
    assert_int_equal(back_driver_step(lab.driver, 0), 0);
    assert_int_equal(answered(&lab, 0), 0);
    assert_int_equal(answered(&lab, 1), 1);
    assert_int_equal(back_driver_step(lab.driver, 0), 0); /* what was found is seen to */
    found(&lab, NULL, -1);
    assert_int_equal(back_driver_step(lab.driver, 0), 0);
    assert_int_equal(answered(&lab, 0), 1);
    lab_run(&lab);
    for (unsigned int i = 0; i < 2; i++)
        back_poll(back_driver_connector(lab.driver, i)); /* now it owes the step that asks for events */
    publish_quietly(&lab, 2);
    found(&lab, set, -1);
    assert_int_equal(back_driver_step(lab.driver, 0), 0);
    assert_int_equal(answered(&lab, 0), 2);
    found(&lab, NULL, -1);
    lab_run(&lab);
    lab_dispose(&lab);
    xen_waitset_destroy(set);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_poll_serves_without_event),
        cmocka_unit_test(test_back_poll_then_step_asks),
        cmocka_unit_test(test_back_poll_violation),
        cmocka_unit_test(test_back_step_asks_last),
        cmocka_unit_test(test_back_step_ends),
        cmocka_unit_test(test_back_poll_driver),
        cmocka_unit_test(test_back_poll_only_found),
    };
    return cmocka_run_group_tests_name("back_poll", tests, NULL, NULL);
}
