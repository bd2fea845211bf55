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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front_poll_takes_without_event),
        cmocka_unit_test(test_front_poll_then_step_finds),
        cmocka_unit_test(test_front_poll_violation),
        cmocka_unit_test(test_front_poll_unconnected),
    };
    return cmocka_run_group_tests_name("front_poll", tests, NULL, NULL);
}
