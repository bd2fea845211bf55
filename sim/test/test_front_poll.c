// SPDX-License-Identifier: MIT
/*
 * Polling (frontend.h front_poll): responses are taken without an event and without asking for one; the step before
 * waiting asks again, so none is missed.
 */
#include "front_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BULK USBIF_PIPE_TYPE_BULK

static void publish(struct frig *frig, uint16_t id)
{
    raw_back_put(&frig->back, (struct usbif_urb_response){.id = id});
    frig->back.urb->rsp_prod = frig->back.rsp_prod;
}

/* RING-06: while the frontend polls, rsp_event stays behind; what waits for a slot follows at once. */
static void test_front_poll_takes_without_event(void **state)
{
    struct frig frig;
    struct hcd_urb urb[20];
    (void)state;
    frig_start(&frig, 2, 4);
    for (unsigned int i = 0; i < 20; i++) {
        urb[i] = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
        assert_int_equal(frig_submit(&frig, &urb[i]), 0);
    }
    uint32_t event = frig.back.urb->rsp_event;
    assert_false(front_pending(frig.rig.front));
    for (unsigned int i = 0; i < 20; i++) {
        publish(&frig, frig_take(&frig).id);
        assert_true(front_pending(frig.rig.front));
        front_poll(frig.rig.front, frig.rig.now_ns);
        assert_false(front_pending(frig.rig.front));
        assert_int_equal(frig.nr_done, i + 1);
        assert_int_equal(frig.back.urb->rsp_event, event);
    }
    assert_int_equal(front_step(frig.rig.front, frig.rig.now_ns), 0);
    assert_int_equal(frig.back.urb->rsp_event, 21);
    frig_dispose(&frig);
}

/* RING-06: what is published after the last poll is found by the step, without an event. */
static void test_front_poll_then_step_finds(void **state)
{
    struct frig frig;
    struct hcd_urb urb;
    (void)state;
    frig_start(&frig, 2, 4);
    urb = frig_data(&frig, BULK, 1, true, frig.buffer, 64);
    assert_int_equal(frig_submit(&frig, &urb), 0);
    uint16_t id = frig_take(&frig).id;
    front_poll(frig.rig.front, frig.rig.now_ns);
    publish(&frig, id);
    assert_int_equal(front_step(frig.rig.front, frig.rig.now_ns), 0);
    assert_int_equal(frig.nr_done, 1);
    frig_dispose(&frig);
}

/* MAL-37 for the backend's index: pending, found, and never pending again. */
static void test_front_poll_violation(void **state)
{
    struct frig frig;
    (void)state;
    frig_start(&frig, 2, 4);
    frig.back.urb->rsp_prod = 1;
    assert_true(front_pending(frig.rig.front));
    front_poll(frig.rig.front, frig.rig.now_ns);
    assert_int_equal(front_verdict(frig.rig.front), PVUSB_RING_OVERFLOW);
    assert_false(front_pending(frig.rig.front));
    front_poll(frig.rig.front, frig.rig.now_ns);
    frig_back_leaves(&frig);
    frig_dispose(&frig);
}

/* Before there is a ring, nothing is pending and polling does nothing. */
static void test_front_poll_unconnected(void **state)
{
    struct frig frig;
    (void)state;
    frig_init(&frig, 2, 4);
    assert_false(front_pending(frig.rig.front));
    front_poll(frig.rig.front, 0);
    frig_abandon(&frig);
}

static unsigned int again;

static void submit_again(struct frig *frig, struct hcd_urb *urb)
{
    if (again > 0) {
        again--;
        assert_int_equal(frig->hcd->ops->submit(frig->hcd, urb), 0);
    }
}

static struct frig *answering;
static struct frig_spy spy;

/* A backend on another processor, or one that the notification has put in our place: it answers at once. */
static int answer_when_notified(struct xen *xen, evtchn_port_t port)
{
    struct usbif_urb_request request;
    int rc = spy.real->evtchn_notify(xen, port);
    while (raw_back_take(&answering->back, &request)) {
        assert_true(answering->back.urb->rsp_event <= answering->back.rsp_prod); /* the frontend is awake */
        publish(answering, request.id);
    }
    return rc;
}

/* One URB is answered while the frontend sleeps; then each that follows at once, as often as said. */
static void step_while_answered(struct frig *frig, struct hcd_urb *urb, unsigned int times)
{
    frig_start(frig, 2, 4);
    *urb = frig_data(frig, BULK, 1, true, frig->buffer, 64);
    assert_int_equal(frig_submit(frig, urb), 0);
    uint16_t id = frig_take(frig).id;
    frig_expect_no_request(frig); /* it sleeps until the next */
    answering = frig;
    again = times;
    frig->on_complete = submit_again;
    frig_spy(&spy, front_xen(frig->rig.front));
    spy.ops.evtchn_notify = answer_when_notified;
    publish(frig, id);
    raw_back_notify(&frig->back);
    assert_int_equal(front_step(frig->rig.front, frig->rig.now_ns), 0);
}

/* RING-06: the event of the next response is asked for when what waits was started, so an answer until then costs none. */
static void test_front_step_asks_last(void **state)
{
    struct frig frig;
    struct hcd_urb urb;
    (void)state;
    step_while_answered(&frig, &urb, 3);
    assert_int_equal(frig.nr_done, 4);
    assert_int_equal(frig.back.urb->rsp_event, frig.back.rsp_prod + 1); /* now it may sleep */
    assert_true(front_deadline(frig.rig.front) > frig.rig.now_ns);
    frig_dispose(&frig);
}

/* Who is always answered at once does not keep the step from its end; the next is due at once. */
static void test_front_step_ends(void **state)
{
    struct frig frig;
    struct hcd_urb urb;
    (void)state;
    step_while_answered(&frig, &urb, 50);
    assert_in_range(frig.nr_done, 2, 25);
    assert_true(front_deadline(frig.rig.front) <= frig.rig.now_ns);
    while (front_deadline(frig.rig.front) <= frig.rig.now_ns)
        assert_int_equal(front_step(frig.rig.front, frig.rig.now_ns), 0);
    assert_int_equal(frig.nr_done, 51);
    assert_int_equal(frig.back.urb->rsp_event, frig.back.rsp_prod + 1);
    frig_dispose(&frig);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_poll_takes_without_event),
        cmocka_unit_test(test_front_poll_then_step_finds),
        cmocka_unit_test(test_front_poll_violation),
        cmocka_unit_test(test_front_poll_unconnected),
        cmocka_unit_test(test_front_step_asks_last),
        cmocka_unit_test(test_front_step_ends),
    };
    return cmocka_run_group_tests_name("front_poll", tests, NULL, NULL);
}
